// The narrow path: the kernel's own answer to "where is GPU N?", from some 30 files instead of thousands.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "numapin/visible.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin {
namespace {

using namespace sources;

const std::string kPciDevices = "/sys/bus/pci/devices";
const std::string kNodes = "/sys/devices/system/node";
constexpr std::uint16_t kNvidia = 0x10de, kAmd = 0x1002;

// ---- which PCI functions may be GPUs -------------------------------------------------------------------------------

/// A line of /proc/bus/pci/devices (kernel drivers/pci/proc.c): bus and devfn, ids, IRQ, 7 addresses, 7 sizes, driver.
/// It has neither the domain nor the class.
struct ProcLine {
  std::uint16_t bus_devfn = 0;
  std::uint16_t vendor = 0, device = 0;
  std::uint64_t largest_bytes = 0;
  std::string_view driver;
};

std::optional<ProcLine> parse_line(std::string_view line) {
  constexpr std::size_t kSizes = 10, kDriver = 17;
  const auto words = split_words(line);
  if (words.size() < kDriver || words[1].size() != 8) return std::nullopt;
  const auto where = parse_number<std::uint16_t>(words[0], 16);
  const auto vendor = parse_number<std::uint16_t>(words[1].substr(0, 4), 16);
  const auto device = parse_number<std::uint16_t>(words[1].substr(4), 16);
  if (!where || !vendor || !device) return std::nullopt;
  ProcLine p{*where, *vendor, *device, 0, words.size() > kDriver ? words[kDriver] : std::string_view()};
  for (std::size_t i = kSizes; i < kDriver; ++i)
    p.largest_bytes = std::max(p.largest_bytes, parse_number<std::uint64_t>(words[i], 16).value_or(0));
  return p;
}

/// Drivers of what is plentiful beside GPUs and has large windows, or GPUs' makers' ids: their devices are no GPUs.
constexpr std::string_view kOtherDrivers[] = {"pcieport", "nvme",      "mlx5_core", "mlx4_core",       "snd_hda_intel",
                                              "xhci_hcd", "ahci",      "ice",       "i40e",            "ixgbe",
                                              "bnxt_en",  "irdma",     "megaraid_sas", "mpt3sas",      "nvidia-nvswitch",
                                              "idxd",     "intel_vsec", "virtio-pci", "ena",           "efa"};
/// The registers of any GPU take more; most other devices stay far below.
constexpr std::uint64_t kSmallestGpuWindow = std::uint64_t{1} << 20;

bool may_be_gpu(const ProcLine& p) {
  if (std::find(std::begin(kOtherDrivers), std::end(kOtherDrivers), p.driver) != std::end(kOtherDrivers)) return false;
  return p.vendor == kNvidia || p.vendor == kAmd || p.largest_bytes >= kSmallestGpuWindow;
}

struct Candidate {
  PciAddress address;
  std::uint16_t vendor = 0, device = 0;
};

/// The same bus number in several PCI domains makes several candidates for one line, and that is not enough to tell whose
/// ids those are: then they are read.
std::optional<std::vector<Candidate>> candidates(const FileTree& tree) {
  const auto text = tree.read("/proc/bus/pci/devices");
  const auto names = tree.list(kPciDevices);
  if (!text || !names) return std::nullopt;
  std::map<std::uint16_t, std::vector<ProcLine>> lines;
  for (const auto line : split_lines(*text)) {
    const auto p = parse_line(line);
    if (!p) return std::nullopt;
    lines[p->bus_devfn].push_back(*p);
  }
  std::vector<Candidate> found;
  std::size_t known = 0;
  for (const auto& name : *names) {
    const auto a = PciAddress::parse(name);
    if (!a) return std::nullopt;
    const auto at = lines.find(static_cast<std::uint16_t>(a->bus << 8 | a->device << 3 | a->function));
    if (at == lines.end()) return std::nullopt;  // the two views are not of one machine
    ++known;
    if (std::none_of(at->second.begin(), at->second.end(), may_be_gpu)) continue;
    Candidate c{*a, at->second.front().vendor, at->second.front().device};
    if (at->second.size() > 1) c.vendor = 0;
    found.push_back(c);
  }
  std::size_t total = 0;
  for (const auto& [where, same] : lines) total += same.size();
  if (total != known) return std::nullopt;
  return found;
}

template <class Int>
std::optional<Int> read_hex(const FileTree& tree, const std::string& path) {
  const auto text = read_text(tree, path);
  return text ? parse_hex<Int>(*text) : std::nullopt;
}

// ---- the GPUs ------------------------------------------------------------------------------------------------------

/// Every GPU there is, as add_pci() would list them: only candidates' classes are read.
bool add_gpus(const FileTree& tree, Machine& m) {
  auto found = candidates(tree);
  if (!found) return false;
  std::sort(found->begin(), found->end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  for (auto& c : *found) {
    const auto dir = kPciDevices + "/" + c.address.to_string();
    const auto code = read_hex<std::uint32_t>(tree, dir + "/class");
    if (!code) return false;
    if (c.vendor == 0) {
      c.vendor = read_hex<std::uint16_t>(tree, dir + "/vendor").value_or(0);
      c.device = read_hex<std::uint16_t>(tree, dir + "/device").value_or(0);
    }
    if (!is_bindable_gpu(c.vendor, c.device, *code)) continue;
    Gpu gpu;
    gpu.index = static_cast<int>(m.gpus.size());
    gpu.address = c.address;
    gpu.vendor = c.vendor;
    gpu.device = c.device;
    m.gpus.push_back(std::move(gpu));
  }
  return true;
}

std::ptrdiff_t count_of(const Machine& m, std::uint16_t vendor) {
  return std::count_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.vendor == vendor; });
}

