// socket: every usable CPU of the packages that the GPUs' nodes belong to.
#include <fmt/format.h>

#include "plan/policy.h"

namespace numapin {

std::vector<Share> place_socket(const Ground& g, const Demand& d) {
  auto shares = place_node(g, d);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].cpus.empty()) continue;
    CpuSet sockets;
    std::vector<int> ids;
    for (const auto& package : g.m.packages) {
      if (!package.cpus.intersects(shares[i].cpus)) continue;
      sockets |= package.cpus;
      ids.push_back(package.id);
    }
    if (ids.empty()) {
      shares[i].warnings.push_back("no source tells the packages of this machine: the node's CPUs are used");
      continue;
    }
    shares[i].cpus |= sockets & g.usable;
    shares[i].because = fmt::format("package {} with {}", fmt::join(ids, ","), reasons_of(d, d.processes[i]));
  }
  return shares;
}

}  // namespace numapin
