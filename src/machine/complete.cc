// complete(): what follows from what is known.
#include <algorithm>
#include <map>
#include <tuple>

#include "machine/devices.h"

namespace numapin {

void add_note(Machine& m, std::string note) {
  if (std::find(m.notes.begin(), m.notes.end(), note) == m.notes.end()) m.notes.push_back(std::move(note));
}

namespace {

template <class T, class Key>
void sort_by(std::vector<T>& all, Key key) {
  std::stable_sort(all.begin(), all.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
}

int partition_of(const Gpu& g) { return g.partition.value_or(-1); }
int partition_of(const Nic&) { return -1; }
int partition_of(const Nvme&) { return -1; }

/// Sorts and numbers; returns old index -> new index.
template <class Device>
std::map<int, int> number_in_pci_order(std::vector<Device>& all) {
  sort_by(all, [](const Device& d) {
    const auto address = address_of(d);
    return std::tuple(!address, address.value_or(PciAddress{}), address ? partition_of(d) : 0, d.index);
  });
  std::map<int, int> moved;
  for (std::size_t i = 0; i < all.size(); ++i) {
    moved.emplace(all[i].index, static_cast<int>(i));
    all[i].index = static_cast<int>(i);
  }
  return moved;
}

/// Cores know their node and package by the CPUs, where exactly one holds them all.
void place_cores(Machine& m) {
  for (auto& core : m.cores) {
    std::vector<NodeId> nodes;
    for (const auto& node : m.nodes)
      if (node.cpus && node.cpus->contains(core.cpus)) nodes.push_back(node.id);
    if (!core.node && nodes.size() == 1) core.node = nodes.front();
    std::vector<int> packages;
    for (const auto& package : m.packages)
      if (package.cpus.contains(core.cpus)) packages.push_back(package.id);
    if (!core.package && packages.size() == 1) core.package = packages.front();
  }
}

/// A GPU's own memory node is said by the node or by the GPU: make both say it.
void join_gpu_memory(Machine& m) {
  for (auto& node : m.nodes) {
    for (auto& gpu : m.gpus) {
      if (gpu.partition.value_or(0) != 0) continue;
      if (node.gpu && gpu.address == *node.gpu && !gpu.memory_node) gpu.memory_node = {node.id, node.gpu.source};
      if (gpu.memory_node.value != node.id) continue;
      if (gpu.address && !node.gpu) node.gpu = {*gpu.address, gpu.memory_node.source};
      if (!node.kind || *node.kind == MemoryKind::kUnspecified) node.kind = {MemoryKind::kGpu, gpu.memory_node.source};
    }
  }
}

/// POWER9's firmware numbers the memory of GPUs on NVLink from node 255 downwards (skiboot, npu2_create_memory_dn() of
/// hw/npu2.c). Which GPU's each is, only the driver tells.
void mark_gpu_memory_of_power9(Machine& m) {
  constexpr int kFirst = 255;
  if (m.cpu_model.value_or("").find("POWER9") == std::string::npos) return;
  int wanted = kFirst;
  for (auto node = m.nodes.rbegin(); node != m.nodes.rend() && number(node->id) == wanted; ++node, --wanted) {
    if (!node->cpus || !node->cpus->empty()) return;
    if (!node->kind || *node->kind == MemoryKind::kUnspecified) node->kind = {MemoryKind::kGpu, node->cpus.source};
  }
}

}  // namespace

void put_in_order(Machine& m) {
  sort_by(m.nodes, [](const NumaNode& n) { return n.id; });
  sort_by(m.packages, [](const Package& p) { return p.id; });
  const auto first_cpu = [](const auto& group) { return group.cpus.empty() ? -1 : number(group.cpus.first()); };
  sort_by(m.cores, first_cpu);
  sort_by(m.l3, first_cpu);
  sort_by(m.pci, [](const PciDevice& d) { return d.address; });
  const auto gpus = number_in_pci_order(m.gpus);
  const auto nics = number_in_pci_order(m.nics);
  number_in_pci_order(m.nvme);
  const auto renumber = [&](DeviceRef& ref) {
    const auto& moved = ref.type == DeviceRef::Type::kGpu ? gpus : nics;
    if (ref.type == DeviceRef::Type::kNode) return;
    if (const auto found = moved.find(ref.index); found != moved.end()) ref.index = found->second;
  };
  for (auto& link : m.links) {
    renumber(link.from);
    renumber(link.to);
  }
  sort_by(m.links, [](const Link& l) { return std::pair(l.from, l.to); });
}

void complete(Machine& m) {
  put_in_order(m);
  place_cores(m);
  join_gpu_memory(m);
  mark_gpu_memory_of_power9(m);
  complete_locality(m);
  complete_links(m);
}

}  // namespace numapin
