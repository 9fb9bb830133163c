// Questions to a machine that need no decision. All are linear scans: no precondition on the order of the vectors,
// and a big server has a few hundred PCI functions.
#include <algorithm>

#include "machine/distance.h"
#include "numapin/machine.h"

namespace numapin {

namespace {


template <class T, class Predicate>
const T* find_where(const std::vector<T>& all, Predicate is_it) {
  const auto found = std::find_if(all.begin(), all.end(), is_it);
  return found == all.end() ? nullptr : &*found;
}

template <class Predicate>
NodeSet nodes_where(const Machine& m, Predicate is_wanted) {
  NodeSet found;
  for (const auto& node : m.nodes)
    if (is_wanted(node)) found.insert(node.id);
  return found;
}

bool may_have_memory(const NumaNode& node) { return node.memory_total_bytes.value_or(1) > 0; }

}  // namespace

const NumaNode* find_node(const Machine& m, NodeId id) {
  return find_where(m.nodes, [&](const NumaNode& n) { return n.id == id; });
}
const Gpu* find_gpu(const Machine& m, const PciAddress& address) {
  return find_where(m.gpus, [&](const Gpu& g) { return g.address == address; });
}
const PciDevice* find_pci(const Machine& m, const PciAddress& address) {
  return find_where(m.pci, [&](const PciDevice& d) { return d.address == address; });
}
const Link* find_link(const Machine& m, DeviceRef from, DeviceRef to) {
  return find_where(m.links, [&](const Link& l) { return l.from == from && l.to == to; });
}

NodeSet cpu_nodes(const Machine& m) {
  return nodes_where(m, [](const NumaNode& n) { return n.cpus && !n.cpus->empty(); });
}
NodeSet memory_nodes(const Machine& m) { return nodes_where(m, may_have_memory); }
NodeSet dram_nodes(const Machine& m) {
  return nodes_where(m, [](const NumaNode& n) { return may_have_memory(n) && n.kind.value != MemoryKind::kGpu; });
}

CpuSet cpus_of(const Machine& m, const NodeSet& nodes) {
  CpuSet cpus;
  for (const auto& node : m.nodes)
    if (nodes.contains(node.id) && node.cpus) cpus |= *node.cpus;
  return cpus;
}

CpuSet online_cpus(const Machine& m) {
  if (m.online) return *m.online;
  CpuSet cpus;
  for (const auto& node : m.nodes)
    if (node.cpus) cpus |= *node.cpus;
  for (const auto& core : m.cores) cpus |= core.cpus;
  return cpus;
}

std::optional<int> distance(const Machine& m, NodeId from, NodeId to) {
  const auto* node = find_node(m, from);
  if (!node) return std::nullopt;
  if (node->distances)
    if (const auto found = node->distances->find(number(to)); found != node->distances->end()) return found->second;
  if (from == to) return kLocalDistance;
  return std::nullopt;
}

std::vector<const PciDevice*> upstream(const Machine& m, const PciDevice& device) {
  std::vector<const PciDevice*> bridges;
  auto above = device.parent;
  // The bound keeps a damaged recording, where parents form a ring, from running for ever.
  while (above && bridges.size() < m.pci.size()) {
    const auto* bridge = find_pci(m, *above);
    if (!bridge) break;
    bridges.push_back(bridge);
    above = bridge->parent;
  }
  return bridges;
}

std::optional<NarrowestLink> narrowest_link(const Machine& m, const PciDevice& device) {
  std::optional<NarrowestLink> narrowest;
  const auto consider = [&](const PciDevice& d) {
    if (!d.link || d.link->width <= 0 || d.link->gt_per_s <= 0) return;
    if (!narrowest || d.link->gb_per_s() < narrowest->link.gb_per_s()) narrowest = NarrowestLink{*d.link, d.address};
  };
  consider(device);
  for (const auto* bridge : upstream(m, device)) consider(*bridge);
  return narrowest;
}

}  // namespace numapin
