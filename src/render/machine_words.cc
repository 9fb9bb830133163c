#include "render/machine_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "render/layout.h"
#include "render/topo_parts.h"

namespace numapin::drawing {

// ---- sizes ------------------------------------------------------------------------------------------------------

/// "24 cores x 2 SMT", "16 cores": how many cores have how many threads; empty where no core is known
std::vector<std::string> core_counts(const std::vector<const Core*>& cores) {
  std::map<std::pair<std::string, int>, int> counts;  // (kind, threads) -> cores
  for (const auto* core : cores) ++counts[{core->kind, core->cpus.size()}];
  std::vector<std::string> parts;
  for (auto it = counts.rbegin(); it != counts.rend(); ++it) {  // P before E
    const auto& [kind, threads] = it->first;
    auto part = plural(static_cast<std::size_t>(it->second), kind.empty() ? "core" : clean(kind) + "-core");
    if (threads > 1) part += fmt::format(" x {} SMT", threads);
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<const Core*> cores_within(const Machine& m, const CpuSet& cpus) {
  std::vector<const Core*> found;
  for (const auto& core : m.cores) {
    if (core.cpus.intersects(cpus)) found.push_back(&core);
  }
  return found;
}

namespace {

std::uint64_t total_memory(const Machine& m) {
  std::uint64_t total = 0;
  for (const auto& node : m.nodes) {
    if (dram_nodes(m).contains(node.id)) total += node.memory_total_bytes.value_or(0);
  }
  return total;
}

}  // namespace

/// "48 CPUs", "(16 cores x 2 SMT", "+ 8 cores)": phrases that a line may break between
std::vector<std::string> cpu_phrases(const Machine& m) {
  const auto online = online_cpus(m);
  if (online.empty()) return {};
  std::vector<std::string> phrases = {plural(static_cast<std::size_t>(online.size()), "CPU")};
  const auto counts = core_counts(cores_within(m, online));
  for (std::size_t i = 0; i < counts.size(); ++i) phrases.push_back((i == 0 ? "(" : "+ ") + counts[i]);
  if (!counts.empty()) phrases.back() += ")";
  return phrases;
}

std::vector<std::string> size_phrases(const Machine& m) {
  std::vector<std::string> phrases;
  if (m.packages.size() > 1) phrases.push_back(plural(m.packages.size(), "package"));
  phrases.push_back(m.nodes.empty() ? "NUMA nodes unknown" : plural(m.nodes.size(), "NUMA node"));
  const auto with_cpus = static_cast<std::size_t>(cpu_nodes(m).size());
  if (with_cpus > 0 && with_cpus < m.nodes.size()) phrases.back() += fmt::format(" ({} with CPUs)", with_cpus);
  if (const auto total = total_memory(m); total > 0) phrases.push_back(size_text(total));
  phrases.push_back(m.gpus.empty() ? "no GPU" : plural(m.gpus.size(), "GPU"));
  return phrases;
}

// ---- nodes ------------------------------------------------------------------------------------------------------

bool has_cpus(const NumaNode& node) { return node.cpus && !node.cpus->empty(); }
bool has_no_memory(const NumaNode& node) { return node.memory_total_bytes && *node.memory_total_bytes == 0; }

/// "GPU memory", "CXL memory", ...; "" for the ordinary kind
std::string kind_words(const Machine& m, const NumaNode& node) {
  if (node.gpu) {
    const auto* gpu = find_gpu(m, *node.gpu);
    if (gpu != nullptr) return fmt::format("memory of GPU {}", gpu->index);
  }
  switch (node.kind.value_or(MemoryKind::kDram)) {
    case MemoryKind::kHbm: return "HBM";
    case MemoryKind::kCxl: return "CXL memory";
    case MemoryKind::kPmem: return "persistent memory";
    case MemoryKind::kGpu: return "GPU memory";
    case MemoryKind::kDram:
    case MemoryKind::kUnspecified: break;
  }
  return {};
}

namespace {

template <class Device>
bool is_near_only(const Device& device, const NodeSet& nodes) {
  return device.numa_nodes.value_or({}) == nodes;
}

bool has_devices(const Machine& m, const NodeSet& nodes) {
  const auto near = [&](const auto& device) { return is_near_only(device, nodes); };
  return std::any_of(m.gpus.begin(), m.gpus.end(), near) || std::any_of(m.nics.begin(), m.nics.end(), near) ||
         std::any_of(m.nvme.begin(), m.nvme.end(), near);
}

/// A node with neither CPUs nor memory nor devices: Grace keeps seven a GPU for MIG instances.
bool is_empty(const Machine& m, const NumaNode& node) {
  return node.cpus && node.cpus->empty() && has_no_memory(node) && !has_devices(m, NodeSet::of(node.id));
}

}  // namespace

std::vector<int> gpus_near(const Machine& m, NodeId node) {
  std::vector<int> found;
  for (const auto& gpu : m.gpus) {
    if (gpu.numa_nodes && gpu.numa_nodes->contains(node)) found.push_back(gpu.index);
  }
  return found;
}

NodeSet empty_nodes(const Machine& m) {
  NodeSet empty;
  for (const auto& node : m.nodes) {
    if (is_empty(m, node)) empty.insert(node.id);
  }
  return empty;
}

std::vector<int> gpus_of_unknown_node(const Machine& m) {
  std::vector<int> unknown;
  for (const auto& gpu : m.gpus) {
    if (!gpu.numa_nodes) unknown.push_back(gpu.index);
  }
  return unknown;
}

UnknownNodeAdvice unknown_node_advice(const Machine& m) {
  const auto choices = dram_nodes(m);
  if (choices.size() < 2) return {"the source of this machine does not tell.", ""};
  UnknownNodeAdvice advice;
  advice.why = fmt::format("the kernel gives these devices no node (numa_node -1), nor any bridge above them, and "
                           "nodes {} all have memory. numapin does not guess.", choices.to_list());
  if (gpus_of_unknown_node(m).empty()) return advice;
  advice.what_to_do = "measure which node is near, or ask the owner of the firmware or hypervisor for PCI locality "
                      "(ACPI _PXM). To place a job by hand: numapin run --gpu N --cpunodebind=NODE --preferred=NODE -- "
                      "COMMAND";
  return advice;
}

// ---- devices ----------------------------------------------------------------------------------------------------

std::string gpu_model(const Gpu& gpu) {
  if (gpu.model) return clean(*gpu.model);
  const auto vendor = vendor_name(gpu.vendor);
  const auto device = device_name(gpu.vendor, gpu.device);
  if (!device.empty()) return fmt::format("{} {}", vendor, device);
  if (gpu.device == 0) return std::string(vendor);  // a pasted table names the maker at most
  return fmt::format("{} {:04x}", vendor.empty() ? fmt::format("{:04x}", gpu.vendor) : vendor, gpu.device);
}

namespace {

/// What distinguishes a GPU for other tools, where their number is not ours.
std::string gpu_extra(const Machine& m, const Gpu& gpu) {
  std::vector<std::string> parts;
  if (gpu.partition) parts.push_back(fmt::format("partition {}", *gpu.partition));
  if (gpu.nvml_index && *gpu.nvml_index != gpu.index) parts.push_back(fmt::format("nvidia-smi {}", *gpu.nvml_index));
  if (gpu.cuda_ordinal && *gpu.cuda_ordinal != gpu.index) parts.push_back(fmt::format("CUDA {}", *gpu.cuda_ordinal));
  if (!gpu.mig.empty()) parts.push_back(plural(gpu.mig.size(), "MIG instance"));
  for (const auto& link : m.links) {
    const DeviceRef self{DeviceRef::Type::kGpu, gpu.index};
    if (link.from == self && link.kind == LinkKind::kC2c) parts.push_back(fmt::format("C2C to node {}", link.to.index));
  }
  return join(parts, ", ");
}

DrawnDevice drawn(const Machine& m, const Gpu& gpu) {
  constexpr std::size_t kShortUuid = 12;  // "GPU-" and the first group: what people say, and unique in practice
  return {gpu.address, fmt::format("GPU {}", gpu.index), gpu_model(gpu),
          clean(gpu.uuid.value_or("").substr(0, kShortUuid)), gpu_extra(m, gpu), true};
}

DrawnDevice drawn(const Nic& nic) {
  std::string what = nic.infiniband ? "RDMA" : "network";
  if (nic.speed_mb_per_s) what += fmt::format(" {:g} Gbit/s", *nic.speed_mb_per_s / 1000.0);
  std::vector<std::string> others;
  for (const auto& name : nic.interfaces) {
    if (name != nic.name) others.push_back(clean(name));
  }
  return {nic.address, nic.name.empty() ? fmt::format("NIC {}", nic.index) : clean(nic.name), what,
          join(others, ", "), "", false};
}

DrawnDevice drawn(const Nvme& nvme) {
  return {nvme.address, nvme.name.empty() ? fmt::format("NVMe {}", nvme.index) : clean(nvme.name), "NVMe", "", "", false};
}

}  // namespace

std::vector<DrawnDevice> devices_near(const Machine& m, const NodeSet& nodes) {
  std::vector<DrawnDevice> found;
  for (const auto& gpu : m.gpus) {
    if (is_near_only(gpu, nodes)) found.push_back(drawn(m, gpu));
  }
  for (const auto& nic : m.nics) {
    if (is_near_only(nic, nodes)) found.push_back(drawn(nic));
  }
  for (const auto& nvme : m.nvme) {
    if (is_near_only(nvme, nodes)) found.push_back(drawn(nvme));
  }
  return found;
}

std::vector<NodeSet> shared_node_sets(const Machine& m) {
  std::vector<NodeSet> sets;
  const auto add = [&](const Fact<NodeSet>& nodes) {
    if (nodes && nodes->size() > 1 && std::find(sets.begin(), sets.end(), *nodes) == sets.end()) sets.push_back(*nodes);
  };
  for (const auto& gpu : m.gpus) add(gpu.numa_nodes);
  for (const auto& nic : m.nics) add(nic.numa_nodes);
  for (const auto& nvme : m.nvme) add(nvme.numa_nodes);
  std::sort(sets.begin(), sets.end());
  return sets;
}

// ---- links ------------------------------------------------------------------------------------------------------

std::string nearest_nics(const Machine& m, int gpu) {
  std::optional<LinkKind> best;
  std::string names;
  for (const auto& nic : m.nics) {
    const auto* link = find_link(m, {DeviceRef::Type::kGpu, gpu}, {DeviceRef::Type::kNic, nic.index});
    // Only RDMA devices move GPU data by themselves; and through the CPUs' interconnect none is near.
    if (!nic.infiniband || link == nullptr || link->kind >= LinkKind::kSys || (best && link->kind > *best)) continue;
    if (best && link->kind < *best) names.clear();
    best = link->kind;
    names += (names.empty() ? "" : ",") + (nic.name.empty() ? fmt::format("NIC{}", nic.index) : clean(nic.name));
  }
  return best ? fmt::format("{} {}", names, to_string(*best)) : "";
}

std::string_view legend_of(LinkKind kind) {
  switch (kind) {
    case LinkKind::kSelf: return "itself";
    case LinkKind::kNvlink: return "a bonded set of # NVLinks";
    case LinkKind::kXgmi: return "AMD Infinity Fabric between GPUs";
    case LinkKind::kC2c: return "NVLink-C2C between GPU and CPU";
    case LinkKind::kPix: return "at most one PCIe bridge";
    case LinkKind::kPxb: return "several PCIe bridges, no host bridge";
    case LinkKind::kPhb: return "a PCIe host bridge (the CPU)";
    case LinkKind::kNode: return "between PCIe host bridges of one NUMA node";
    case LinkKind::kSys: return "across the interconnect between NUMA nodes";
    case LinkKind::kSoc: return "across the interconnect between sockets";
    case LinkKind::kDisconnected: return "not connected";
  }
  return {};
}

}  // namespace numapin::drawing
