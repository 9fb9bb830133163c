// hwloc's XML exports, versions 1 to 3 (lstopo --of xml). Formats: hwloc's topology-xml.c and hwloc2.dtd.
//
// What an export says is taken as it is. A node that has no CPUs of its own in the kernel (HBM, CXL) carries in an export
// the CPUs of its locality; docs/bugs.md tells why that stays so.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "machine/distance.h"
#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/hwloc_attributes.h"
#include "sources/paste.h"
#include "sources/xml.h"

namespace numapin {
namespace {

constexpr std::string_view kWhat = "hwloc XML";
constexpr Source kFrom = Source::kHwlocXml;

std::string_view type_of(pugi::xml_node object) { return attribute(object, "type"); }
bool is_io(std::string_view type) { return type == "Bridge" || type == "PCIDev" || type == "OSDev" || type == "Misc"; }

std::string_view info_of(pugi::xml_node object, std::string_view name) {
  for (auto info : object.children("info"))
    if (attribute(info, "name") == name) return trim(attribute(info, "value"));
  return {};
}

std::optional<int> os_index(pugi::xml_node object) {
  const auto index = number_attribute<int>(object, "os_index");
  return index && *index < kMaxIds ? index : std::nullopt;
}

/// A set as hwloc writes it: "0xf0000000,,,0x00000101". "0xf...f" (an infinite set) is none we can hold.
template <class Set>
std::optional<Set> set_attribute(pugi::xml_node object, const char* name) {
  const auto text = attribute(object, name);
  if (text.empty()) return std::nullopt;
  const auto set = Set::parse_mask(text);
  if (!set) return std::nullopt;
  return *set;
}

CpuSet cpus_of_object(pugi::xml_node object) { return set_attribute<CpuSet>(object, "cpuset").value_or(CpuSet{}); }

struct Place {
  pugi::xml_node object;                 ///< the nearest object that is no I/O: it has the CPUs
  std::optional<int> package;
  std::optional<PciAddress> bridge;      ///< the PCI bridge right above
  std::string host_bridge;
};

/// What operating-system devices say of the PCI function they stand below.
struct OsDevices {
  std::vector<std::string> names;        ///< "mlx5_0", "ib0", "cuda0"
  std::vector<pugi::xml_node> objects;
};

struct Reader {
  Machine machine;
  pugi::xml_node root;
  std::map<std::uint64_t, PciAddress> pci_of_gp_index;   ///< of OS devices too
  std::map<std::uint64_t, NodeId> node_of_gp_index;
  std::set<std::uint64_t> nvswitches;                    ///< by gp_index; their ids may be 0000 where a recorder could not read them
  std::map<PciAddress, OsDevices> os_devices;
  std::map<PciAddress, NodeSet> nodeset_of;              ///< locality as the file states it
  std::vector<pugi::xml_node> numa_objects;              ///< in document order, which is that of logical indexes
  int running_package = 0;

  void walk(pugi::xml_node object, Place place);
  void read_numa_node(pugi::xml_node object);
  void read_package(pugi::xml_node object, Place& place);
  void read_core(pugi::xml_node object, const Place& place);
  void read_l3(pugi::xml_node object);
  void read_bridge(pugi::xml_node object, Place& place);
  PciDevice* read_pci(pugi::xml_node object, const Place& place);
  void read_os_device(pugi::xml_node object, const Place& place);

