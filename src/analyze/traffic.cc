// What the flows of a pattern get when they run at once, and which link to fix first.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "analyze/prepared.h"
#include "numapin/analyze.h"

namespace numapin {

// ---- patterns ----------------------------------------------------------------------------------------------------------------

namespace {

DeviceRef gpu_ref(int index) { return {DeviceRef::Type::kGpu, index}; }
DeviceRef memory_ref(NodeId node) { return {DeviceRef::Type::kNode, number(node)}; }

std::vector<NodeId> memories(const LinkGraph& g) {
  std::vector<NodeId> nodes;
  for (const auto& part : g.parts)
    if (part.kind == Part::Kind::kMemory) nodes.push_back(NodeId{part.index});
  return nodes;
}

/// The memory that a program bound to the GPU's node gets: of the node, or the nearest with memory.
std::optional<NodeId> local_memory(const Machine& m, const LinkGraph& g, int gpu) {
  const auto nodes = memories(g);
  if (nodes.empty()) return std::nullopt;
  const auto found = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& x) { return x.index == gpu; });
  if (found == m.gpus.end() || !found->numa_nodes || found->numa_nodes->empty()) return nodes.front();
  std::optional<NodeId> nearest;
  int least = std::numeric_limits<int>::max();
  for (const auto node : nodes)
    for (const auto near : *found->numa_nodes) {
      const int d = node == near ? 0 : distance(m, near, node).value_or(1000);
      if (d < least) {
        least = d;
        nearest = node;
      }
    }
  return nearest;
}

class Flows {
 public:
  Flows(const Machine& m, const LinkGraph& g, std::span<const int> gpus, const Binding& binding) : m_(m), g_(g), gpus_(gpus), binding_(binding) {}

  FlowSet of(Pattern p) {
    const auto n = gpus_.size();
    for (std::size_t i = 0; i < n; ++i) {
      switch (p) {
        case Pattern::kLoad:
        case Pattern::kSave: add_host(gpus_[i], p == Pattern::kLoad); break;
        case Pattern::kRing: if (n > 1) add(gpus_[i], gpus_[(i + 1) % n]); break;
        case Pattern::kPipeline: if (i + 1 < n) add(gpus_[i], gpus_[i + 1]); break;
        case Pattern::kTree:
          if (i == 0) break;
          add(gpus_[i], gpus_[(i - 1) / 2]);
          add(gpus_[(i - 1) / 2], gpus_[i]);
          break;
        case Pattern::kAllToAll:
          for (std::size_t j = 0; j < n; ++j)
            if (i != j) add(gpus_[i], gpus_[j]);
          break;
        case Pattern::kRdma: break;
      }
    }
    if (p == Pattern::kRdma)
      for (const auto& pair : pair_nics(m_, g_, gpus_)) {
        const DeviceRef nic{DeviceRef::Type::kNic, pair.nic};
        set_.flows.push_back({gpu_ref(pair.gpu), nic, {}});
        set_.flows.push_back({nic, gpu_ref(pair.gpu), {}});
      }
    return std::move(set_);
  }

 private:
  void add(int from, int to) { set_.flows.push_back({gpu_ref(from), gpu_ref(to), {}}); }
  void add_one(DeviceRef memory, int gpu, bool load) { set_.flows.push_back(load ? Flow{memory, gpu_ref(gpu), {}} : Flow{gpu_ref(gpu), memory, {}}); }
  void add_host(int gpu, bool load) {
    if (binding_.kind == Binding::Kind::kInterleave) {
      set_.tie.resize(set_.flows.size(), -1);
      for (const auto node : memories(g_)) {
        add_one(memory_ref(node), gpu, load);
        set_.tie.push_back(gpu);
      }
      return;
    }
    const auto node = binding_.kind == Binding::Kind::kNode ? std::optional(binding_.node) : local_memory(m_, g_, gpu);
    if (node) add_one(memory_ref(*node), gpu, load);
  }

  const Machine& m_;
  const LinkGraph& g_;
  std::span<const int> gpus_;
  Binding binding_;
  FlowSet set_;
};

}  // namespace

FlowSet flows_of(const Machine& m, const LinkGraph& g, Pattern p, std::span<const int> gpus, const Binding& binding) {
  return Flows(m, g, gpus, binding).of(p);
}

// ---- running them ------------------------------------------------------------------------------------------------------------

RouteCache::RouteCache(const LinkGraph& g) : g_(g) {
  for (const auto& part : g.parts) {
    if (part.kind == Part::Kind::kGpu) ends_.push_back({DeviceRef::Type::kGpu, part.index});
    if (part.kind == Part::Kind::kNic) ends_.push_back({DeviceRef::Type::kNic, part.index});
    if (part.kind == Part::Kind::kMemory) ends_.push_back({DeviceRef::Type::kNode, part.index});
  }
}

