// What a machine is: nodes, cores, PCI tree, GPUs, links. Flat vectors sorted by key; every fact knows its source.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "numapin/id_set.h"

namespace numapin {

/// Who says so. Order is not rank: locality.cc weighs the votes.
enum class Source {
  kNone,           ///< unknown
  kSysfs,          ///< the kernel's own file for the thing
  kBridge,         ///< a PCI bridge or host bridge above the device
  kOneNode,        ///< only one node has memory, so there is no other answer
  kProcDriver,     ///< /proc/driver/nvidia
  kNvml,           ///< NVIDIA's management library
  kKfd,            ///< AMD's /sys/class/kfd topology
  kHwlocXml,
  kNcclXml,
  kSmiTopo,        ///< text of `nvidia-smi topo -m`
  kNumactl,        ///< text of `numactl --hardware`
  kLscpu,          ///< text of `lscpu` (also -e)
  kRocmSmi,        ///< text of `rocm-smi --showtopo`
  kLspci,          ///< text of `lspci -tv`
  kProcfs,         ///< /proc
  kPciTree,        ///< computed from the shape of the PCI tree
  kCpuList,        ///< computed by comparing a device's CPU list with the nodes'
  kMeasured,
  kUser,
};
std::string_view to_string(Source s);

/// A value with its source, or unknown.
template <class T>
struct Fact {
  std::optional<T> value;
  Source source = Source::kNone;

