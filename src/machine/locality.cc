// Which nodes a device is near to: a vote, the best informed source first, each answer with its provenance.
//
// 1. what a user or a measurement said          they looked at this very machine
// 2. the kernel's numa_node of the device       ACPI _PXM, device tree; -1 in many VMs
// 3. any other source                           NVML, KFD, hwloc, nvidia-smi, ...
// 4. the nearest bridge above with a numa_node  functions whose own file says -1
// 5. its CPU list, where that is some nodes' CPUs and not all of them
// 6. the only node with memory
// Otherwise it is unknown: on a machine with several nodes nobody may assume node 0.
#include <fmt/format.h>

#include <algorithm>

#include "machine/devices.h"

namespace numapin {

namespace {

NodeSet all_nodes(const Machine& m) {
  NodeSet all;
  for (const auto& node : m.nodes) all.insert(node.id);
  return all;
}

/// Nodes that only hold a GPU's memory, and the empty ones the driver keeps ready for MIG instances (a GH200 shows
/// eight): nothing can be bound there.
bool is_gpu_memory(const Machine& m, const NumaNode& node) {
  if (!node.cpus || !node.cpus->empty()) return false;
  if (node.kind.value == MemoryKind::kGpu || node.memory_total_bytes.value == 0) return true;
  return std::any_of(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.memory_node.value == node.id; });
}

NodeSet gpu_memory_nodes(const Machine& m) {
  NodeSet found;
  for (const auto& node : m.nodes)
    if (is_gpu_memory(m, node)) found.insert(node.id);
  return found;
}

/// The CPU nodes at the least distance; all of them when no distance is known.
NodeSet nearest_cpu_nodes(const Machine& m, NodeId from) {
  NodeSet nearest;
  std::optional<int> least;
  for (NodeId to : cpu_nodes(m)) {
    const auto d = distance(m, from, to);
    if (!d || (least && *d > *least)) continue;
    if (!least || *d < *least) nearest = {};
    least = d;
    nearest.insert(to);
  }
  return least ? nearest : cpu_nodes(m);
}

/// The part of `said` that a process can be bound to; nothing when it says nothing. What is left out is noted.
std::optional<NodeSet> usable_nodes(Machine& m, const std::string& subject, const Fact<NodeSet>& said) {
  if (!said || said->empty()) return std::nullopt;
  NodeSet nodes = *said;
  const auto all = all_nodes(m);
  if (const auto strange = nodes - all; !all.empty() && !strange.empty()) {
    add_note(m, fmt::format("{}: {} says node {}, which the machine does not have", subject, to_string(said.source),
                            strange.to_list()));
    nodes -= strange;
  }
  const auto gpu_memory = nodes & gpu_memory_nodes(m);
  nodes -= gpu_memory;
  if (nodes.empty() && !gpu_memory.empty()) {
    for (NodeId id : gpu_memory) nodes |= nearest_cpu_nodes(m, id);
    add_note(m, fmt::format("{}: {} says node {}, which has neither CPUs nor ordinary memory; nearest with CPUs: {}",
                            subject, to_string(said.source), gpu_memory.to_list(), nodes.to_list()));
  }
  const auto candidates = cpu_nodes(m).empty() ? all : cpu_nodes(m);
  if (candidates.size() > 1 && nodes.contains(candidates)) {
    add_note(m, fmt::format("{}: {} says it is near every node, which says nothing", subject, to_string(said.source)));
    return std::nullopt;
  }
  if (nodes.empty()) return std::nullopt;
  return nodes;
}

std::optional<NodeSet> usable_node(Machine& m, const PciDevice& d) {
  if (!d.numa_node) return std::nullopt;
  return usable_nodes(m, "pci " + d.address.to_string(), {NodeSet::of(*d.numa_node), d.numa_node.source});
}

/// The PCI function itself, or of a GPU partition that has none of its own the function 0 it is part of.
const PciDevice* find_function(const Machine& m, std::optional<PciAddress> address) {
  if (!address) return nullptr;
  if (const auto* found = find_pci(m, *address)) return found;
  address->function = 0;
  return find_pci(m, *address);
}

Fact<NodeSet> ask_bridges(Machine& m, const PciDevice* function) {
  if (!function) return {};
  std::vector<const PciDevice*> above;
  if (function->physfn)
    if (const auto* physical = find_pci(m, *function->physfn)) {
      above.push_back(physical);
      for (const auto* bridge : upstream(m, *physical)) above.push_back(bridge);
    }
  for (const auto* bridge : upstream(m, *function)) above.push_back(bridge);
  for (const auto* bridge : above)
    if (const auto nodes = usable_node(m, *bridge)) return {*nodes, Source::kBridge};
  return {};
}

/// The nodes whose CPUs together are exactly `cpus`; unknown when that is everything, or two nodes claim the same CPUs.
Fact<NodeSet> ask_cpu_list(const Machine& m, CpuSet cpus) {
  const auto online = online_cpus(m);
  if (!online.empty()) cpus &= online;  // NVML's masks may name CPUs that are offline
  if (cpus.empty() || cpus == online) return {};
  NodeSet equal, inside;
  for (const auto& node : m.nodes) {
    if (!node.cpus || node.cpus->empty() || !cpus.contains(*node.cpus)) continue;
    inside.insert(node.id);
    if (*node.cpus == cpus) equal.insert(node.id);
  }
  if (equal.size() == 1) return {equal, Source::kCpuList};
  if (equal.size() > 1 || cpus_of(m, inside) != cpus || inside.contains(dram_nodes(m))) return {};
  return {inside, Source::kCpuList};
}

/// The one node with memory, where the list of nodes is known to be whole: a text that only mentions the nodes its
/// GPUs are near to proves nothing.
Fact<NodeSet> ask_memory(const Machine& m) {
  const auto nodes = dram_nodes(m);
  if (nodes.size() != 1) return {};
  const auto& node = *find_node(m, nodes.first());
  const bool is_whole = node.memory_total_bytes || (m.online && node.cpus.value == m.online.value);
  if (!is_whole) return {};
  return {nodes, Source::kOneNode};
}

Fact<NodeSet> ask_kernel(Machine& m, const PciDevice* function) {
  if (!function) return {};
  const auto nodes = usable_node(m, *function);
  return nodes ? Fact<NodeSet>{*nodes, function->numa_node.source} : Fact<NodeSet>{};
}

bool is_final(Source s) { return s == Source::kUser || s == Source::kMeasured; }

template <class Device>
Fact<NodeSet> vote(Machine& m, const Device& d) {
  const auto* function = find_function(m, address_of(d));
  if (d.numa_nodes && is_final(d.numa_nodes.source)) return d.numa_nodes;
  const auto kernel = ask_kernel(m, function);
  if (kernel && kernel.source == Source::kSysfs) return kernel;
  const auto said = usable_nodes(m, subject_of(d), d.numa_nodes);
  if (said && !is_derived(d.numa_nodes.source)) return {*said, d.numa_nodes.source};
  if (kernel) return kernel;
  if (auto found = ask_bridges(m, function)) return found;
  if (d.local_cpus)
    if (auto found = ask_cpu_list(m, *d.local_cpus)) return found;
  if (auto found = ask_memory(m)) return found;
  // Derived by an earlier run from facts that this machine does not carry any more.
  if (said && d.numa_nodes.source != Source::kOneNode) return {*said, d.numa_nodes.source};
  return {};
}

template <class Device>
void state_kernel_nodes(Machine& m, std::vector<Device>& devices) {
  for (auto& d : devices) {
    if (d.numa_nodes && !is_derived(d.numa_nodes.source)) continue;
    if (const auto kernel = ask_kernel(m, find_function(m, address_of(d)))) d.numa_nodes = kernel;
  }
}

template <class Device>
void complete_devices(Machine& m, std::vector<Device>& devices) {
  for (auto& d : devices) {
    const auto* function = find_function(m, address_of(d));
    if (!d.local_cpus && function) d.local_cpus = function->local_cpus;
    d.numa_nodes = vote(m, d);
  }
}

}  // namespace

void state_kernel_nodes(Machine& m) {
  state_kernel_nodes(m, m.gpus);
  state_kernel_nodes(m, m.nics);
  state_kernel_nodes(m, m.nvme);
}

void complete_locality(Machine& m) {
  complete_devices(m, m.gpus);
  complete_devices(m, m.nics);
  complete_devices(m, m.nvme);
}

}  // namespace numapin
