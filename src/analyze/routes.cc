// The way traffic takes: hardware routes by fixed tables, so it is the one with the fewest crossings, not the fastest.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <queue>

#include "numapin/analyze.h"

namespace numapin {
namespace {

using Kind = Part::Kind;

const Part& part_at(const LinkGraph& g, int part) { return g.parts[static_cast<std::size_t>(part)]; }
const Channel& channel_of(const LinkGraph& g, const Edge& e) { return g.channels[static_cast<std::size_t>(e.channel)]; }

/// What a crossing costs a route: links made for GPUs before PCIe, anything before the way to another socket.
int cost(LinkType t) {
  switch (t) {
    case LinkType::kInterconnect: return 1000;
    case LinkType::kPcie: return 30;
    default: return 1;
  }
}

/// NICs are entered and left by their wire.
std::optional<int> end_part(const LinkGraph& g, DeviceRef ref) {
  const auto kind = ref.type == DeviceRef::Type::kGpu ? Kind::kGpu : ref.type == DeviceRef::Type::kNic ? Kind::kWire : Kind::kMemory;
  for (std::size_t i = 0; i < g.parts.size(); ++i)
    if (g.parts[i].kind == kind && g.parts[i].index == ref.index) return static_cast<int>(i);
  return std::nullopt;
}

/// AMD's GPUs pass on what comes over xGMI; NVIDIA's do not, and nothing passes through a memory or out of a port and back.
bool may_pass(const LinkGraph& g, int part, const Edge* in, const Edge& out) {
  switch (part_at(g, part).kind) {
    case Kind::kGpu: return in != nullptr && channel_of(g, *in).type == LinkType::kXgmi && channel_of(g, out).type == LinkType::kXgmi;
    case Kind::kMemory:
    case Kind::kWire: return false;
    default: return true;
  }
}

class Search {
 public:
  Search(const LinkGraph& g, int source) : g_(g), source_(source), cost_(g.parts.size(), kFar), in_(g.parts.size(), -1) {
    first_.assign(g.parts.size() + 1, 0);
    for (const auto& e : g.edges) ++first_[static_cast<std::size_t>(e.from) + 1];
    for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    run();
  }
  /// Edges in the order of travel; empty: no way.
  std::vector<int> way(int target) const {
    std::vector<int> edges;
    for (int at = target; at != source_; at = g_.edges[static_cast<std::size_t>(edges.back())].from) {
      if (in_[static_cast<std::size_t>(at)] < 0) return {};
      edges.push_back(in_[static_cast<std::size_t>(at)]);
    }
    std::reverse(edges.begin(), edges.end());
    return edges;
  }

 private:
  static constexpr int kFar = std::numeric_limits<int>::max();

  void run() {
    std::priority_queue<std::pair<int, int>, std::vector<std::pair<int, int>>, std::greater<>> open;
    cost_[static_cast<std::size_t>(source_)] = 0;
    open.push({0, source_});
    while (!open.empty()) {
      const auto [so_far, part] = open.top();
      open.pop();
      if (so_far > cost_[static_cast<std::size_t>(part)]) continue;
      const auto in = in_[static_cast<std::size_t>(part)];
      const Edge* in_edge = in < 0 ? nullptr : &g_.edges[static_cast<std::size_t>(in)];
      for (auto e = first_[static_cast<std::size_t>(part)]; e < first_[static_cast<std::size_t>(part) + 1]; ++e) {
        const auto& edge = g_.edges[static_cast<std::size_t>(e)];
        if (part != source_ && !may_pass(g_, part, in_edge, edge)) continue;
        const int then = so_far + cost(channel_of(g_, edge).type);
        auto& best = cost_[static_cast<std::size_t>(edge.to)];
        if (then >= best) continue;
        best = then;
        in_[static_cast<std::size_t>(edge.to)] = e;
        open.push({then, edge.to});
      }
    }
  }

