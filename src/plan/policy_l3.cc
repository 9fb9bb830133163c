// l3: the usable CPUs of one L3 group (core complex). The GPUs of a node take its groups in turn.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "plan/policy.h"

namespace numapin {
namespace {

/// The L3 groups of the nodes that have usable cores, in their order, with those cores' CPUs.
std::vector<CpuSet> l3_groups(const Ground& g, const NodeSet& nodes) {
  std::map<int, CpuSet> groups;
  for (const auto& core : g.cores_on(nodes))
    if (core.l3 >= 0) groups[core.l3] |= core.cpus;
  std::vector<CpuSet> cpus;
  for (auto& [l3, set] : groups) cpus.push_back(std::move(set));
  return cpus;
}

}  // namespace

std::vector<Share> place_l3(const Ground& g, const Demand& d) {
  const auto homes = home_nodes(g, d);
  std::vector<CpuSet> of_seat(d.seats.size());
  std::vector<std::string> said(d.seats.size());
  std::map<NodeSet, std::size_t> next;  // how many seats of these nodes have theirs
  for (std::size_t i = 0; i < d.seats.size(); ++i) {
    if (homes[i].empty()) continue;
    const auto groups = l3_groups(g, homes[i]);
    if (groups.empty()) continue;
    const auto turn = next[homes[i]]++ % groups.size();
    of_seat[i] = groups[turn];
    said[i] = fmt::format("L3 group {} of {} of {}", turn + 1, groups.size(), node_words(homes[i]));
  }
  auto shares = place_node(g, d);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].cpus.empty()) continue;
    CpuSet cpus;
    std::vector<std::string> why;
    for (const auto seat : d.processes[i].seats) {
      cpus |= of_seat[seat];
      why.push_back(said[seat]);
    }
    if (cpus.empty()) {
      shares[i].warnings.push_back("no source tells the L3 groups of this machine: the node's CPUs are used");
      continue;
    }
    shares[i].cpus = cpus;
    shares[i].because = fmt::format("{} ({})", fmt::join(why, "; "), reasons_of(d, d.processes[i]));
  }
  return shares;
}

}  // namespace numapin
