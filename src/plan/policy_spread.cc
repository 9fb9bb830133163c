// spread: the cores of every allowed node, divided among the processes, so that each has some of every node.
#include <fmt/format.h>

#include "plan/policy.h"

namespace numapin {

std::vector<Share> place_spread(const Ground& g, const Demand& d) {
  const auto count = d.processes.size();
  std::vector<Share> shares(count);
  std::size_t extra = 0;  // who gets the next odd core: nobody is a second one ahead
  for (const auto& [node, cores] : g.cores) {
    const auto base = cores.size() / count, odd = cores.size() % count;
    std::size_t next = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const bool gets_odd = (i + count - extra) % count < odd;
      for (auto end = next + base + (gets_odd ? 1 : 0); next < end; ++next) shares[i].cpus |= cores[next].cpus;
    }
    extra = (extra + odd) % count;
  }
  const auto all = g.cores_on(g.cpu_nodes);
  for (std::size_t i = 0; i < count; ++i) {
    shares[i].because = fmt::format("share {} of {} of the cores of {}", i + 1, count, node_words(g.cpu_nodes));
    if (all.size() >= count || all.empty()) continue;
    shares[i].cpus = all[i * all.size() / count].cpus;
    shares[i].warnings.push_back(fmt::format("{} allowed cores for {} processes: they overlap. Allow more CPUs, or start "
                                             "fewer",
                                             all.size(), count));
  }
  return shares;
}

}  // namespace numapin