  const LinkGraph& g_;
  int source_;
  std::vector<int> cost_, in_, first_;
};

bool is_host(Kind k) { return k == Kind::kNode || k == Kind::kSocket || k == Kind::kUnplaced; }
bool is_device(DeviceRef ref) { return ref.type != DeviceRef::Type::kNode; }

struct Crossings {
  int host = 0, switches = 0, sockets = 0, on_die = 0;
  bool unplaced = false, is_pcie = false;
};
Crossings crossings(const LinkGraph& g, const std::vector<int>& edges) {
  Crossings c;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto& edge = g.edges[static_cast<std::size_t>(edges[i])];
    const auto type = channel_of(g, edge).type;
    c.sockets += type == LinkType::kInterconnect;
    c.on_die += type == LinkType::kOnDie && is_host(part_at(g, edge.from).kind) && is_host(part_at(g, edge.to).kind);
    c.is_pcie = c.is_pcie || type == LinkType::kPcie;
    if (i + 1 == edges.size()) continue;
    const auto kind = part_at(g, edge.to).kind;
    c.host += is_host(kind);
    c.switches += kind == Kind::kPci;
    c.unplaced = c.unplaced || kind == Kind::kUnplaced;
  }
  return c;
}

Reach reach_of(const Crossings& c) {
  if (c.unplaced) return Reach::kUnknown;
  if (c.sockets > 0) return Reach::kSocket;
  if (c.on_die > 0) return Reach::kNode;
  if (c.host > 0) return c.is_pcie ? Reach::kHost : Reach::kDirect;
  if (c.switches > 1) return Reach::kSwitches;
  return c.switches == 1 ? Reach::kSwitch : Reach::kDirect;
}

/// What this kind of traffic costs beyond its bytes, and where the host throttles it.
void apply_rules(const LinkGraph& g, DeviceRef from, DeviceRef to, const Crossings& c, Route& r) {
  const bool is_peer = is_device(from) && is_device(to);
  if (is_peer && c.host > 0 && c.is_pcie) {
    for (auto& use : r.uses)
      if (g.channels[use.channel].type == LinkType::kPcie) use.weight *= static_cast<float>(g.rules.peer_weight);
    if (c.unplaced) r.cannot_know = "no source tells the nodes of these devices: the way between them is unknown";
    else if (c.sockets > 0 && !g.rules.remote_peer_unknown.empty()) r.cannot_know = g.rules.remote_peer_unknown;
    else if (c.sockets > 0 && g.rules.remote_peer) {
      r.ceiling = g.rules.remote_peer;
      r.ceiling_because = g.rules.remote_peer_because;
    }
  }
  if (is_peer || c.sockets == 0 || c.unplaced || !(is_device(from) || is_device(to))) return;
  r.ceiling = is_device(to) ? g.rules.remote_read : g.rules.remote_write;
  if (r.ceiling) r.ceiling_because = g.rules.remote_because;
}

void find_narrowest(const LinkGraph& g, Route& r) {
  for (const auto& use : r.uses) {
    const auto& capacity = g.channels[use.channel].capacity;
    const int channel = static_cast<int>(use.channel);
    if (capacity.basis == Basis::kUnknown) r.unknown.push_back(channel);
    if (capacity.basis == Basis::kGuess) r.guessed.push_back(channel);
    if (!capacity.gb_per_s) continue;
    const double rate = *capacity.gb_per_s / static_cast<double>(use.weight);
    if (r.gb_per_s && rate >= *r.gb_per_s) continue;
    r.gb_per_s = rate;
    r.narrowest = channel;
    r.basis = capacity.basis;
  }
  if (r.ceiling && (!r.gb_per_s || *r.ceiling < *r.gb_per_s)) {
    r.gb_per_s = r.ceiling;
    r.narrowest.reset();
    r.basis = Basis::kGuess;
  }
}

void apply_measurement(const LinkGraph& g, DeviceRef from, DeviceRef to, Route& r) {
  for (const auto& pair : g.measured) {
    if (pair.from != from || pair.to != to) continue;
    r.gb_per_s = r.ceiling = pair.gb_per_s;
    r.ceiling_because = "measured for this pair";
    r.basis = Basis::kMeasured;
    r.cannot_know.clear();
    r.unknown.clear();
    r.guessed.clear();
  }
}

Route make_route(const LinkGraph& g, DeviceRef from, DeviceRef to, std::vector<int> edges) {
  Route r;
  r.edges = std::move(edges);
  for (const int e : r.edges) r.uses.push_back({static_cast<std::uint32_t>(g.edges[static_cast<std::size_t>(e)].channel), 1});
  const auto c = crossings(g, r.edges);
  r.reach = reach_of(c);
  apply_rules(g, from, to, c, r);
  find_narrowest(g, r);
  apply_measurement(g, from, to, r);
  if (!r.cannot_know.empty()) {
    r.gb_per_s.reset();
    r.narrowest.reset();
  }
  return r;
}

}  // namespace

std::vector<std::optional<Route>> find_routes(const LinkGraph& g, DeviceRef from, std::span<const DeviceRef> to) {
  std::vector<std::optional<Route>> routes(to.size());
  const auto source = end_part(g, from);
  if (!source) return routes;
  const Search search(g, *source);
  for (std::size_t i = 0; i < to.size(); ++i) {
    const auto target = end_part(g, to[i]);
    if (!target || *target == *source) continue;
    if (auto edges = search.way(*target); !edges.empty()) routes[i] = make_route(g, from, to[i], std::move(edges));
  }
  return routes;
}

std::optional<Route> find_route(const LinkGraph& g, DeviceRef from, DeviceRef to) { return find_routes(g, from, std::span(&to, 1))[0]; }

std::vector<PairTable> all_pairs(const LinkGraph& g) {
  std::vector<DeviceRef> gpus, nics, memories;
  for (const auto& part : g.parts) {
    if (part.kind == Kind::kGpu) gpus.push_back({DeviceRef::Type::kGpu, part.index});
    if (part.kind == Kind::kNic) nics.push_back({DeviceRef::Type::kNic, part.index});
    if (part.kind == Kind::kMemory) memories.push_back({DeviceRef::Type::kNode, part.index});
  }
  std::vector<PairTable> tables;
  const auto add = [&](std::string title, const std::vector<DeviceRef>& rows, const std::vector<DeviceRef>& columns) {
    if (rows.empty() || columns.empty() || (rows == columns && rows.size() < 2)) return;
    PairTable table{std::move(title), rows, columns, {}};
    for (const auto row : rows) table.routes.push_back(find_routes(g, row, columns));
    tables.push_back(std::move(table));
  };
  add("GPU to GPU", gpus, gpus);
  add("memory to GPU", memories, gpus);
  add("GPU to memory", gpus, memories);
  add("GPU to NIC", gpus, nics);
  return tables;
}

std::string route_text(const LinkGraph& g, const Route& r, std::string_view arrow) {
  if (r.edges.empty()) return "";
  std::string text = part_at(g, g.edges[static_cast<std::size_t>(r.edges.front())].from).name;
  for (const int e : r.edges) {
    const auto& edge = g.edges[static_cast<std::size_t>(e)];
    const auto& channel = channel_of(g, edge);
    const auto& to = part_at(g, edge.to);
    // On one die, a memory's wires and a port's are what the next word says anyway.
    const bool is_said = channel.type == LinkType::kOnDie || channel.type == LinkType::kMemory;
    if (!is_said) text += fmt::format("{}{}", arrow, channel.kind);
    if (to.kind != Kind::kWire) text += fmt::format("{}{}", arrow, to.name);
  }
  return text;
}

}  // namespace numapin