/// In a container the driver may show some of the GPUs only; what that means is for the full model.
bool add_nvidia_ids(const FileTree& tree, Machine& m) {
  if (count_of(m, kNvidia) == 0) return true;
  const auto shown = entries(tree, "/proc/driver/nvidia/gpus");
  if (shown.empty()) return true;  // another driver: no ids, in the full model neither
  if (static_cast<std::ptrdiff_t>(shown.size()) != count_of(m, kNvidia)) return false;
  for (auto& gpu : m.gpus)
    if (gpu.vendor == kNvidia) add_nvidia_information(tree, gpu);
  return true;
}

constexpr std::size_t kMostKfdNodes = 16;  // 8 GPUs and the CPUs of two sockets in four nodes each

/// Partitions are further GPUs and renumber the others; whoever has them gets the full model.
bool add_amd_ids(const FileTree& tree, Machine& m) {
  if (count_of(m, kAmd) == 0) return true;
  if (entries(tree, "/sys/class/kfd/kfd/topology/nodes").size() > kMostKfdNodes) return false;
  add_kfd_ids(tree, m);
  return std::none_of(m.gpus.begin(), m.gpus.end(), [](const Gpu& g) { return g.partition.has_value(); }) && m.notes.empty();
}

/// With MIG on, the driver lists the GPU instances here ("gi3"); their UUIDs are NVML's.
bool has_mig(const FileTree& tree, const Gpu& gpu) {
  if (!gpu.minor) return false;
  const auto dir = "/proc/driver/nvidia/capabilities/gpu" + std::to_string(*gpu.minor) + "/mig";
  const auto names = entries(tree, dir);
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with("gi"); });
}

// ---- where they are ------------------------------------------------------------------------------------------------

std::optional<NodeSet> read_nodes(const FileTree& tree, const char* file) {
  const auto text = read_text(tree, kNodes + "/" + file);
  auto nodes = text ? NodeSet::parse(*text) : Result<NodeSet>(NodeSet{});
  if (!nodes || nodes->empty()) return std::nullopt;
  return std::move(*nodes);
}

Fact<NodeSet> near_node(const FileTree& tree, const Gpu& gpu, const NodeSet& online) {
  const auto node = read_number<int>(tree, kPciDevices + "/" + gpu.address->to_string() + "/numa_node");
  if (node && *node >= 0 && online.contains(NodeId{*node})) return {NodeSet{*node}, Source::kSysfs};
  if (online.size() == 1) return {online, Source::kOneNode};
  return {};
}

/// The node can be used as it is: CPUs and memory, some of both allowed.
bool is_usable(const NumaNode& node, const Allowance& a) {
  if (!node.cpus || node.cpus->empty() || node.memory_total_bytes.value_or(0) == 0) return false;
  return (!a.cpus || a.cpus->intersects(*node.cpus)) && (!a.mems || a.mems->contains(node.id));
}

bool add_place(const FileTree& tree, Gpu& gpu, const NodeSet& online_nodes, System& s) {
  if (has_mig(tree, gpu)) return false;
  gpu.numa_nodes = near_node(tree, gpu, online_nodes);
  if (!gpu.numa_nodes) return false;
  const auto id = gpu.numa_nodes->first();
  if (find_node(s.machine, id) != nullptr) return true;
  auto node = read_node(tree, id, *s.machine.online);
  if (!is_usable(node, s.allowance)) return false;
  auto& nodes = s.machine.nodes;
  nodes.insert(std::find_if(nodes.begin(), nodes.end(), [&](const NumaNode& n) { return n.id > id; }), std::move(node));
  return true;
}

}  // namespace

std::optional<System> discover_narrow(const FileTree& tree, std::map<std::string, std::string> visible_env,
                                      std::optional<std::string_view> spec) {
  System s;
  const auto online = read_cpus(tree, "/sys/devices/system/cpu/online");
  const auto nodes = read_nodes(tree, "online");
  if (!online || online->empty() || !nodes) return std::nullopt;
  s.machine.online = {*online, Source::kSysfs};
  if (!add_gpus(tree, s.machine) || !add_nvidia_ids(tree, s.machine) || !add_amd_ids(tree, s.machine)) return std::nullopt;
  s.allowance = read_allowance(tree);
  s.allowance.visible_env = std::move(visible_env);
  if (s.allowance.cpus) s.allowance.cpus.value = *s.allowance.cpus & *online;
  if (s.allowance.mems) s.allowance.mems.value = *s.allowance.mems & *nodes;
  const auto choice = choose_gpus(s.machine, s.allowance, spec);
  if (!choice || choice->gpus.empty()) return std::nullopt;
  for (const auto& chosen : choice->gpus) {
    if (!chosen.mig_uuid.empty()) return std::nullopt;
    if (!add_place(tree, s.machine.gpus.at(static_cast<std::size_t>(chosen.gpu)), *nodes, s)) return std::nullopt;
  }
  return s;
}

}  // namespace numapin
