#include <fmt/format.h>

#include <algorithm>

#include "render/topo.h"

namespace numapin {
namespace {

// nvidia-smi's own words, of driver 535 and later.
constexpr std::string_view kLegend =
    "\nLegend:\n\n"
    "  X    = Self\n"
    "  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)\n"
    "  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node\n"
    "  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)\n"
    "  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)\n"
    "  PIX  = Connection traversing at most a single PCIe bridge\n"
    "  NV#  = Connection traversing a bonded set of # NVLinks\n";
constexpr std::string_view kXgmiLegend = "  XGMI = Connection traversing AMD Infinity Fabric (not a word of nvidia-smi)\n";

struct Device {
  DeviceRef ref;
  std::string name;
};

/// nvidia-smi lists RDMA devices only. A text that names NICs without an address took them from such a table.
std::vector<const Nic*> listed_nics(const Machine& m) {
  std::vector<const Nic*> listed;
  for (const auto& nic : m.nics)
    if (nic.infiniband || !nic.address) listed.push_back(&nic);
  return listed;
}

std::vector<Device> rows(const Machine& m) {
  std::vector<Device> all;
  for (const auto& gpu : m.gpus) all.push_back({{DeviceRef::Type::kGpu, gpu.index}, fmt::format("GPU{}", gpu.index)});
  int number = 0;
  for (const auto* nic : listed_nics(m)) all.push_back({{DeviceRef::Type::kNic, nic->index}, fmt::format("NIC{}", number++)});
  return all;
}

std::string cell(const Machine& m, const DeviceRef& from, const DeviceRef& to) {
  if (from == to) return " X ";
  const auto* link = find_link(m, from, to);
  return link == nullptr ? "N/A" : to_string(*link);
}

/// What stands under CPU Affinity, NUMA Affinity and GPU NUMA ID.
std::string affinity(const Machine& m, const Gpu& gpu) {
  CpuSet cpus = gpu.local_cpus.value_or({});
  if (cpus.empty() && gpu.numa_nodes) cpus = cpus_of(m, *gpu.numa_nodes);
  const auto or_na = [](std::string text) { return text.empty() ? "N/A" : text; };
  // The empty field is nvidia-smi's: it widens the column to that of its heading.
  return fmt::format("\t{}\t{}\t\t{}", or_na(cpus.to_list()), or_na(gpu.numa_nodes.value_or({}).to_list()),
                     gpu.memory_node ? std::to_string(number(*gpu.memory_node)) : "N/A");
}

std::string nic_legend(const Machine& m) {
  std::string text;
  int number = 0;
  for (const auto* nic : listed_nics(m)) {
    const auto address = nic->address ? nic->address->to_string() : "N/A";
    text += fmt::format("  NIC{}: {}\n", number++, nic->name.empty() ? address : nic->name);
  }
  return text.empty() ? text : "\nNIC Legend:\n\n" + text;
}

}  // namespace

std::string smi_topo_matrix(const Machine& m) {
  const auto devices = rows(m);
  std::string text;
  for (const auto& column : devices) text += "\t" + column.name;
  text += "\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n";
  bool xgmi = false;
  for (const auto& row : devices) {
    text += row.name;
    for (const auto& column : devices) text += "\t" + cell(m, row.ref, column.ref);
    const bool is_gpu = row.ref.type == DeviceRef::Type::kGpu;
    text += is_gpu ? affinity(m, m.gpus[static_cast<std::size_t>(row.ref.index)]) : "\t\t\t\t";
    text += '\n';
  }
  for (const auto& link : m.links) xgmi |= link.kind == LinkKind::kXgmi;
  text += kLegend;
  if (xgmi) text += kXgmiLegend;
  return text + nic_legend(m);
}

}  // namespace numapin
