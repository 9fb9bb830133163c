// node: every usable CPU of the GPUs' nodes.
#include <fmt/format.h>

#include "plan/policy.h"

namespace numapin {
namespace {

NodeSet wanted_nodes(const Demand& d, const Process& p) {
  NodeSet nodes;
  for (const auto seat : p.seats) nodes |= d.seats[seat].where.cpu_nodes;
  return nodes;
}

}  // namespace

std::vector<Share> place_node(const Ground& g, const Demand& d) {
  const auto homes = home_nodes(g, d);
  std::vector<Share> shares;
  for (const auto& process : d.processes) {
    Share share;
    const auto nodes = nodes_of(process, homes);
    if (!process.unknown && !nodes.empty()) {
      const auto all = cpus_of(g.m, nodes);
      share.cpus = g.cpus_on(nodes);
      share.because = reasons_of(d, process);
      if (!(nodes == wanted_nodes(d, process)))
        share.because = fmt::format("{} of {}, dealt out among the GPUs there", node_words(nodes), share.because);
      const auto allowed = (all & g.allowed).size();
      share.because += allowed == all.size() ? fmt::format(", all {} allowed", allowed)
                                             : fmt::format(", {} of {} allowed", allowed, all.size());
    }
    shares.push_back(std::move(share));
  }
  return shares;
}

}  // namespace numapin
