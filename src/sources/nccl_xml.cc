// NCCL's and RCCL's topology XML (NCCL_TOPO_DUMP_FILE), dumped from a machine, written by hand for a cloud VM, or cut.
// Format: nccl/src/graph/xml.cc.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/paste.h"
#include "sources/xml.h"

namespace numapin {
namespace {

constexpr std::string_view kWhat = "NCCL topology XML";
constexpr Source kFrom = Source::kNcclXml;
constexpr std::uint16_t kNvidia = 0x10de;
// Class of the far end of an <nvlink>: a GPU, an NVSwitch ("bridge, other"), or a POWER CPU.
constexpr std::uint32_t kBridgeOther = 0x068000;

/// What the enclosing <cpu> says.
struct Home {
  std::optional<NodeId> node;
  std::optional<CpuSet> cpus;
};

struct GpuEntry {
  Gpu gpu;
  std::vector<pugi::xml_node> links;
};

struct Reader {
  Machine machine;
  std::vector<GpuEntry> gpus;
  std::vector<Nic> nics;
  std::set<PciAddress> addresses;

  void note(std::string text) { machine.notes.push_back(std::move(text)); }
  void read_system(pugi::xml_node system);
  Home read_cpu(pugi::xml_node cpu);
  void read_pci(pugi::xml_node pci, const Home& home, std::optional<PciAddress> above);
  void add_gpu(pugi::xml_node gpu, const PciDevice& device);
  void add_nets(pugi::xml_node nic, const Home& home, const PciDevice* device);
  void number_devices();
  void add_links();
};

/// "16.0 GT/s PCIe", "8 GT/s"; a VM may say 0 lanes.
std::optional<PciLink> link_of(pugi::xml_node pci) {
  const auto words = split_words(attribute(pci, "link_speed"));
  const auto width = number_attribute<int>(pci, "link_width");
  if (words.empty() || !width || *width <= 0) return std::nullopt;
  double speed = 0;
  const auto [end, ec] = std::from_chars(words[0].data(), words[0].data() + words[0].size(), speed);
  if (ec != std::errc{} || end != words[0].data() + words[0].size() || !(speed > 0 && speed < 1000)) return std::nullopt;
  return PciLink{speed, *width};
}

/// The list of a mask may be shortened ("5555,55555555") or, in hand-written files, of odd length ("0003ff,f0003fff").
std::optional<CpuSet> affinity_of(pugi::xml_node cpu) {
  const auto text = attribute(cpu, "affinity");
  if (text.empty()) return std::nullopt;
  const auto set = CpuSet::parse_mask(text);
  if (!set || set->empty()) return std::nullopt;
  return *set;
}

/// numaid -1: the kernel knows no node for what is below this CPU.
Home Reader::read_cpu(pugi::xml_node cpu) {
  Home home;
  home.cpus = affinity_of(cpu);
  if (const auto id = number_attribute<int>(cpu, "numaid"); id && *id < kMaxIds) home.node = NodeId{*id};
  if (const auto arch = attribute(cpu, "arch"); !arch.empty() && !machine.architecture)
    machine.architecture = {std::string(arch), kFrom};
  if (!home.node) return home;
  auto& node = node_of(machine, *home.node);
  if (!home.cpus) return home;
  if (!node.cpus) node.cpus = {*home.cpus, kFrom};
  else if (*node.cpus != *home.cpus)
    note(fmt::format("node {} has CPUs {} in one <cpu> and {} in another", number(node.id), node.cpus->to_list(), home.cpus->to_list()));
  return home;
}

/// A device's own name; devices of hand-written files may lack their class, and then only a <gpu> inside tells.
void Reader::add_gpu(pugi::xml_node element, const PciDevice& device) {
  GpuEntry entry;
  auto& gpu = entry.gpu;
  gpu.address = device.address;
  gpu.vendor = device.vendor;
  gpu.device = device.device;
  gpu.local_cpus = device.local_cpus;
  if (device.numa_node) gpu.numa_nodes = {NodeSet::of(*device.numa_node), kFrom};
  // NCCL writes NVML's number; RCCL counts in a way of its own.
  if (const auto dev = number_attribute<int>(element, "dev"); dev && device.vendor == kNvidia) gpu.nvml_index = {*dev, kFrom};
  for (auto link : element.children()) entry.links.push_back(link);
  gpus.push_back(std::move(entry));
}

void Reader::add_nets(pugi::xml_node element, const Home& home, const PciDevice* device) {
  const auto add = [&](pugi::xml_node net) {
    Nic nic;
    nic.name = attribute(net, "name");
    if (device != nullptr) {
      nic.address = device->address;
      nic.vendor = device->vendor;
      nic.device = device->device;
      nic.infiniband = device->class_code >> 8 == 0x0207;
    }
    nic.infiniband = nic.infiniband || nic.name.starts_with("mlx");
    if (home.node) nic.numa_nodes = {NodeSet::of(*home.node), kFrom};
    if (home.cpus) nic.local_cpus = {*home.cpus, kFrom};
    if (const auto speed = number_attribute<int>(net, "speed"); speed && *speed > 0) nic.speed_mb_per_s = {*speed, kFrom};
    nics.push_back(std::move(nic));
  };
  bool any = false;
  for (auto net : element.children("net")) {
    add(net);
    any = true;
  }
  if (!any && device != nullptr) add({});
}

void Reader::read_pci(pugi::xml_node pci, const Home& home, std::optional<PciAddress> above) {
  const auto address = PciAddress::parse(attribute(pci, "busid"));
  if (!address || address->device > 0x1f || address->function > 7)
    return note(fmt::format("<pci busid=\"{}\">: not a PCI address", attribute(pci, "busid")));
  if (!addresses.insert(*address).second) {
    // RCCL writes a switch once for each of its ports.
    if (!pci.child("pci")) note(fmt::format("<pci busid=\"{}\"> is there twice", address->to_string()));
    for (auto child : pci.children("pci")) read_pci(child, home, *address);
    return;
  }
  PciDevice device;
  device.address = *address;
  device.parent = above;
  device.class_code = parse_hex<std::uint32_t>(attribute(pci, "class")).value_or(0) & 0xffffff;
  device.vendor = parse_hex<std::uint16_t>(attribute(pci, "vendor")).value_or(0);
  device.device = parse_hex<std::uint16_t>(attribute(pci, "device")).value_or(0);
  if (home.node) device.numa_node = {*home.node, kFrom};
  if (home.cpus) device.local_cpus = {*home.cpus, kFrom};
  if (const auto link = link_of(pci)) device.link_max = {*link, kFrom};  // NCCL reads max_link_speed and max_link_width
  const auto gpu = pci.child("gpu");
  if (gpu || is_bindable_gpu(device.vendor, device.device, device.class_code)) add_gpu(gpu, device);
  const auto nic = pci.child("nic");
  if (nic || is_nic(device.class_code)) add_nets(nic, home, &device);
  machine.pci.push_back(device);
  for (auto child : pci.children("pci")) read_pci(child, home, *address);
}

void Reader::read_system(pugi::xml_node system) {
  std::string_view host;
  for (auto cpu : system.children("cpu")) {
    const auto hash = attribute(cpu, "host_hash");
    if (host.empty()) host = hash;
    if (hash != host) {
      note(fmt::format("the file is about several hosts; only host {} is read", host));
      continue;
    }
    const auto home = read_cpu(cpu);
    for (auto pci : cpu.children("pci")) read_pci(pci, home, {});
    for (auto nic : cpu.children("nic")) add_nets(nic, home, nullptr);
  }
}

template <class Device>
bool by_address(const Device& a, const Device& b) {
  if (!a.address || !b.address) return a.address.has_value() && !b.address.has_value();
  return *a.address < *b.address;
}

void Reader::number_devices() {
  std::stable_sort(gpus.begin(), gpus.end(), [](const auto& a, const auto& b) { return by_address(a.gpu, b.gpu); });
  std::stable_sort(nics.begin(), nics.end(), by_address<Nic>);
  std::sort(machine.pci.begin(), machine.pci.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  for (auto& entry : gpus) {
    entry.gpu.index = static_cast<int>(machine.gpus.size());
    machine.gpus.push_back(entry.gpu);
  }
  drop_repeated_names(machine);
  for (auto& nic : nics) {
    nic.index = static_cast<int>(machine.nics.size());
    machine.nics.push_back(std::move(nic));
  }
}

/// <nvlink> and <xgmi> to a GPU are a link to it. GPUs on NVSwitches reach each other with all their links.
void Reader::add_links() {
  LinkMap links;
  std::map<int, int> to_switch;  // GPU index -> NVLinks
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const DeviceRef from{DeviceRef::Type::kGpu, static_cast<int>(i)};
    for (auto element : gpus[i].links) {
      const std::string_view name = element.name();
      if (name != "nvlink" && name != "xgmi") continue;
      const auto count = number_attribute<int>(element, "count");
      const auto target = PciAddress::parse(attribute(element, "target"));
      const auto* peer = target ? find_gpu(machine, *target) : nullptr;
      if (peer == nullptr) {
        const auto far = parse_hex<std::uint32_t>(attribute(element, "tclass"));
        if (name == "nvlink" && far == kBridgeOther && count && *count > 0 && *count < kMaxIds) to_switch[from.index] += *count;
        continue;
      }
      if (peer->index == from.index) continue;
      Link link;
      link.kind = name == "nvlink" ? LinkKind::kNvlink : LinkKind::kXgmi;
      if (count && *count > 0) link.count = count;
      link.source = kFrom;
      links[{from, DeviceRef{DeviceRef::Type::kGpu, peer->index}}] = link;
    }
  }
  for (const auto& [a, links_a] : to_switch)
    for (const auto& [b, links_b] : to_switch) {
      if (a == b) continue;
      Link link;
      link.kind = LinkKind::kNvlink;
      link.count = std::min(links_a, links_b);
      link.source = kFrom;
      links.try_emplace({DeviceRef{DeviceRef::Type::kGpu, a}, DeviceRef{DeviceRef::Type::kGpu, b}}, link);
    }
  set_links(machine, std::move(links));
}

}  // namespace

Result<Machine> from_nccl_xml(std::string_view text) {
  if (text.size() > kMaxTextBytes) return bad_text(kWhat, 1, 1, "the text is larger than 64 MiB", "");
  pugi::xml_document document;
  Reader reader;
  if (auto loaded = load_xml(document, text, kWhat); !loaded) {
    if (!load_xml(document, close_open_elements(text), kWhat)) return Unexpected(std::move(loaded).error());
    reader.note(fmt::format("the file is not whole: {}", loaded.error().message));
  }
  const auto system = document.child("system");
  if (!system.child("cpu"))
    return bad_text(kWhat, 1, 1, "no <system> with a <cpu> is in it", "dump it with NCCL_TOPO_DUMP_FILE=FILE");
  reader.read_system(system);
  reader.number_devices();
  reader.add_links();
  return std::move(reader.machine);
}

}  // namespace numapin
