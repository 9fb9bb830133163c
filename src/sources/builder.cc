#include "sources/builder.h"

#include <fmt/format.h>

#include <algorithm>

namespace numapin {
namespace {

/// Removes the groups that overlap an earlier one, are empty, or hold CPUs that are not online.
template <class T>
void drop_groups(Machine& m, std::vector<T>& groups, std::string_view what) {
  CpuSet seen;
  std::erase_if(groups, [&](const T& group) {
    const bool bad = group.cpus.intersects(seen) || (m.online && !m.online->contains(group.cpus));
    if (bad) m.notes.push_back(fmt::format("{} {} is left out: it overlaps another, or has CPUs that are not online", what, group.cpus.to_list()));
    else seen |= group.cpus;
    return bad;
  });
}

void check_places(const Machine& m, Core& core) {
  const auto* node = core.node ? find_node(m, *core.node) : nullptr;
  if (core.node && (node == nullptr || (node->cpus && !node->cpus->contains(core.cpus)))) core.node.reset();
  if (!core.package) return;
  const auto package = std::find_if(m.packages.begin(), m.packages.end(), [&](const Package& p) { return p.id == *core.package; });
  if (package == m.packages.end() || !package->cpus.contains(core.cpus)) core.package.reset();
}

}  // namespace

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

void drop_contradictions(Machine& m) {
  if (m.online && m.offline && m.online->intersects(*m.offline)) {
    m.notes.push_back(fmt::format("CPUs {} are called both online and offline", (*m.online & *m.offline).to_list()));
    m.offline = {};
  }
  for (auto& node : m.nodes) {
    if (!node.cpus || !m.online || m.online->contains(*node.cpus)) continue;
    m.notes.push_back(fmt::format("node {} is said to have CPUs {}, which are not online", number(node.id), (*node.cpus - *m.online).to_list()));
    node.cpus = {};
  }
  drop_groups(m, m.packages, "package");
  drop_groups(m, m.cores, "core");
  drop_groups(m, m.l3, "L3 group");
  for (auto& core : m.cores) check_places(m, core);
}

void drop_repeated_names(Machine& m) {
  std::map<std::string, int> uuids;
  std::map<int, int> numbers;
  for (const auto& gpu : m.gpus) {
    if (gpu.uuid && !gpu.partition) ++uuids[*gpu.uuid];
    if (gpu.nvml_index) ++numbers[*gpu.nvml_index];
  }
  for (auto& gpu : m.gpus) {
    if (gpu.uuid && !gpu.partition && uuids[*gpu.uuid] > 1) gpu.uuid = {};
    if (gpu.nvml_index && numbers[*gpu.nvml_index] > 1) gpu.nvml_index = {};
  }
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
