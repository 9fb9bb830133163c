// What NVIDIA's library says of the GPUs: identity, affinity, NVLink, MIG. Every call may fail; what it would have said
// stays unknown.
#include <algorithm>
#include <array>
#include <map>

#include "base/numbers.h"
#include "gpu/nvml.h"
#include "numapin/sources.h"

namespace numapin {
namespace {

constexpr Source kFrom = Source::kNvml;
constexpr unsigned kTextLength = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE, the longest text of these calls

template <class Call, class... Args>
std::optional<std::string> text_of(Call call, Args... args) {
  std::array<char, kTextLength> text{};
  if (call == nullptr || call(args..., text.data(), kTextLength) != kNvmlSuccess) return std::nullopt;
  text.back() = '\0';
  const auto s = trim(text.data());
  return s.empty() ? std::nullopt : std::optional<std::string>(s);
}

template <class Call>
std::optional<unsigned> number_of(Call call, NvmlDevice device) {
  unsigned value = 0;
  if (call == nullptr || call(device, &value) != kNvmlSuccess) return std::nullopt;
  return value;
}

std::optional<PciAddress> address_of(const NvmlPciInfo& pci) {
  // The domain field is right for 32-bit domains too; the function is always 0 for what NVML lists.
  if (pci.bus > 0xff || pci.device > 0x1f) return std::nullopt;
  return PciAddress{pci.domain, static_cast<std::uint8_t>(pci.bus), static_cast<std::uint8_t>(pci.device), 0};
}

/// 8,192 bits, the largest NR_CPUS of any kernel.
using Words = std::array<unsigned long, 128>;

template <class Set>
std::optional<Set> set_of(int (*call)(NvmlDevice, unsigned, unsigned long*, unsigned), NvmlDevice device) {
  Words words{};
  if (call == nullptr || call(device, words.size(), words.data(), kNvmlScopeNode) != kNvmlSuccess) return std::nullopt;
  Set set;
  for (std::size_t w = 0; w < words.size(); ++w)
    for (int bit = 0; bit < 64; ++bit)
      if ((words[w] >> bit & 1UL) != 0) set |= Set::range(static_cast<int>(w) * 64 + bit, static_cast<int>(w) * 64 + bit);
  if (set.empty()) return std::nullopt;  // an empty answer is a cgroup's doing, not a fact of the machine (trap 13)
  return set;
}

std::vector<MigInstance> mig_of(const NvmlApi& nvml, NvmlDevice device) {
  unsigned current = 0, pending = 0, count = 0;
  if (nvml.mig_mode == nullptr || nvml.mig_max_count == nullptr || nvml.mig_by_index == nullptr) return {};
  if (nvml.mig_mode(device, &current, &pending) != kNvmlSuccess || current == 0) return {};
  if (nvml.mig_max_count(device, &count) != kNvmlSuccess) return {};
  std::vector<MigInstance> out;
  for (unsigned i = 0; i < count; ++i) {
    NvmlDevice instance = nullptr;
    if (nvml.mig_by_index(device, i, &instance) != kNvmlSuccess) continue;  // slots may be empty
    MigInstance mig;
    mig.uuid = text_of(nvml.uuid, instance).value_or("");
    if (auto id = number_of(nvml.gpu_instance, instance)) mig.gpu_instance = static_cast<int>(*id);
    if (auto id = number_of(nvml.compute_instance, instance)) mig.compute_instance = static_cast<int>(*id);
    NvmlMemory memory{};
    if (nvml.memory_info != nullptr && nvml.memory_info(instance, &memory) == kNvmlSuccess)
      mig.memory_bytes = memory.total;
    // "NVIDIA H100 80GB HBM3 MIG 1g.10gb": the profile is the name's last word
    if (auto name = text_of(nvml.name, instance))
      if (const auto at = name->rfind(" MIG "); at != std::string::npos) mig.profile = name->substr(at + 5);
    out.push_back(std::move(mig));
  }
  return out;
}

struct Device {
  NvmlDevice handle = nullptr;
  std::optional<PciAddress> address;
  int gpu = 0;                            // Gpu::index
  int switch_links = 0;                   // active NVLinks that end in an NVSwitch
  std::map<PciAddress, int> peer_links;   // active NVLinks by the GPU they end in
  std::optional<int> version;
};

void read_nvlinks(const NvmlApi& nvml, Device& d) {
  if (nvml.nvlink_state == nullptr) return;
  for (unsigned link = 0; link < kNvmlMaxLinks; ++link) {
    int active = 0;
    if (nvml.nvlink_state(d.handle, link, &active) != kNvmlSuccess || active == 0) continue;
    unsigned version = 0;
    if (nvml.nvlink_version != nullptr && nvml.nvlink_version(d.handle, link, &version) == kNvmlSuccess)
      d.version = static_cast<int>(version);
    int type = kNvmlRemoteUnknown;
    if (nvml.nvlink_remote_type != nullptr) nvml.nvlink_remote_type(d.handle, link, &type);
    if (type == kNvmlRemoteSwitch) {
      ++d.switch_links;
      continue;
    }
    NvmlPciInfo remote{};
    if (nvml.nvlink_remote_pci == nullptr || nvml.nvlink_remote_pci(d.handle, link, &remote) != kNvmlSuccess) continue;
    if (const auto address = address_of(remote)) ++d.peer_links[*address];
  }
}

/// NVML_TOPOLOGY_SINGLE .. NVML_TOPOLOGY_SYSTEM
std::optional<LinkKind> kind_of_level(int level) {
  switch (level) {
    case 0:
    case 10: return LinkKind::kPix;
    case 20: return LinkKind::kPxb;
    case 30: return LinkKind::kPhb;
    case 40: return LinkKind::kNode;
    case 50: return LinkKind::kSys;
    default: return std::nullopt;
  }
}

std::optional<Link> link_between(const NvmlApi& nvml, const Device& a, const Device& b) {
  Link link;
  link.from = {DeviceRef::Type::kGpu, a.gpu};
  link.to = {DeviceRef::Type::kGpu, b.gpu};
  link.source = kFrom;
  const auto direct = b.address ? a.peer_links.find(*b.address) : a.peer_links.end();
  // Through NVSwitches every GPU reaches every other one with all its links; the smaller bond limits the pair.
  const int bond = direct != a.peer_links.end() ? direct->second : std::min(a.switch_links, b.switch_links);
  if (bond > 0) {
    link.kind = LinkKind::kNvlink;
    link.count = bond;
    link.version = a.version;
    return link;
  }
  int level = 0;
  if (nvml.common_ancestor == nullptr || nvml.common_ancestor(a.handle, b.handle, &level) != kNvmlSuccess)
    return std::nullopt;
  const auto kind = kind_of_level(level);
  if (!kind) return std::nullopt;
  link.kind = *kind;
  return link;
}

Gpu read_gpu(const NvmlApi& nvml, NvmlDevice device, const NvmlPciInfo& pci, int index) {
  Gpu gpu;
  gpu.index = index;
  gpu.address = address_of(pci);
  gpu.vendor = static_cast<std::uint16_t>(pci.pci_device_id & 0xffff);
  gpu.device = static_cast<std::uint16_t>(pci.pci_device_id >> 16);
  gpu.nvml_index = {index, kFrom};
  if (auto uuid = text_of(nvml.uuid, device)) gpu.uuid = {*uuid, kFrom};
  if (auto name = text_of(nvml.name, device)) gpu.model = {*name, kFrom};
  if (auto minor = number_of(nvml.minor_number, device)) gpu.minor = {static_cast<int>(*minor), kFrom};
  NvmlMemory memory{};
  if (nvml.memory_info != nullptr && nvml.memory_info(device, &memory) == kNvmlSuccess && memory.total > 0)
    gpu.memory_bytes = {memory.total, kFrom};
  if (auto nodes = set_of<NodeSet>(nvml.memory_affinity, device)) gpu.numa_nodes = {*nodes, kFrom};
  if (auto cpus = set_of<CpuSet>(nvml.cpu_affinity, device)) gpu.local_cpus = {*cpus, kFrom};
  if (auto node = number_of(nvml.own_memory_node, device); node && *node < kMaxIds)
    gpu.memory_node = {static_cast<NodeId>(*node), kFrom};
  gpu.mig = mig_of(nvml, device);
  return gpu;
}

}  // namespace

Result<Machine> from_nvml(const NvmlApi& nvml) {
  Machine m;
  if (auto version = text_of(nvml.driver_version)) m.driver_version = {*version, kFrom};
  unsigned count = 0;
  if (const int status = nvml.device_count(&count); status != kNvmlSuccess)
    return fail(Error::Kind::kSystem, std::string("count GPUs by NVML: ") + nvml.error_string(status));
  std::vector<Device> devices;
  for (unsigned i = 0; i < count; ++i) {
    Device d;
    NvmlPciInfo pci{};
    int status = nvml.device_by_index(i, &d.handle);
    if (status == kNvmlSuccess) status = nvml.pci_info(d.handle, &pci);
    if (status != kNvmlSuccess) {
      m.notes.push_back("NVML does not answer for GPU " + std::to_string(i) + ": " + nvml.error_string(status));
      continue;
    }
    m.gpus.push_back(read_gpu(nvml, d.handle, pci, static_cast<int>(i)));
    m.gpus.back().index = static_cast<int>(m.gpus.size()) - 1;
    d.gpu = m.gpus.back().index;
    d.address = m.gpus.back().address;
    read_nvlinks(nvml, d);
    devices.push_back(std::move(d));
  }
  for (const auto& a : devices)
    for (const auto& b : devices)
      if (a.gpu != b.gpu)
        if (auto link = link_between(nvml, a, b)) m.links.push_back(*link);
  return m;
}

}  // namespace numapin