  Fact() = default;
  Fact(T v, Source s) : value(std::move(v)), source(s) {}
  explicit operator bool() const { return value.has_value(); }
  const T& operator*() const { return *value; }
  const T* operator->() const { return &*value; }
  T value_or(T other) const { return value ? *value : std::move(other); }
  bool operator==(const Fact&) const = default;
};

/// A PCI function's address, "0000:18:00.0". The name of a device everywhere in numapin.
struct PciAddress {
  std::uint32_t domain = 0;  ///< up to 32 bits: Hyper-V and VMD use domains above 0xffff
  std::uint8_t bus = 0, device = 0, function = 0;
  auto operator<=>(const PciAddress&) const = default;
  /// Reads "0000:18:00.0", "00000000:18:00.0" (NVML), "18:00.0"; hexadecimal digits in either case.
  static std::optional<PciAddress> parse(std::string_view text);
  std::string to_string() const;
};

enum class MemoryKind {
  kDram,
  kHbm,        ///< high-bandwidth memory of the processor (Xeon Max, KNL)
  kCxl,        ///< CXL memory expander
  kPmem,       ///< persistent memory used as RAM
  kGpu,        ///< a GPU's own memory shown as a node (Grace Hopper, POWER9)
  kUnspecified ///< memory without CPUs, of a kind the source does not tell
};
std::string_view to_string(MemoryKind k);

/// Latency and bandwidth from the best initiator, as HMAT tells the kernel (node*/access0/initiators).
struct MemoryAccess {
  std::optional<int> read_latency_ns, write_latency_ns;
  std::optional<int> read_bandwidth_mb_per_s, write_bandwidth_mb_per_s;
  NodeSet initiators;
  bool operator==(const MemoryAccess&) const = default;
};

struct NumaNode {
  NodeId id{};                                  ///< key
  Fact<CpuSet> cpus;                            ///< online CPUs of the node; an empty set is a memory-only node
  Fact<std::uint64_t> memory_total_bytes;       ///< 0: a node without memory
  Fact<std::uint64_t> memory_free_bytes;
  Fact<MemoryKind> kind;
  Fact<std::map<int, int>> distances;           ///< node id -> ACPI SLIT distance, 10 = itself; may be partial
  Fact<MemoryAccess> access0;
  Fact<PciAddress> gpu;                         ///< the GPU whose memory this node is (kind kGpu), where a source tells
  bool operator==(const NumaNode&) const = default;
};

struct Package {
  int id = 0;  ///< key: physical_package_id, or hwloc's os_index, or a running number where the kernel gives none
  CpuSet cpus;
  bool operator==(const Package&) const = default;
};

/// A core: logical CPUs that share its execution units. Only online CPUs.
struct Core {
  CpuSet cpus;  ///< key (by first member): SMT siblings from thread_siblings_list, never from numbering
  std::optional<int> package;
  std::optional<NodeId> node;
  std::optional<int> capacity;      ///< Arm cpu_capacity, 1024 = biggest core
  std::optional<int> highest_perf;  ///< acpi_cppc/highest_perf or amd_pstate's: larger is preferred
  std::string kind;                 ///< "P", "E", or "" where the machine has one kind
  bool operator==(const Core&) const = default;
};

struct L3Group {
  CpuSet cpus;  ///< key (by first member)
  std::optional<std::uint64_t> size_bytes;
  bool operator==(const L3Group&) const = default;
};

/// Speed of one PCIe link: transfer rate in GT/s as sysfs prints it (16.0 = Gen4) and lanes.
struct PciLink {
  double gt_per_s = 0;
  int width = 0;
  /// 1..7; 0 when the rate is none of the standard's
  int generation() const;
  /// Gigabyte (1e9) a second in one direction, after line coding (8b/10b up to 5 GT/s) and before packet headers.
  double gb_per_s() const;
  bool operator==(const PciLink&) const = default;
};

struct PciDevice {
  PciAddress address;               ///< key
  std::uint16_t vendor = 0, device = 0;
  std::uint32_t class_code = 0;     ///< 24 bits as sysfs gives them: 0x030200 is a 3D controller
  Fact<NodeId> numa_node;           ///< the kernel's numa_node file; unknown where it says -1
  Fact<CpuSet> local_cpus;          ///< the kernel's local_cpulist; every online CPU where numa_node is -1
  std::optional<PciAddress> parent; ///< the bridge right above; none below a host bridge
  std::string host_bridge;          ///< "pci0000:17": the root bus in sysfs, or "" where unknown
  Fact<PciLink> link, link_max;     ///< of the device's own upstream port (current_link_*, max_link_*)
  std::string driver;               ///< bound driver, or ""
  std::optional<PciAddress> physfn; ///< of a virtual function: its physical function
  bool operator==(const PciDevice&) const = default;
};

struct MigInstance {
  std::string uuid;                 ///< "MIG-..."
  std::optional<int> gpu_instance, compute_instance;
  std::string profile;              ///< "1g.10gb"
  std::optional<std::uint64_t> memory_bytes;
  bool operator==(const MigInstance&) const = default;
};

struct Gpu {
  int index = 0;                            ///< key: number in PCI order (by address), from 0; what --gpu N means
  std::optional<PciAddress> address;        ///< unknown only where the source does not tell (nvidia-smi topo -m)
  std::optional<int> partition;             ///< AMD CPX/TPX/…: number within the PCI function's device, where it has several
  std::uint16_t vendor = 0, device = 0;     ///< PCI ids; 0 unknown
  std::string name;                         ///< the name the source gave, "GPU0", where it is not an address; else ""
  Fact<std::string> uuid;
  Fact<std::string> model;
  Fact<std::uint64_t> memory_bytes;
  Fact<int> nvml_index, cuda_ordinal, minor;
  Fact<NodeSet> numa_nodes;                 ///< the nodes the GPU is near to; several: SNC/NPS or multi-node sockets
  Fact<CpuSet> local_cpus;                  ///< the CPUs its source calls local
  Fact<NodeId> memory_node;                 ///< the node that is this GPU's own memory (Grace)
  std::vector<MigInstance> mig;             ///< in the driver's order; empty: not partitioned
  bool operator==(const Gpu&) const = default;
};

struct Nic {
  int index = 0;                            ///< key: number in PCI order
  std::optional<PciAddress> address;
  std::string name;                         ///< "mlx5_0" (RDMA) or "eth0", or "" where unknown
  std::vector<std::string> interfaces;      ///< network interfaces ("ens1f0np0")
  std::uint16_t vendor = 0, device = 0;
  bool infiniband = false;                  ///< class 0207, or RDMA device present
  Fact<NodeSet> numa_nodes;
  Fact<CpuSet> local_cpus;
  Fact<int> speed_mb_per_s;                 ///< megabit per second, as the source prints it
  bool operator==(const Nic&) const = default;
};

struct Nvme {
  int index = 0;
  PciAddress address;
  std::string name;                         ///< "nvme0", or ""
  Fact<NodeSet> numa_nodes;
  Fact<CpuSet> local_cpus;
  bool operator==(const Nvme&) const = default;
};

/// How two devices are connected, best first; kPix..kSys are nvidia-smi's words.
enum class LinkKind {
  kSelf,
  kNvlink,   ///< NV#: a bonded set of # NVLinks
  kXgmi,     ///< AMD Infinity Fabric between GPUs
  kC2c,      ///< NVLink-C2C between a GPU and its CPU
  kPix,      ///< at most one PCIe bridge
  kPxb,      ///< several PCIe bridges, no host bridge
  kPhb,      ///< through one PCIe host bridge
  kNode,     ///< through host bridges of one NUMA node
  kSys,      ///< through the interconnect between NUMA nodes
  kSoc,      ///< old nvidia-smi's word for kSys
  kDisconnected,
};

struct DeviceRef {
  enum class Type { kGpu, kNic, kNode } type = Type::kGpu;
  int index = 0;  ///< Gpu::index, Nic::index, or the node's number
  auto operator<=>(const DeviceRef&) const = default;
};

struct Link {
  DeviceRef from, to;               ///< key; both directions are stored, as tables may be asymmetric
  LinkKind kind = LinkKind::kSys;
  std::optional<int> count;         ///< NVLinks in the bond; xGMI hops are not counted here
  std::optional<int> version;       ///< NVLink generation
  std::optional<int> weight;        ///< the source's own cost (KFD io_links weight)
  Source source = Source::kNone;
  bool operator==(const Link&) const = default;
};
/// "X", "NV12", "XGMI", "PIX", ...: the cell of a matrix
std::string to_string(const Link& link);
std::string_view to_string(LinkKind kind);
/// Reads such a cell ("NV12", " X ", "SYS"); nothing if it is none.
std::optional<Link> parse_link(std::string_view cell);

/// Two sources that know the same fact and differ.
struct Disagreement {
  std::string subject;   ///< "gpu 0000:18:00.0 numa_nodes"
  std::string kept;      ///< "0 (sysfs)"
  std::string other;     ///< "1 (nvml)"
  bool operator==(const Disagreement&) const = default;
};

struct Machine {
  Fact<std::string> hostname;
  Fact<std::string> cpu_model;
  Fact<std::string> architecture;    ///< "x86_64", "aarch64", ...
  Fact<std::string> kernel_release;
  Fact<std::string> driver_version;  ///< NVIDIA's
  Fact<CpuSet> online, offline;      ///< offline: present but not online
  std::vector<NumaNode> nodes;       ///< by id
  std::vector<Package> packages;     ///< by id
  std::vector<Core> cores;           ///< by first CPU
  std::vector<L3Group> l3;           ///< by first CPU
  std::vector<PciDevice> pci;        ///< by address
  std::vector<Gpu> gpus;             ///< by index; consoles and virtual VGAs are not among them
  std::vector<Nic> nics;             ///< by index
  std::vector<Nvme> nvme;            ///< by index
  std::vector<Link> links;           ///< by (from, to)
  std::vector<std::string> notes;    ///< what a source could not read: "table ends in row GPU5 (line 7)"
  bool operator==(const Machine&) const = default;
};

/// What this process may use: apart from the machine, because it changes with the container, not with the hardware.
struct Allowance {
  Fact<CpuSet> cpus;    ///< affinity mask (already inside every cpuset); unknown: no limit known
  Fact<NodeSet> mems;   ///< Mems_allowed; unknown: no limit known
  /// *_VISIBLE_DEVICES as found in the environment; absent: not set
  std::map<std::string, std::string> visible_env;
  std::string cgroup;   ///< the cgroup's path, for messages
  bool operator==(const Allowance&) const = default;
};

struct System {
  Machine machine;
  Allowance allowance;
  std::vector<Disagreement> disagreements;
  bool operator==(const System&) const = default;
};

// ---- look-ups (machine/lookup.cc) ------------------------------------------------------------------------------
const NumaNode* find_node(const Machine& m, NodeId id);
const Gpu* find_gpu(const Machine& m, const PciAddress& address);
const PciDevice* find_pci(const Machine& m, const PciAddress& address);
const Link* find_link(const Machine& m, DeviceRef from, DeviceRef to);
/// Nodes that have CPUs; nodes that have memory (or may have: unknown size counts).
NodeSet cpu_nodes(const Machine& m);
NodeSet memory_nodes(const Machine& m);
/// Memory that ordinary data may be put on: memory nodes without GPUs' own memory.
NodeSet dram_nodes(const Machine& m);
CpuSet cpus_of(const Machine& m, const NodeSet& nodes);
/// Every online CPU; where no source says it, those of the nodes and cores.
CpuSet online_cpus(const Machine& m);
/// The SLIT distance, if known.
std::optional<int> distance(const Machine& m, NodeId from, NodeId to);
/// Bridges from the device up to its root port, nearest first.
std::vector<const PciDevice*> upstream(const Machine& m, const PciDevice& device);
/// The slowest link from the device up to its host bridge, and where it is: an x16 card behind an x8 port is x8.
struct NarrowestLink {
  PciLink link;
  PciAddress at;
};
std::optional<NarrowestLink> narrowest_link(const Machine& m, const PciDevice& device);

// ---- what a PCI class is (machine/pci_class.cc) ----------------------------------------------------------------
/// A GPU that a job can be bound to: class 03xx or 12xx, and neither a server's console (ASPEED, Matrox, ...) nor a
/// virtual display (virtio, QEMU, VMware, ...).
bool is_bindable_gpu(std::uint16_t vendor, std::uint16_t device, std::uint32_t class_code);
bool is_console_or_virtual_vga(std::uint16_t vendor, std::uint16_t device, std::uint32_t class_code);
bool is_nic(std::uint32_t class_code);
bool is_nvme(std::uint32_t class_code);
bool is_bridge(std::uint32_t class_code);
/// "NVIDIA", "AMD", "Intel", ...; "" for a vendor the table does not have
std::string_view vendor_name(std::uint16_t vendor);
/// "H100 SXM5" for the data-centre and common GPUs the table has; "" otherwise
std::string_view device_name(std::uint16_t vendor, std::uint16_t device);

// ---- whole-machine steps ----------------------------------------------------------------------------------------
/// Fills what follows from what is known and no source said: the nodes of GPUs, NICs and NVMe (locality.cc: kernel's
/// numa_node, bridges above, one memory node, CPU list), device order, links from the PCI tree. Idempotent.
void complete(Machine& m);
/// Takes over from `other` what `into` does not know; where both know and differ, `into` is kept and the difference is
/// returned. Devices are joined by PCI address, then UUID, then (both without) index.
std::vector<Disagreement> merge(Machine& into, const Machine& other);
/// Every invariant of a Machine; empty when all hold. Runs on every machine in every test.
std::vector<std::string> check(const Machine& m);

/// The JSON document of `topo --json`, schema "numapin/topo/1" (docs/json.md), two-space indented, newline at the end.
std::string to_json(const System& s);

}  // namespace numapin
