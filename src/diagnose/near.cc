#include "diagnose/near.h"

#include <algorithm>

namespace numapin {

std::optional<NearPlace> place_near(const Machine& m, const std::vector<int>& gpus) {
  NearPlace place;
  for (const int index : gpus) {
    const auto gpu = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.index == index; });
    if (gpu == m.gpus.end() || !gpu->numa_nodes) return std::nullopt;
    place.nodes |= *gpu->numa_nodes;
    if (gpu->memory_node) place.memory.insert(*gpu->memory_node);
  }
  if (place.nodes.empty()) return std::nullopt;
  place.cpus = cpus_of(m, place.nodes);
  place.memory |= memory_near(m, place.nodes);
  return place;
}

NodeSet memory_near(const Machine& m, const NodeSet& nodes) {
  const NodeSet with_memory = dram_nodes(m);
  NodeSet out = nodes & with_memory;
  if (!out.empty()) return out;
  std::optional<int> best;
  for (NodeId from : nodes)
    for (NodeId to : with_memory) {
      const auto d = distance(m, from, to);
      if (!d || (best && *d > *best)) continue;
      if (!best || *d < *best) out = {};
      best = d;
      out.insert(to);
    }
  return out.empty() ? with_memory : out;
}

}  // namespace numapin