const Route* RouteCache::of(DeviceRef from, DeviceRef to) {
  auto& row = routes_[from];
  if (row.empty()) {
    auto routes = find_routes(g_, from, ends_);
    for (std::size_t i = 0; i < ends_.size(); ++i) row[ends_[i]] = std::move(routes[i]);
  }
  const auto found = row.find(to);
  return found != row.end() && found->second ? &*found->second : nullptr;
}

Prepared::Prepared(const LinkGraph& g, const FlowSet& set, RouteCache& routes) : flows(set.flows.size()) {
  for (const auto& channel : g.channels) capacity.push_back(channel.capacity.gb_per_s.value_or(std::numeric_limits<double>::infinity()));
  std::map<int, std::vector<std::size_t>> ties;
  for (std::size_t f = 0; f < set.flows.size(); ++f) {
    flows[f].route = routes.of(set.flows[f].from, set.flows[f].to);
    const int tie = f < set.tie.size() ? set.tie[f] : -1;
    if (tie < 0) add(set, {f});
    else ties[tie].push_back(f);
  }
  for (const auto& [tie, members] : ties) add(set, members);
}

/// One row of the table: flows that move as a whole each carry their part of it.
void Prepared::add(const FlowSet& set, const std::vector<std::size_t>& members) {
  const auto share = 1.0F / static_cast<float>(members.size());
  std::vector<Use> uses;
  for (const auto f : members) {
    auto& flow = flows[f];
    flow.row = table.size();
    flow.share = static_cast<double>(share);
    if (flow.route == nullptr) continue;
    for (auto use : flow.route->uses) {
      use.weight *= share;
      uses.push_back(use);
    }
    const auto own_limit = [&](double limit, std::string why) {
      uses.push_back({static_cast<std::uint32_t>(capacity.size()), share});
      capacity.push_back(limit);
      own_limits.push_back(std::move(why));
    };
    if (flow.route->ceiling) own_limit(*flow.route->ceiling, flow.route->ceiling_because);
    if (set.flows[f].wanted_gb_per_s) own_limit(*set.flows[f].wanted_gb_per_s, "asks for no more");
  }
  table.add(uses);
}

namespace {

constexpr double kFull = 1 - 1e-6;

FlowRate rate_of(const LinkGraph& g, const Prepared& p, const Shares& shares, const FlowSet& set, std::size_t f) {
  FlowRate r;
  r.flow = set.flows[f];
  const auto& flow = p.flows[f];
  if (flow.route == nullptr) {
    r.cannot_know = "there is no way between them on this machine";
    return r;
  }
  r.cannot_know = flow.route->cannot_know;
  const double rate = shares.rate[flow.row] * flow.share;
  if (!r.cannot_know.empty() || !std::isfinite(rate)) return r;
  r.gb_per_s = rate;
  r.is_bound = !flow.route->unknown.empty();
  const auto limit = shares.limited_by[flow.row];
  if (limit < g.channels.size()) r.limited_by = static_cast<int>(limit);
  else if (limit != kNoChannel) r.why = p.own_limits[limit - g.channels.size()];
  return r;
}

void add_up(Traffic& t) {
  for (const auto& f : t.flows) {
    if (!f.gb_per_s) continue;
    t.slowest = std::min(t.slowest.value_or(*f.gb_per_s), *f.gb_per_s);
    t.total = t.total.value_or(0) + *f.gb_per_s;
  }
}

/// Also those that limit nobody because another link on the same way is just as full.
void find_saturated(const LinkGraph& g, const Prepared& p, const Shares& shares, Traffic& t) {
  std::vector<double> load(g.channels.size(), 0);
  std::vector<int> flows(g.channels.size(), 0);
  for (std::size_t row = 0; row < p.table.size(); ++row)
    for (auto u = p.table.first[row]; u < p.table.first[row + 1]; ++u) {
      const auto& use = p.table.uses[u];
      if (use.channel >= load.size()) continue;
      load[use.channel] += shares.rate[row] * static_cast<double>(use.weight);
      ++flows[use.channel];
    }
  for (std::size_t c = 0; c < load.size(); ++c)
    if (const auto& capacity = g.channels[c].capacity.gb_per_s; capacity && load[c] > *capacity * kFull) t.saturated.push_back({static_cast<int>(c), flows[c]});
  std::stable_sort(t.saturated.begin(), t.saturated.end(), [](const auto& x, const auto& y) { return x.flows > y.flows; });
}

Traffic traffic_of(const LinkGraph& g, const Prepared& p, const FlowSet& set, std::span<const double> capacity) {
  const auto shares = share_max_min(capacity, p.table);
  Traffic t;
  for (std::size_t f = 0; f < set.flows.size(); ++f) t.flows.push_back(rate_of(g, p, shares, set, f));
  add_up(t);
  find_saturated(g, p, shares, t);
  return t;
}

}  // namespace

Traffic run_traffic(const LinkGraph& g, const FlowSet& flows) {
  RouteCache routes(g);
  const Prepared p(g, flows, routes);
  return traffic_of(g, p, flows, p.capacity);
}

// ---- what to fix -------------------------------------------------------------------------------------------------------------