  void read_root();
  void add_node_of_machine_without_numa();
  void sort_and_join();
  void read_distances_v1(pugi::xml_node object);
  void read_distances_v2(pugi::xml_node matrix);
  void store_distances(const std::vector<int>& nodes, const std::vector<int>& values);
  void locate_devices();
  void add_devices();
  void add_gpu(const PciDevice& device);
  void add_nics(const PciDevice& device);
  void add_nvme(const PciDevice& device);
  void read_gpu_links(pugi::xml_node element);
};

// ---- the tree of objects -----------------------------------------------------------------------------------------

MemoryKind kind_of_subtype(std::string_view subtype) {
  const auto has = [&](std::string_view part) { return subtype.find(part) != subtype.npos; };
  if (has("CXL")) return MemoryKind::kCxl;
  if (has("HBM") || has("MCDRAM")) return MemoryKind::kHbm;
  if (has("GPUMemory")) return MemoryKind::kGpu;
  if (has("NVM") || has("PMEM")) return MemoryKind::kPmem;
  return has("DRAM") ? MemoryKind::kDram : MemoryKind::kUnspecified;
}

void Reader::read_numa_node(pugi::xml_node object) {
  const auto index = os_index(object);
  if (!index) return;
  // Version 1 keeps nodes without usable memory, with an empty nodeset; no nodeset of the file counts them.
  if (const auto own = set_attribute<NodeSet>(object, "nodeset"); own && own->empty()) {
    machine.notes.push_back(fmt::format("node {} is left out: it is in no nodeset of the file", *index));
    return;
  }
  numa_objects.push_back(object);
  if (const auto gp = number_attribute<std::uint64_t>(object, "gp_index")) node_of_gp_index[*gp] = NodeId{*index};
  auto& node = node_of(machine, NodeId{*index});
  if (auto cpus = set_attribute<CpuSet>(object, "cpuset")) node.cpus = {*cpus, kFrom};
  // The attribute is left out where it is 0.
  node.memory_total_bytes = {number_attribute<std::uint64_t>(object, "local_memory").value_or(0), kFrom};
  if (const auto subtype = attribute(object, "subtype"); !subtype.empty()) node.kind = {kind_of_subtype(subtype), kFrom};
  if (const auto address = PciAddress::parse(info_of(object, "PCIBusID"))) node.gpu = {*address, kFrom};
}

void Reader::read_package(pugi::xml_node object, Place& place) {
  const auto cpus = cpus_of_object(object);
  int id = number_attribute<int>(object, "os_index").value_or(running_package);  // Itanium: 131072
  const auto taken = [&](int wanted) {
    return std::any_of(machine.packages.begin(), machine.packages.end(), [&](const Package& p) { return p.id == wanted; });
  };
  while (taken(id)) ++id;
  running_package = id + 1;
  place.package = id;
  machine.packages.push_back({id, cpus});
  if (const auto model = info_of(object, "CPUModel"); !model.empty() && !machine.cpu_model)
    machine.cpu_model = {std::string(model), kFrom};
}

void Reader::read_core(pugi::xml_node object, const Place& place) {
  const auto cpus = cpus_of_object(object);
  if (!cpus.empty()) machine.cores.push_back({cpus, place.package, {}, {}, {}, {}});
}

void Reader::read_l3(pugi::xml_node object) {
  const auto cpus = cpus_of_object(object);
  if (!cpus.empty()) machine.l3.push_back({cpus, number_attribute<std::uint64_t>(object, "cache_size")});
}

bool is_l3(pugi::xml_node object) {
  const auto type = type_of(object);
  return type == "L3Cache" || (type == "Cache" && attribute(object, "depth") == "3");
}

/// pci_type is "0302 [10de:20b0] [10de:134f] a1": class, ids, ids of the subsystem, revision.
PciDevice* Reader::read_pci(pugi::xml_node object, const Place& place) {
  const auto address = PciAddress::parse(attribute(object, "pci_busid"));
  const auto words = split_words(attribute(object, "pci_type"));
  if (!address || words.size() < 2 || words[1].size() != 11) return nullptr;
  const auto class_code = parse_hex<std::uint16_t>(words[0]);
  const auto vendor = parse_hex<std::uint16_t>(words[1].substr(1, 4)), id = parse_hex<std::uint16_t>(words[1].substr(6, 4));
  if (!class_code || !vendor || !id) return nullptr;
  PciDevice device;
  device.address = *address;
  device.class_code = std::uint32_t{*class_code} << 8;
  device.vendor = *vendor;
  device.device = *id;
  device.parent = place.bridge;
  device.host_bridge = place.host_bridge;
  device.local_cpus = {cpus_of_object(place.object), kFrom};
  if (auto nodes = set_attribute<NodeSet>(place.object, "nodeset")) nodeset_of[*address] = *nodes;
  if (const auto gp = number_attribute<std::uint64_t>(object, "gp_index")) pci_of_gp_index[*gp] = *address;
  machine.pci.push_back(std::move(device));
  return &machine.pci.back();
}

/// A host bridge has no address of its own; bridge_pci "0000:[17-1f]" starts with its root bus.
void Reader::read_bridge(pugi::xml_node object, Place& place) {
  if (const auto* device = read_pci(object, place)) {
    place.bridge = device->address;
    return;
  }
  const auto buses = attribute(object, "bridge_pci");
  const auto open = buses.find(":[");
  if (open != buses.npos && open + 4 <= buses.size())
    place.host_bridge = fmt::format("pci{}:{}", buses.substr(0, open), buses.substr(open + 2, 2));
}

void Reader::read_os_device(pugi::xml_node object, const Place& place) {
  if (!place.bridge) return;
  auto& devices = os_devices[*place.bridge];
  devices.names.emplace_back(attribute(object, "name"));
  devices.objects.push_back(object);
  if (const auto gp = number_attribute<std::uint64_t>(object, "gp_index")) pci_of_gp_index[*gp] = *place.bridge;
}

void Reader::walk(pugi::xml_node object, Place place) {
  const auto type = type_of(object);
  if (!is_io(type) && type != "NUMANode" && type != "MemCache") place.object = object;
  // In version 1 a NUMANode is an ordinary level that holds packages, cores and bridges.
  if (type == "NUMANode") {
    read_numa_node(object);
    if (place.object != object && !attribute(object, "cpuset").empty()) place.object = object;
  } else if (type == "Package" || type == "Socket") {
    read_package(object, place);
  } else if (type == "Core") {
    read_core(object, place);
  } else if (is_l3(object)) {
    read_l3(object);
  } else if (type == "Bridge") {
    read_bridge(object, place);
  } else if (type == "PCIDev") {
    if (attribute(object, "subtype") == "NVSwitch") nvswitches.insert(number_attribute<std::uint64_t>(object, "gp_index").value_or(0));
    if (const auto* device = read_pci(object, place)) place.bridge = device->address;
  } else if (type == "OSDev") {
    read_os_device(object, place);
  }
  for (auto child : object.children("object")) walk(child, place);
}

void Reader::read_root() {
  const auto cpus = cpus_of_object(root);
  if (!cpus.empty()) machine.online = {cpus, kFrom};
  const auto complete = set_attribute<CpuSet>(root, "complete_cpuset").value_or(cpus);
  // Version 1 tells offline CPUs from forbidden ones; later versions only say that some CPUs are not usable, also where they
  // write the old format: online_cpuset is then what the recorder might use.
  const auto online = set_attribute<CpuSet>(root, "online_cpuset");
  if (online && !info_of(root, "hwlocVersion").starts_with("2.")) machine.offline = {complete - *online - cpus, kFrom};
  else if (complete == cpus) machine.offline = {CpuSet{}, kFrom};
  const auto text = [&](std::string_view name) {
    auto value = info_of(root, name);
    if (value.empty()) value = info_of(root.parent(), name);  // version 3: below <topology>
    return value.empty() ? Fact<std::string>{} : Fact<std::string>{std::string(value), kFrom};
  };
  machine.hostname = text("HostName");
  machine.architecture = text("Architecture");
  machine.kernel_release = text("OSRelease");
  machine.cpu_model = text("CPUModel");
}

/// Version 1 has no NUMANode on a machine without NUMA; the kernel calls all of it node 0.
void Reader::add_node_of_machine_without_numa() {
  if (!machine.nodes.empty() || !machine.online) return;
  auto& node = node_of(machine, NodeId{0});
  node.cpus = machine.online;
  if (const auto bytes = number_attribute<std::uint64_t>(root, "local_memory")) node.memory_total_bytes = {*bytes, kFrom};
}

template <class T>
void sort_by_first_cpu(std::vector<T>& items) {
  std::stable_sort(items.begin(), items.end(), [](const T& a, const T& b) { return a.cpus.first() < b.cpus.first(); });
  // A damaged file may have overlapping ones: the first stays.
  CpuSet seen;
  std::erase_if(items, [&](const T& item) {
    if (item.cpus.intersects(seen)) return true;
    seen |= item.cpus;
    return false;
  });
}

void Reader::sort_and_join() {
  auto& m = machine;
  if (m.online) {
    const auto clip = [&](auto& items) {
      for (auto& item : items) item.cpus &= *m.online;
      std::erase_if(items, [](const auto& item) { return item.cpus.empty(); });
    };
    clip(m.cores);
    clip(m.l3);
    for (auto& p : m.packages) p.cpus &= *m.online;
    for (auto& n : m.nodes)
      if (n.cpus) n.cpus = {*n.cpus & *m.online, kFrom};
  }
  CpuSet seen;
  std::erase_if(m.packages, [&](const Package& p) {
    if (p.cpus.intersects(seen)) return true;
    seen |= p.cpus;
    return false;
  });
  std::sort(m.packages.begin(), m.packages.end(), [](const Package& a, const Package& b) { return a.id < b.id; });
  sort_by_first_cpu(m.cores);
  sort_by_first_cpu(m.l3);
  for (auto& core : m.cores) {
    const auto package = std::find_if(m.packages.begin(), m.packages.end(), [&](const Package& p) { return p.id == core.package; });
    if (package == m.packages.end() || !package->cpus.contains(core.cpus)) core.package.reset();
    for (auto object : numa_objects) {  // document order: ordinary memory comes before special
      const auto* node = find_node(m, NodeId{*os_index(object)});
      if (core.node || !node->cpus || !node->cpus->contains(core.cpus)) continue;
      core.node = node->id;
    }
    if (!core.node && numa_objects.empty() && m.nodes.size() == 1) core.node = m.nodes[0].id;
  }
  std::stable_sort(m.pci.begin(), m.pci.end(), [](const PciDevice& a, const PciDevice& b) { return a.address < b.address; });
  m.pci.erase(std::unique(m.pci.begin(), m.pci.end(), [](const auto& a, const auto& b) { return a.address == b.address; }), m.pci.end());
}

// ---- distances ---------------------------------------------------------------------------------------------------

void Reader::store_distances(const std::vector<int>& nodes, const std::vector<int>& values) {
  if (nodes.empty() || values.size() != nodes.size() * nodes.size() || machine.nodes.front().distances) return;
  NodeSet distinct;
  for (auto id : nodes) {
    if (find_node(machine, NodeId{id}) == nullptr) return;
    distinct.insert(NodeId{id});
  }
  if (static_cast<std::size_t>(distinct.size()) != nodes.size()) return;
  for (std::size_t from = 0; from < nodes.size(); ++from) {
    std::map<int, int> row;
    for (std::size_t to = 0; to < nodes.size(); ++to) {
      const int value = values[from * nodes.size() + to];
      if (value > 0 && (from != to || value == kLocalDistance)) row[nodes[to]] = value;
    }
    node_of(machine, NodeId{nodes[from]}).distances = {std::move(row), kFrom};
  }
}

/// <distances nbobjs relative_depth latency_base> below an object is about as many objects below that, in their order;
/// values are multiples of the base. Which level is meant relative_depth does not tell reliably: hwloc 2, exporting
/// version 1, counts levels that version 1 does not have. A node's distance to itself, 10, does.
void Reader::read_distances_v1(pugi::xml_node object) {
  for (auto matrix : object.children("distances")) {
    std::vector<int> nodes, values;
    for (auto numa : numa_objects)
      for (auto up = numa; up; up = up.parent())
        if (up == object) nodes.push_back(*os_index(numa));
    if (number_attribute<std::size_t>(matrix, "nbobjs") != nodes.size() || nodes.empty()) continue;
    const double base = matrix.attribute("latency_base").as_double();
    for (auto latency : matrix.children("latency")) {
      const double value = latency.attribute("value").as_double() * base;
      values.push_back(value > 0 && value < kMaxIds ? static_cast<int>(value + 0.5) : 0);
    }
    if (!values.empty() && values.front() != kLocalDistance) continue;
    store_distances(nodes, values);
  }
  for (auto child : object.children("object"))
    if (!is_io(type_of(child))) read_distances_v1(child);
}

template <class Int>
std::vector<Int> numbers_in(pugi::xml_node parent, const char* name) {
  std::vector<Int> out;
  for (auto child : parent.children(name))
    for (auto word : split_words(child.child_value()))
      if (const auto n = parse_number<Int>(word)) out.push_back(*n);
  return out;
}

/// kind is a set of flags: 4 means latency, 8 bandwidth (hwloc/distances.h).
void Reader::read_distances_v2(pugi::xml_node matrix) {
  constexpr unsigned kLatency = 4;
  if (attribute(matrix, "type") != "NUMANode" || (matrix.attribute("kind").as_uint() & kLatency) == 0) return;
  auto nodes = numbers_in<int>(matrix, "indexes");
  if (attribute(matrix, "indexing") == "gp") {
    for (auto& index : nodes)
      for (auto object : numa_objects)
        if (number_attribute<int>(object, "gp_index") == index) {
          index = *os_index(object);
          break;
        }
  }
  std::vector<int> values;
  for (auto value : numbers_in<std::uint64_t>(matrix, "u64values")) values.push_back(value < kMaxIds ? static_cast<int>(value) : 0);
  store_distances(nodes, values);
}

// ---- devices -----------------------------------------------------------------------------------------------------

/// A device is near to the nodes of the object it hangs on. When that is the whole of a machine with several nodes,
/// hwloc has found no locality.
void Reader::locate_devices() {
  NodeSet gpu_memory;
  std::set<CpuSet> places;
  for (const auto& node : machine.nodes) {
    if (node.kind.value == MemoryKind::kGpu) gpu_memory.insert(node.id);
    if (node.cpus && !node.cpus->empty()) places.insert(*node.cpus);
  }
  NodeSet all;
  for (const auto& node : machine.nodes) all.insert(node.id);
  for (auto& device : machine.pci) {
    auto stated = nodeset_of.find(device.address);
    if (stated == nodeset_of.end() && numa_objects.empty()) stated = nodeset_of.emplace(device.address, all).first;
    if (stated == nodeset_of.end()) continue;
    stated->second &= all;
    if (places.size() > 1 && stated->second == all) stated->second = NodeSet{};
    if (auto near = stated->second - gpu_memory; !near.empty()) stated->second = near;
    if (stated->second.size() == 1) device.numa_node = {stated->second.first(), kFrom};
    if (machine.online) device.local_cpus = {*device.local_cpus & *machine.online, kFrom};
  }
}

/// "cuda3" -> 3 for the stem "cuda"
std::optional<int> number_after(std::string_view name, std::string_view stem) {
  if (!name.starts_with(stem)) return std::nullopt;
  const auto n = parse_number<int>(name.substr(stem.size()));
  return n && *n >= 0 ? n : std::nullopt;
}

template <class Device>
void set_locality(Device& out, const PciDevice& device, const std::map<PciAddress, NodeSet>& nodes) {
  out.local_cpus = device.local_cpus;
  if (const auto at = nodes.find(device.address); at != nodes.end() && !at->second.empty()) out.numa_nodes = {at->second, kFrom};
}

void Reader::add_gpu(const PciDevice& device) {
  Gpu gpu;
  gpu.index = static_cast<int>(machine.gpus.size());
  gpu.address = device.address;
  gpu.vendor = device.vendor;
  gpu.device = device.device;
  set_locality(gpu, device, nodeset_of);
  constexpr std::uint64_t kKib = 1024;
  for (auto os : os_devices[device.address].objects) {
    const auto name = attribute(os, "name");
    for (auto info : {"NVIDIAUUID", "AMDUUID", "LevelZeroUUID"})
      if (const auto uuid = info_of(os, info); !uuid.empty() && !gpu.uuid) gpu.uuid = {std::string(uuid), kFrom};
    if (const auto model = info_of(os, "GPUModel"); !model.empty() && !gpu.model) gpu.model = {std::string(model), kFrom};
    if (const auto kib = parse_number<std::uint64_t>(info_of(os, "CUDAGlobalMemorySize")); kib && *kib < (std::uint64_t{1} << 50))
      gpu.memory_bytes = {*kib * kKib, kFrom};
    if (const auto n = number_after(name, "nvml")) gpu.nvml_index = {*n, kFrom};
    if (const auto n = number_after(name, "cuda")) gpu.cuda_ordinal = {*n, kFrom};
  }
  for (const auto& node : machine.nodes)
    if (node.gpu && *node.gpu == device.address) gpu.memory_node = {node.id, kFrom};
  machine.gpus.push_back(std::move(gpu));
}

/// An RDMA device is named by it; else by its first network interface.
void Reader::add_nics(const PciDevice& device) {
  Nic nic;
  nic.index = static_cast<int>(machine.nics.size());
  nic.address = device.address;
  nic.vendor = device.vendor;
  nic.device = device.device;
  nic.infiniband = device.class_code >> 8 == 0x0207;
  set_locality(nic, device, nodeset_of);
  for (auto os : os_devices[device.address].objects) {
    const auto type = attribute(os, "osdev_type");
    const auto name = std::string(attribute(os, "name"));
    if (type == "3" || type == "OpenFabrics") {
      nic.infiniband = true;
      if (nic.name.empty()) nic.name = name;
    } else if (type == "2" || type == "Network") {
      nic.interfaces.push_back(name);
    }
  }
  if (nic.name.empty() && !nic.interfaces.empty()) nic.name = nic.interfaces.front();
  machine.nics.push_back(std::move(nic));
}

/// The drive of the block device "nvme0n1" (or "nvme0c0n1", a path to it) is "nvme0".
void Reader::add_nvme(const PciDevice& device) {
  Nvme drive;
  drive.index = static_cast<int>(machine.nvme.size());
  drive.address = device.address;
  set_locality(drive, device, nodeset_of);
  for (const auto& name : os_devices[device.address].names)
    if (drive.name.empty() && name.starts_with("nvme")) drive.name = name.substr(0, name.find_first_not_of("0123456789", 4));
  machine.nvme.push_back(std::move(drive));
}

void Reader::add_devices() {
  for (const auto& device : machine.pci) {
    if (is_bindable_gpu(device.vendor, device.device, device.class_code)) add_gpu(device);
    if (is_nic(device.class_code)) add_nics(device);
    if (is_nvme(device.class_code)) add_nvme(device);
  }
  drop_repeated_names(machine);
  for (auto& node : machine.nodes)
    if (node.gpu && find_gpu(machine, *node.gpu) == nullptr) node.gpu = {};
}

/// A matrix of rates or hops between devices. <distances2> names them by gp_index; <distances2hetero>, written where NVSwitches
/// or CPUs are among them, by type and gp_index: "OSDev:802", "PCIDev:449", "Package:3".
struct DeviceMatrix {
  std::vector<std::uint64_t> gp_indexes;
  std::vector<std::uint64_t> values;
  std::size_t size() const { return gp_indexes.size(); }
  std::uint64_t at(std::size_t from, std::size_t to) const { return values[from * size() + to]; }
};

std::optional<DeviceMatrix> read_matrix(pugi::xml_node matrix) {
  DeviceMatrix m;
  const bool mixed = matrix.name() == std::string_view("distances2hetero");
  if (!mixed && attribute(matrix, "indexing") != "gp") return std::nullopt;
  for (auto child : matrix.children("indexes"))
    for (auto word : split_words(child.child_value())) {
      if (mixed) word.remove_prefix(std::min(word.find(':'), word.size() - 1) + 1);
      const auto index = parse_number<std::uint64_t>(word);
      if (!index) return std::nullopt;
      m.gp_indexes.push_back(*index);
    }
  m.values = numbers_in<std::uint64_t>(matrix, "u64values");
  if (m.values.size() != m.size() * m.size()) return std::nullopt;
  return m;
}

/// How many NVLinks make up a rate. For each of them hwloc's topology-nvml.c adds 20000 MB/s (version 1), 25000 (2 to 4) or
/// 50000 (5: the GPUs of data centres since Blackwell). No bond of version 1, of four at most, divides by 25000.
std::optional<int> nvlinks_of_rate(std::uint64_t mb_per_s, const Gpu& gpu) {
  constexpr std::uint64_t kMostLinks = 18, kMostOfVersion1 = 4;
  const bool version5 = gpu.device >> 8 == 0x29 || gpu.device >> 8 == 0x31 || mb_per_s > kMostLinks * 25000;
  const bool version1 = mb_per_s % 20000 == 0 && mb_per_s <= kMostOfVersion1 * 20000;
  const std::uint64_t each = version1 ? 20000 : version5 ? 50000 : 25000;
  const auto count = mb_per_s / each;
  return mb_per_s % each == 0 && count > 0 && count <= kMostLinks ? std::optional(static_cast<int>(count)) : std::nullopt;
}

/// What KFD counts for one xGMI link; hwloc divides by it.
constexpr int kWeightOfAHop = 15;
constexpr std::uint64_t kMostHops = 64;

/// Rates between devices (NVLinkBandwidth, XGMIBandwidth) or hops (XGMIHops): a pair of GPUs with a value has a link. GPUs with
/// links to NVSwitches reach each other by all of them, as nvidia-smi and NCCL count: all switches are taken for one, as hwloc
/// does not see the links between switches (the two boards of a DGX-2).
void Reader::read_gpu_links(pugi::xml_node element) {
  const auto name = attribute(element, "name");
  const bool nvlink = name == "NVLinkBandwidth", hops = name == "XGMIHops", xgmi = hops || name == "XGMIBandwidth";
  const auto matrix = nvlink || xgmi ? read_matrix(element) : std::nullopt;
  if (!matrix) return;
  std::vector<const Gpu*> gpus;
  std::vector<std::size_t> switches;
  for (const auto index : matrix->gp_indexes) {
    const auto at = pci_of_gp_index.find(index);
    const auto* device = at == pci_of_gp_index.end() ? nullptr : find_pci(machine, at->second);
    if (nvswitches.contains(index)) switches.push_back(gpus.size());
    gpus.push_back(device == nullptr ? nullptr : find_gpu(machine, device->address));
  }
  const auto to_switches = [&](std::size_t gpu) {
    std::uint64_t sum = 0;
    for (const auto s : switches) sum += matrix->at(gpu, s);
    return sum;
  };
  LinkMap links;
  for (const auto& link : machine.links) links[{link.from, link.to}] = link;
  for (std::size_t i = 0; i < gpus.size(); ++i)
    for (std::size_t j = 0; j < gpus.size(); ++j) {
      if (gpus[i] == nullptr || gpus[j] == nullptr || gpus[i] == gpus[j]) continue;
      const auto value = std::max(matrix->at(i, j), std::min(to_switches(i), to_switches(j)));
      if (value == 0) continue;
      auto& link = links[{DeviceRef{DeviceRef::Type::kGpu, gpus[i]->index}, DeviceRef{DeviceRef::Type::kGpu, gpus[j]->index}}];
      link.kind = nvlink ? LinkKind::kNvlink : LinkKind::kXgmi;
      link.source = kFrom;
      if (nvlink) link.count = nvlinks_of_rate(value, *gpus[i]);
      if (hops && value < kMostHops) link.weight = static_cast<int>(value) * kWeightOfAHop;
    }
  set_links(machine, std::move(links));
}

}  // namespace

Result<Machine> from_hwloc_xml(std::string_view text) {
  pugi::xml_document document;
  NUMAPIN_CHECK_OK(load_xml(document, text, kWhat));
  const auto topology = document.child("topology");
  Reader reader;
  reader.root = topology.child("object");
  if (!reader.root)
    return bad_text(kWhat, 1, 1, "no <topology> with an <object> is in it", "export it with: lstopo --of xml FILE");
  reader.read_root();
  reader.walk(reader.root, {reader.root, {}, {}, {}});
  reader.add_node_of_machine_without_numa();
  reader.sort_and_join();
  drop_contradictions(reader.machine);
  if (reader.machine.nodes.empty())
    return bad_text(kWhat, 1, 1, "no CPU and no NUMA node is in it", "export it with: lstopo --of xml FILE");
  reader.read_distances_v1(reader.root);
  for (auto matrix : topology.children("distances2")) reader.read_distances_v2(matrix);
  add_hwloc_memory_attributes(reader.machine, topology, reader.node_of_gp_index);
  add_hwloc_core_kinds(reader.machine, topology);
  reader.locate_devices();
  reader.add_devices();
  for (const char* name : {"distances2", "distances2hetero"})
    for (auto matrix : topology.children(name)) reader.read_gpu_links(matrix);
  return std::move(reader.machine);
}

}  // namespace numapin
