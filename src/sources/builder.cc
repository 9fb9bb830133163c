#include "sources/builder.h"

#include <algorithm>

namespace numapin {

NumaNode& node_of(Machine& m, NodeId id) {
  auto at = std::lower_bound(m.nodes.begin(), m.nodes.end(), id,
                             [](const NumaNode& n, NodeId wanted) { return n.id < wanted; });
  if (at == m.nodes.end() || at->id != id) {
    at = m.nodes.insert(at, NumaNode{});
    at->id = id;
  }
  return *at;
}

void mark_memory_only_nodes(Machine& m, Source source) {
  for (auto& node : m.nodes)
    if (!node.kind && node.cpus && node.cpus->empty() && node.memory_total_bytes.value_or(0) > 0)
      node.kind = {MemoryKind::kUnspecified, source};
}

void set_links(Machine& m, LinkMap links) {
  const auto stated = links;
  for (const auto& [ends, link] : stated) links.emplace(std::pair(ends.second, ends.first), link);
  m.links.clear();
  for (auto& [ends, link] : links) {
    link.from = ends.first;
    link.to = ends.second;
    m.links.push_back(std::move(link));
  }
}

}  // namespace numapin
