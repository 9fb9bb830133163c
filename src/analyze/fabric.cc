// Many identical machines under a fat tree: the machine's graph is made once, its channels and routes are counted on.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "numapin/analyze.h"

namespace numapin {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

DeviceRef gpu_ref(int index) { return {DeviceRef::Type::kGpu, index}; }
DeviceRef nic_ref(int index) { return {DeviceRef::Type::kNic, index}; }

/// A spine for a flow, as a switch's hash would choose: fixed, and blind to load. Mixing constants: SplitMix64 (Steele 2014).
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Of a leaf to a spine, each way: some 100 MB.
constexpr std::size_t kMostWays = 4'000'000;

struct Rail {
  int gpu = 0;
  Route out, in;             ///< GPU to the wire of its NIC, and back
};

class Cluster {
 public:
  Cluster(const LinkGraph& g, const Fabric& f) : g_(g), f_(f) {}

  Result<FabricTraffic> run(const Machine& m, bool aligned) {
    NUMAPIN_CHECK_OK(find_rails(m));
    NUMAPIN_CHECK_OK(find_inside(m));
    if (f_.rail_optimized && f_.leaves < static_cast<int>(rails_.size()))
      return bad_input(fmt::format("build the fabric: {} leaves for {} rails", f_.leaves, rails_.size()),
                       "a rail-optimized fabric has at least one leaf a rail: raise leaves, or set rail_optimized to false");
    if (leaves() * ways() > kMostWays)
      return bad_input(fmt::format("build the fabric: {} leaves with {} spines each", leaves(), spines()),
                       fmt::format("{} ways between leaves and spines are the most; \"spread\": true counts a leaf's as one", kMostWays));
    fill_capacities();
    add_flows(aligned);
    return result();
  }

 private:
  /// One rail for each NIC that a GPU is paired with.
  Result<void> find_rails(const Machine& m) {
    std::vector<int> gpus;
    for (const auto& gpu : m.gpus) gpus.push_back(gpu.index);
    std::set<int> nics;
    for (const auto& pair : pair_nics(m, g_, gpus)) {
      if (!nics.insert(pair.nic).second) continue;
      const auto out = find_route(g_, gpu_ref(pair.gpu), nic_ref(pair.nic));
      const auto in = find_route(g_, nic_ref(pair.nic), gpu_ref(pair.gpu));
      if (out && in) rails_.push_back({pair.gpu, *out, *in});
    }
    if (rails_.empty()) return fail(Error::Kind::kUnsupported, "run a fabric: the machine has no NIC that a GPU reaches", "");
    return {};
  }

  /// The hops of a ring inside a machine; all rings take the same ones, each from its own GPU on.
  Result<void> find_inside(const Machine& m) {
    for (std::size_t i = 0; i < m.gpus.size() && m.gpus.size() > 1; ++i) {
      const auto route = find_route(g_, gpu_ref(m.gpus[i].index), gpu_ref(m.gpus[(i + 1) % m.gpus.size()].index));
      if (!route || !route->cannot_know.empty())
        return fail(Error::Kind::kUnsupported, fmt::format("run a fabric: {}", route ? route->cannot_know : "two GPUs are not connected"), "");
      inside_.push_back(*route);
    }
    for (const auto& part : g_.channels)
      if (part.type == LinkType::kPort && !part.capacity.gb_per_s && !f_.nic_gb_per_s)
        return bad_input("run a fabric: no source tells the rate of the machine's NICs", "set nic_gb_per_s in the fabric file");
    return {};
  }

  std::size_t machines() const { return static_cast<std::size_t>(f_.machines); }
  std::size_t leaves() const { return static_cast<std::size_t>(f_.leaves); }
  std::size_t spines() const { return static_cast<std::size_t>(f_.spines); }
  /// Up channels of a leaf: one for all spines together, or one each.
  std::size_t ways() const { return f_.spread ? 1 : spines(); }
  std::size_t first_up() const { return machines() * g_.channels.size(); }
  std::size_t first_down() const { return first_up() + leaves() * ways(); }

  void fill_capacities() {
    std::vector<double> one;
    for (const auto& c : g_.channels) {
      const auto known = c.type == LinkType::kPort && !c.capacity.gb_per_s ? f_.nic_gb_per_s : c.capacity.gb_per_s;
      one.push_back(known.value_or(kInfinite));
    }
    capacity_.reserve(first_down() + leaves() * ways());
    for (std::size_t i = 0; i < machines(); ++i) capacity_.insert(capacity_.end(), one.begin(), one.end());
    const double pair = f_.links_per_pair * f_.leaf_spine_gb_per_s;
    capacity_.resize(first_down() + leaves() * ways(), f_.spread ? pair * f_.spines : pair);
  }

  std::size_t leaf_of(std::size_t machine, std::size_t rail) const {
    if (!f_.rail_optimized) return machine * leaves() / machines();
    const auto per_rail = leaves() / rails_.size();
    return rail * per_rail + machine * per_rail / machines();
  }

  void append(const Route& r, std::size_t machine) {
    const auto base = static_cast<std::uint32_t>(machine * g_.channels.size());
    for (const auto& use : r.uses)
      if (capacity_[use.channel] < kInfinite) flow_.push_back({base + use.channel, use.weight});
    if (!r.ceiling) return;
    flow_.push_back({static_cast<std::uint32_t>(capacity_.size()), 1});
    capacity_.push_back(*r.ceiling);
  }