namespace {

constexpr double kWorthIt = 1.02;  // less than 2 % is no reason to open a machine

struct Candidate {
  std::string name;
  std::vector<int> channels;
};

/// The other direction of the same link, or the channel itself.
int reverse_of(const LinkGraph& g, int channel) {
  for (const auto& e : g.edges) {
    if (e.channel != channel) continue;
    for (const auto& back : g.edges)
      if (back.from == e.to && back.to == e.from && g.channels[static_cast<std::size_t>(back.channel)].type == g.channels[static_cast<std::size_t>(channel)].type)
        return back.channel;
  }
  return channel;
}

std::string end_names(const LinkGraph& g, int channel) {
  const auto& c = g.channels[static_cast<std::size_t>(channel)];
  if (c.type == LinkType::kMemory) return c.name;
  for (const auto& e : g.edges)
    if (e.channel == channel)
      return fmt::format("{} between {} and {}", c.kind, g.parts[static_cast<std::size_t>(std::min(e.from, e.to))].name, g.parts[static_cast<std::size_t>(std::max(e.from, e.to))].name);
  return c.name;
}

/// Each saturated link, both directions; then all links of a kind at once.
std::vector<Candidate> candidates(const LinkGraph& g, const Traffic& now) {
  std::vector<Candidate> list;
  std::map<std::string, std::vector<int>> kinds;
  for (const auto& s : now.saturated) {
    auto& kind = kinds[g.channels[static_cast<std::size_t>(s.channel)].kind];
    kind.push_back(s.channel);
    const int back = reverse_of(g, s.channel);
    if (std::any_of(list.begin(), list.end(), [&](const auto& c) { return c.channels.front() == back; })) continue;
    list.push_back({end_names(g, s.channel), back == s.channel ? std::vector{back} : std::vector{s.channel, back}});
  }
  for (auto& [kind, channels] : kinds)
    if (channels.size() > 1) list.push_back({fmt::format("all {} full links of the kind {}", channels.size(), kind), std::move(channels)});
  return list;
}

std::string caveat(const LinkGraph& g, int channel) {
  const auto& capacity = g.channels[static_cast<std::size_t>(channel)].capacity;
  return capacity.basis == Basis::kGuess ? " (its rate is a guess: measure it first)" : "";
}

std::string nothing_to_fix(const LinkGraph& g, const Traffic& now) {
  for (const auto& f : now.flows)
    if (!f.cannot_know.empty()) return fmt::format("It cannot be said which link limits this: {}.", f.cannot_know);
  const auto slow = std::find_if(now.flows.begin(), now.flows.end(), [&](const FlowRate& f) { return f.gb_per_s && f.gb_per_s == now.slowest; });
  if (slow != now.flows.end() && !slow->why.empty())
    return fmt::format("No link is the limit of the slowest flow, which gets {:.1f} GB/s: {}.", *slow->gb_per_s, slow->why);
  const auto unknown = std::count_if(g.channels.begin(), g.channels.end(), [](const Channel& c) { return c.capacity.basis == Basis::kUnknown; });
  if (!now.slowest) return fmt::format("Nothing known limits this traffic; the capacity of {} link directions is unknown: measure them (numapin bench).", unknown);
  return "No single link, and no kind of link, would bring 2 %: the limits are spread over several kinds.";
}

}  // namespace

Advice advise(const LinkGraph& g, const FlowSet& flows, const Traffic& now) {
  Advice best;
  if (!now.slowest || *now.slowest <= 0) return {nothing_to_fix(g, now), {}, {}};
  RouteCache routes(g);
  const Prepared p(g, flows, routes);
  double slowest = *now.slowest, total = *now.total;
  std::string name;
  for (auto& candidate : candidates(g, now)) {
    auto capacity = p.capacity;
    for (const int c : candidate.channels) capacity[static_cast<std::size_t>(c)] *= 2;
    const auto then = traffic_of(g, p, flows, capacity);
    const bool faster = *then.slowest > slowest * kWorthIt;
    const bool more = *then.slowest > slowest * 0.999 && *then.total > total * kWorthIt;
    if (!faster && !more) continue;
    slowest = *then.slowest;
    total = *then.total;
    name = candidate.name;
    best.channels = candidate.channels;
    best.slowest_after = slowest;
  }
  if (best.channels.empty()) return {nothing_to_fix(g, now), {}, {}};
  const auto& first = g.channels[static_cast<std::size_t>(best.channels.front())];
  const bool raises_slowest = slowest > *now.slowest * kWorthIt;
  best.sentence = fmt::format("Fix first: {}; twice {} {:.1f} GB/s would raise {} from {:.1f} to {:.1f} GB/s{}.", name,
                              name.starts_with("all ") ? "their" : "its", *first.capacity.gb_per_s, raises_slowest ? "the slowest flow" : "the sum of all flows",
                              raises_slowest ? *now.slowest : *now.total, raises_slowest ? slowest : total, caveat(g, best.channels.front()));
  return best;
}

}  // namespace numapin