  void add_hop(std::size_t machine, std::size_t from_rail, std::size_t to_rail) {
    const auto next = (machine + 1) % machines();
    flow_.clear();
    append(rails_[from_rail].out, machine);
    const auto here = leaf_of(machine, from_rail), there = leaf_of(next, to_rail);
    if (here != there) {
      const auto way = f_.spread ? 0 : mix(machine * rails_.size() + from_rail) % spines();
      flow_.push_back({static_cast<std::uint32_t>(first_up() + here * ways() + way), 1});
      flow_.push_back({static_cast<std::uint32_t>(first_down() + there * ways() + way), 1});
    }
    append(rails_[to_rail].in, next);
    table_.add(flow_);
    is_hop_.push_back(true);
  }

  void add_flows(bool aligned) {
    const auto per_machine = rails_.size() * (inside_.size() + 1);
    table_.first.reserve(machines() * per_machine + 1);
    is_hop_.reserve(machines() * per_machine);
    for (std::size_t m = 0; m < machines(); ++m)
      for (std::size_t rail = 0; rail < rails_.size(); ++rail) {
        for (const auto& hop : inside_) {
          flow_.clear();
          append(hop, m);
          table_.add(flow_);
          is_hop_.push_back(false);
        }
        if (machines() > 1) add_hop(m, rail, aligned ? rail : (rail + 1) % rails_.size());
      }
  }

  std::string level_of(std::size_t channel) const {
    if (channel < first_up()) {
      switch (g_.channels[channel % g_.channels.size()].type) {
        case LinkType::kPort: return "NIC ports";
        case LinkType::kPcie: return "PCIe in the machines";
        case LinkType::kNvlink:
        case LinkType::kXgmi: return "GPU links in the machines";
        default: return "the CPUs' links in the machines";
      }
    }
    if (channel < first_down()) return "leaf to spine";
    return channel < first_down() + leaves() * ways() ? "spine to leaf" : "the CPUs' limit for device traffic";
  }

  /// Slowest flow first: the channel that limits it, or nothing.
  std::pair<double, std::uint32_t> slowest_of(const Shares& shares) const {
    std::pair<double, std::uint32_t> least{kInfinite, kNoChannel};
    for (std::size_t f = 0; f < shares.rate.size(); ++f)
      if (shares.rate[f] < least.first) least = {shares.rate[f], shares.limited_by[f]};
    return least;
  }

  Result<FabricTraffic> result() {
    const auto shares = share_max_min(capacity_, table_);
    const auto [slowest, channel] = slowest_of(shares);
    if (channel == kNoChannel) return fail(Error::Kind::kUnsupported, "run a fabric: no capacity of this machine is known", "measure it: numapin bench");
    FabricTraffic t;
    t.flows = table_.size();
    t.channels = capacity_.size();
    t.slowest = slowest;
    for (std::size_t f = 0; f < shares.rate.size(); ++f)
      if (is_hop_[f] && std::isfinite(shares.rate[f])) t.total += shares.rate[f];
    t.slowest_limited_by = level_of(channel);
    fill_levels(t, shares);
    t.sentence = sentence(t);
    return t;
  }

  void fill_levels(FabricTraffic& t, const Shares& shares) const {
    std::vector<bool> used(capacity_.size()), saturated(capacity_.size());
    for (const auto& use : table_.uses) used[use.channel] = true;
    for (const auto c : shares.limited_by)
      if (c != kNoChannel) saturated[c] = true;
    std::map<std::string, FabricTraffic::Level> levels;
    for (std::size_t c = 0; c < capacity_.size(); ++c) {
      if (!used[c]) continue;
      auto& level = levels[level_of(c)];
      ++level.of;
      level.saturated += saturated[c];
    }
    for (auto& [name, level] : levels) {
      level.name = name;
      t.levels.push_back(level);
    }
  }

  std::string sentence(const FabricTraffic& t) {
    // Both directions between leaves and spines are one cable.
    const auto is_limit = [&](const std::string& level) {
      return level == t.slowest_limited_by || (level.find("spine") != level.npos && t.slowest_limited_by.find("spine") != t.slowest_limited_by.npos);
    };
    auto doubled = capacity_;
    std::map<std::size_t, bool> kinds;  // a machine's channels are alike in all machines
    for (std::size_t c = 0; c < doubled.size(); ++c) {
      const auto kind = c < first_up() ? c % g_.channels.size() : c < first_down() ? g_.channels.size() : g_.channels.size() + 1;
      const auto [at, is_new] = kinds.try_emplace(kind, false);
      if (is_new) at->second = is_limit(level_of(c));
      if (at->second) doubled[c] *= 2;
    }
    const double then = slowest_of(share_max_min(doubled, table_)).first;
    return fmt::format("Fix first: {}; twice their rate would raise the slowest flow from {:.1f} to {:.1f} GB/s.", t.slowest_limited_by, t.slowest, then);
  }

  const LinkGraph& g_;
  const Fabric& f_;
  std::vector<Rail> rails_;
  std::vector<Route> inside_;
  std::vector<double> capacity_;
  FlowTable table_;
  std::vector<bool> is_hop_;
  std::vector<Use> flow_;
};

}  // namespace

Result<FabricTraffic> run_fabric(const Machine& m, const LinkGraph& g, const Fabric& f, bool aligned) { return Cluster(g, f).run(m, aligned); }

}  // namespace numapin
