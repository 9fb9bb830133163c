#include "sources/builtin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "numapin/sources.h"

namespace numapin {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20, kGiB = kMiB << 10;
constexpr std::uint16_t kNvidia = 0x10de, kMellanox = 0x15b3, kSamsung = 0x144d, kIntel = 0x8086, kAmd = 0x1022;
constexpr std::uint16_t kBroadcom = 0x1000, kAspeed = 0x1a03, kRedHat = 0x1af4, kBochs = 0x1234, kAmazon = 0x1d0f;
constexpr std::uint32_t kBridge = 0x060400, kOtherBridge = 0x068000, k3d = 0x030200, kVga = 0x030000;
constexpr std::uint32_t kEthernet = 0x020000, kInfiniband = 0x020700, kNvmeClass = 0x010802;

constexpr PciLink kGen3x8{8.0, 8}, kGen3x16{8.0, 16}, kGen4x4{16.0, 4}, kGen4x16{16.0, 16}, kGen5x16{32.0, 16};

struct GpuModel {
  std::string_view name;
  std::uint16_t device;
  std::uint64_t memory_bytes;
};
constexpr GpuModel kA100Pcie{"NVIDIA A100 80GB PCIe", 0x20b5, 81920 * kMiB};
constexpr GpuModel kA100Sxm{"NVIDIA A100-SXM4-40GB", 0x20b0, 40960 * kMiB};
constexpr GpuModel kH100Sxm{"NVIDIA H100 80GB HBM3", 0x2330, 81559 * kMiB};
constexpr GpuModel kGh200{"NVIDIA GH200 480GB", 0x2342, 97871 * kMiB};
constexpr GpuModel kA10g{"NVIDIA A10G", 0x2237, 23028 * kMiB};

PciAddress at(std::string_view text) { return PciAddress::parse(text).value(); }

/// Puts a machine together the way the sources would report it, and lets complete() draw the conclusions.
class Builder {
 public:
  explicit Builder(std::string name, std::string cpu, std::string architecture) {
    m_.hostname = {std::move(name), Source::kSysfs};
    m_.cpu_model = {std::move(cpu), Source::kProcfs};
    m_.architecture = {std::move(architecture), Source::kSysfs};
    m_.offline = {CpuSet{}, Source::kSysfs};
  }

  /// `cores` cores from `first_cpu` on; the sibling of core c is c + `smt_offset` (0: no SMT).
  void add_node(int id, int package, int first_cpu, int cores, int smt_offset, std::uint64_t total, std::uint64_t free) {
    CpuSet cpus;
    for (int c = first_cpu; c < first_cpu + cores; ++c) {
      Core core;
      core.cpus = smt_offset > 0 ? CpuSet{c, c + smt_offset} : CpuSet{c};
      core.package = package;
      core.node = NodeId{id};
      cpus |= core.cpus;
      m_.cores.push_back(std::move(core));
    }
    add_memory_node(id, total, free, MemoryKind::kDram);
    m_.nodes.back().cpus.value = cpus;
    auto found = std::find_if(m_.packages.begin(), m_.packages.end(), [&](const Package& p) { return p.id == package; });
    if (found == m_.packages.end()) found = m_.packages.insert(found, Package{package, {}});
    found->cpus |= cpus;
  }

  void add_memory_node(int id, std::uint64_t total, std::uint64_t free, MemoryKind kind) {
    NumaNode node;
    node.id = NodeId{id};
    node.cpus = {CpuSet{}, Source::kSysfs};
    node.memory_total_bytes = {total, Source::kSysfs};
    node.memory_free_bytes = {free, Source::kSysfs};
    node.kind = {kind, Source::kSysfs};
    m_.nodes.push_back(std::move(node));
  }

  /// An L3 cache for every `cores` cores.
  void add_l3(std::size_t cores, std::uint64_t size_bytes) {
    for (std::size_t first = 0; first < m_.cores.size(); first += cores) {
      L3Group group{{}, size_bytes};
      for (std::size_t c = first; c < std::min(first + cores, m_.cores.size()); ++c) group.cpus |= m_.cores[c].cpus;
      m_.l3.push_back(std::move(group));
    }
  }

  template <class DistanceOf>
  void set_distances(DistanceOf distance_of) {
    for (auto& from : m_.nodes) {
      std::map<int, int> row;
      for (const auto& to : m_.nodes) row[number(to.id)] = from.id == to.id ? 10 : distance_of(number(from.id), number(to.id));
      from.distances = {std::move(row), Source::kSysfs};
    }
  }

  /// A PCI function. `node` -1: the kernel does not know. `parent`: the bridge above; none below the host bridge,
  /// whose name follows from the root bus `root` ("0000:15" is pci0000:15).
  PciDevice& add_pci(std::string_view address, std::string_view root, int node, std::optional<PciAddress> parent,
                     std::uint32_t class_code, std::uint16_t vendor, std::uint16_t device) {
    PciDevice d;
    d.address = at(address);
    d.vendor = vendor;
    d.device = device;
    d.class_code = class_code;
    if (node >= 0) d.numa_node = {NodeId{node}, Source::kSysfs};
    d.parent = parent;
    d.host_bridge = fmt::format("pci{}", root);
    return m_.pci.emplace_back(std::move(d));
  }

  PciAddress add_bridge(std::string_view address, std::string_view root, int node, std::optional<PciAddress> parent,
                        std::uint16_t vendor, PciLink link) {
    auto& d = add_pci(address, root, node, parent, kBridge, vendor, 0xc010);
    d.driver = "pcieport";
    set_link(d, link, link);
    return d.address;
  }

  static void set_link(PciDevice& d, PciLink now, PciLink max) {
    d.link = {now, Source::kSysfs};
    d.link_max = {max, Source::kSysfs};
  }

  void add_gpu(PciDevice& d, const GpuModel& model) {
    d.driver = "nvidia";
    Gpu gpu;
    gpu.index = static_cast<int>(m_.gpus.size());
    gpu.address = d.address;
    gpu.vendor = d.vendor;
    gpu.device = d.device;
    // Made up, but as unique in its first letters as a real one.
    gpu.uuid = {fmt::format("GPU-{:02x}{:02x}{:04x}-0000-4000-8000-{:012x}", d.address.bus, d.address.device, d.device, gpu.index),
                Source::kProcDriver};
    gpu.model = {std::string(model.name), Source::kProcDriver};
    gpu.memory_bytes = {model.memory_bytes, Source::kNvml};
    gpu.nvml_index = {gpu.index, Source::kNvml};
    gpu.minor = {gpu.index, Source::kProcDriver};
    m_.gpus.push_back(std::move(gpu));
  }

  void add_nic(PciDevice& d, std::string name, std::string interface, int mbit_per_s) {
    Nic nic;
    nic.index = static_cast<int>(m_.nics.size());
    nic.address = d.address;
    nic.name = std::move(name);
    if (!interface.empty()) nic.interfaces.push_back(std::move(interface));
    nic.vendor = d.vendor;
    nic.device = d.device;
    nic.infiniband = d.vendor == kMellanox;
    if (nic.infiniband) d.driver = "mlx5_core";
    if (mbit_per_s > 0) nic.speed_mb_per_s = {mbit_per_s, Source::kSysfs};
    m_.nics.push_back(std::move(nic));
  }

  void add_nvme(PciDevice& d) {
    Nvme nvme;
    nvme.index = static_cast<int>(m_.nvme.size());
    nvme.address = d.address;
    nvme.name = fmt::format("nvme{}", nvme.index);
    d.driver = "nvme";
    m_.nvme.push_back(std::move(nvme));
  }

  void add_nvlinks(int count, int version, int group_size) {
    const int gpus = static_cast<int>(m_.gpus.size());
    for (int from = 0; from < gpus; ++from) {
      for (int to = from / group_size * group_size; to < std::min((from / group_size + 1) * group_size, gpus); ++to) {
        if (from == to) continue;
        m_.links.push_back({{DeviceRef::Type::kGpu, from}, {DeviceRef::Type::kGpu, to}, LinkKind::kNvlink, count, version, {}, Source::kNvml});
      }
    }
  }

  Machine& machine() { return m_; }

  System finish() {
    const auto by_first_cpu = [](const auto& a, const auto& b) { return a.cpus.first() < b.cpus.first(); };
    std::sort(m_.cores.begin(), m_.cores.end(), by_first_cpu);
    std::sort(m_.l3.begin(), m_.l3.end(), by_first_cpu);
    std::sort(m_.pci.begin(), m_.pci.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
    CpuSet online;
    for (const auto& core : m_.cores) online |= core.cpus;
    m_.online = {online, Source::kSysfs};
    for (auto& d : m_.pci) d.local_cpus = {local_cpus(d, online), Source::kSysfs};
    for (auto& gpu : m_.gpus) gpu.cuda_ordinal = {gpu.index, Source::kNvml};
    complete(m_);
    return {std::move(m_), {}, {}};
  }

 private:
  /// As the kernel does it: every online CPU for a device whose node it does not know.
  CpuSet local_cpus(const PciDevice& d, const CpuSet& online) const {
    if (!d.numa_node) return online;
    const auto* node = find_node(m_, *d.numa_node);
    return node == nullptr ? CpuSet{} : node->cpus.value_or({});
  }

  Machine m_;
};

/// The two-socket server with 8 A100 of a well-known article on NUMA and GPUs, as its `numactl --hardware`,
/// `nvidia-smi topo -m` and `lspci` print it.
System dual_a100() {
  Builder b("dual-a100", "Intel(R) Xeon(R) Gold", "x86_64");
  b.add_node(0, 0, 0, 12, 24, 128237 * kMiB, 115482 * kMiB);
  b.add_node(1, 1, 12, 12, 24, 128906 * kMiB, 120153 * kMiB);
  b.add_l3(12, 36 * kMiB);
  b.set_distances([](int, int) { return 21; });
  constexpr std::string_view kBuses[] = {"17", "31", "4b", "65", "ca", "d1", "d8", "e3"};
  int slot = 0;
  for (const auto bus : kBuses) {
    const int node = slot++ < 4 ? 0 : 1;
    const auto above = fmt::format("{:02x}", at(fmt::format("{}:00.0", bus)).bus - 1);
    const auto root = "0000:" + above;
    const auto port = b.add_bridge(root + ":02.0", root, node, {}, kIntel, kGen4x16);
    auto& gpu = b.add_pci(fmt::format("0000:{}:00.0", bus), root, node, port, k3d, kNvidia, kA100Pcie.device);
    Builder::set_link(gpu, kGen4x16, kGen4x16);
    b.add_gpu(gpu, kA100Pcie);
  }
  b.add_nvlinks(12, 3, 4);
  return b.finish();
}

/// One PCIe switch of a DGX H100: NIC, NVMe and GPU behind one root port; buses as on the real machine.
void add_h100_switch(Builder& b, int root_bus, int nic_bus, int node, int rail) {
  const auto root = fmt::format("0000:{:02x}", root_bus);
  const auto bus = [](int number, std::string_view rest) { return fmt::format("0000:{:02x}:{}", number, rest); };
  const auto port = b.add_bridge(root + ":01.0", root, node, {}, kIntel, kGen5x16);
  const auto up = b.add_bridge(bus(nic_bus - 2, "00.0"), root, node, port, kBroadcom, kGen5x16);
  const auto down = [&](std::string_view device, PciLink link) {
    return b.add_bridge(bus(nic_bus - 1, device), root, node, up, kBroadcom, link);
  };
  auto& nic = b.add_pci(bus(nic_bus, "00.0"), root, node, down("00.0", kGen5x16), kInfiniband, kMellanox, 0x1021);
  Builder::set_link(nic, kGen5x16, kGen5x16);
  b.add_nic(nic, fmt::format("mlx5_{}", rail), fmt::format("ibp{}s0", nic_bus), 400000);
  auto& nvme = b.add_pci(bus(nic_bus + 1, "00.0"), root, node, down("01.0", kGen4x4), kNvmeClass, kSamsung, 0xa824);
  Builder::set_link(nvme, kGen4x4, kGen4x4);
  b.add_nvme(nvme);
  auto& gpu = b.add_pci(bus(nic_bus + 3, "00.0"), root, node, down("03.0", kGen5x16), k3d, kNvidia, kH100Sxm.device);
  Builder::set_link(gpu, kGen5x16, kGen5x16);
  b.add_gpu(gpu, kH100Sxm);
}

/// A dual-port adapter for storage: one InfiniBand and one Ethernet port.
void add_h100_storage_nic(Builder& b, int root_bus, int nic_bus, int node, int first) {
  const auto root = fmt::format("0000:{:02x}", root_bus);
  const auto port = b.add_bridge(root + ":01.0", root, node, {}, kIntel, kGen5x16);
  for (int function = 0; function < 2; ++function) {
    auto& nic = b.add_pci(fmt::format("0000:{:02x}:00.{}", nic_bus, function), root, node, port,
                          function == 0 ? kInfiniband : kEthernet, kMellanox, 0x1021);
    Builder::set_link(nic, kGen5x16, kGen5x16);
    b.add_nic(nic, fmt::format("mlx5_{}", first + function),
              function == 0 ? fmt::format("ibp{}s0f0", nic_bus) : fmt::format("enp{}s0f1np1", nic_bus),
              function == 0 ? 400000 : 100000);
  }
}

void add_h100_board(Builder& b) {
  const auto port = b.add_bridge("0000:00:0e.0", "0000:00", 0, {}, kIntel, {5.0, 1});
  auto& console = b.add_pci("0000:02:00.0", "0000:00", 0, port, kVga, kAspeed, 0x2000);
  console.driver = "ast";
  const auto switches = b.add_bridge("0000:00:10.0", "0000:00", 0, {}, kIntel, {16.0, 2});
  for (int i = 0; i < 4; ++i) {
    auto& nvswitch = b.add_pci(fmt::format("0000:{:02x}:00.0", 7 + i), "0000:00", 0, switches, kOtherBridge, kNvidia, 0x22a3);
    nvswitch.driver = "nvidia-nvswitch";
  }
}

/// DGX H100: 2 x Xeon 8480C, 8 GPUs all-to-all through NVSwitch, a 400 Gbit/s rail a GPU, two dual-port storage NICs.
System dgx_h100() {
  Builder b("dgx-h100", "Intel(R) Xeon(R) Platinum 8480C", "x86_64");
  b.add_node(0, 0, 0, 56, 112, 1031621 * kMiB, 1003519 * kMiB);
  b.add_node(1, 1, 56, 56, 112, 1032151 * kMiB, 1011377 * kMiB);
  b.add_l3(56, 105 * kMiB);
  b.set_distances([](int, int) { return 21; });
  add_h100_board(b);
  // In PCI order, so that mlx5_N counts as the kernel counts.
  add_h100_switch(b, 0x15, 0x18, 0, 0);
  add_h100_storage_nic(b, 0x26, 0x29, 0, 1);
  add_h100_switch(b, 0x3d, 0x40, 0, 3);
  add_h100_switch(b, 0x4c, 0x4f, 0, 4);
  add_h100_switch(b, 0x5b, 0x5e, 0, 5);
  add_h100_switch(b, 0x97, 0x9a, 1, 6);
  add_h100_storage_nic(b, 0xa7, 0xaa, 1, 7);
  add_h100_switch(b, 0xbd, 0xc0, 1, 9);
  add_h100_switch(b, 0xcb, 0xce, 1, 10);
  add_h100_switch(b, 0xd9, 0xdc, 1, 11);
  b.add_nvlinks(18, 4, 8);
  return b.finish();
}

/// A Grace Hopper: node 0 has the CPUs, node 1 is the GPU's memory, nodes 2-8 wait for MIG instances.
/// Distances as such a machine's firmware gives them; 255 is "unreachable".
System gh200() {
  Builder b("gh200", "Neoverse-V2", "aarch64");
  b.add_node(0, 0, 0, 72, 0, 490310 * kMiB, 474625 * kMiB);
  b.add_l3(72, 114 * kMiB);
  b.add_memory_node(1, 97280 * kMiB, 96765 * kMiB, MemoryKind::kGpu);
  for (int id = 2; id <= 8; ++id) b.add_memory_node(id, 0, 0, MemoryKind::kGpu);
  b.set_distances([](int from, int to) { return from == 0 || to == 0 ? 80 : 255; });
  const auto nic_port = b.add_bridge("0000:00:00.0", "0000:00", 0, {}, kNvidia, kGen5x16);
  auto& nic = b.add_pci("0000:01:00.0", "0000:00", 0, nic_port, kInfiniband, kMellanox, 0x1021);
  Builder::set_link(nic, kGen5x16, kGen5x16);
  b.add_nic(nic, "mlx5_0", "ibp1s0", 400000);
  const auto nvme_port = b.add_bridge("0004:00:00.0", "0004:00", 0, {}, kNvidia, kGen4x4);
  auto& nvme = b.add_pci("0004:01:00.0", "0004:00", 0, nvme_port, kNvmeClass, kSamsung, 0xa824);
  Builder::set_link(nvme, kGen4x4, kGen4x4);
  b.add_nvme(nvme);
  const auto gpu_port = b.add_bridge("0009:00:00.0", "0009:00", 0, {}, kNvidia, kGen5x16);
  auto& gpu = b.add_pci("0009:01:00.0", "0009:00", 0, gpu_port, k3d, kNvidia, kGh200.device);
  Builder::set_link(gpu, kGen5x16, kGen5x16);
  b.add_gpu(gpu, kGh200);
  auto& m = b.machine();
  m.gpus[0].memory_node = {NodeId{1}, Source::kProcDriver};
  for (std::size_t n = 1; n < m.nodes.size(); ++n) m.nodes[n].gpu = {*m.gpus[0].address, Source::kProcDriver};
  const DeviceRef gpu0{DeviceRef::Type::kGpu, 0}, grace{DeviceRef::Type::kNode, 0};
  m.links.push_back({gpu0, grace, LinkKind::kC2c, {}, {}, {}, Source::kNvml});
  m.links.push_back({grace, gpu0, LinkKind::kC2c, {}, {}, {}, Source::kNvml});
  return b.finish();
}

/// Two GPUs and their two rails behind one switch of a two-socket EPYC.
void add_a100_switch(Builder& b, std::string_view root, int node, std::string_view up_bus, std::string_view down_bus,
                     const std::array<std::string_view, 4>& gpu_nic_gpu_nic, int first_nic) {
  const auto port = b.add_bridge(fmt::format("{}:01.1", root), root, node, {}, kAmd, kGen4x16);
  const auto up = b.add_bridge(fmt::format("0000:{}:00.0", up_bus), root, node, port, kBroadcom, kGen4x16);
  for (std::size_t i = 0; i < gpu_nic_gpu_nic.size(); ++i) {
    const auto down = b.add_bridge(fmt::format("0000:{}:{:02x}.0", down_bus, 4 * i), root, node, up, kBroadcom, kGen4x16);
    const auto address = fmt::format("0000:{}:00.0", gpu_nic_gpu_nic[i]);
    if (i % 2 == 0) {
      auto& gpu = b.add_pci(address, root, node, down, k3d, kNvidia, kA100Sxm.device);
      Builder::set_link(gpu, kGen4x16, kGen4x16);
      b.add_gpu(gpu, kA100Sxm);
    } else {
      auto& nic = b.add_pci(address, root, node, down, kInfiniband, kMellanox, 0x101b);
      Builder::set_link(nic, kGen4x16, kGen4x16);
      b.add_nic(nic, fmt::format("mlx5_{}", first_nic + static_cast<int>(i) / 2), fmt::format("ibp{}s0", nic.address.bus), 200000);
    }
  }
}

/// Two EPYC 7742 in NPS4 mode: eight nodes, the GPUs on nodes 3, 3, 1, 1, 7, 7, 5, 5 (the order of a DGX A100).
System epyc_nps4() {
  Builder b("epyc-nps4", "AMD EPYC 7742 64-Core Processor", "x86_64");
  for (int node = 0; node < 8; ++node) b.add_node(node, node / 4, node * 16, 16, 128, 128 * kGiB, 121 * kGiB);
  b.add_l3(4, 16 * kMiB);
  b.set_distances([](int from, int to) { return from / 4 == to / 4 ? 12 : 32; });
  add_a100_switch(b, "0000:00", 3, "01", "02", {"07", "0c", "0f", "12"}, 0);
  add_a100_switch(b, "0000:40", 1, "41", "42", {"47", "4b", "4e", "54"}, 2);
  add_a100_switch(b, "0000:80", 7, "81", "82", {"87", "8d", "90", "94"}, 4);
  add_a100_switch(b, "0000:b0", 5, "b1", "b2", {"b7", "ba", "bd", "cc"}, 6);
  b.add_nvlinks(12, 3, 8);
  return b.finish();
}

/// A cloud VM: one node, devices straight on the root bus, and a kernel that knows the node of none of them.
System vm() {
  Builder b("vm", "AMD EPYC 7R32", "x86_64");
  b.add_node(0, 0, 0, 4, 4, 31619 * kMiB, 29710 * kMiB);
  b.add_l3(4, 16 * kMiB);
  b.set_distances([](int, int) { return 20; });
  auto& console = b.add_pci("0000:00:03.0", "0000:00", -1, {}, kVga, kAmazon, 0x1111);
  console.driver = "";
  auto& nvme = b.add_pci("0000:00:04.0", "0000:00", -1, {}, kNvmeClass, kAmazon, 0x8061);
  b.add_nvme(nvme);
  auto& nic = b.add_pci("0000:00:05.0", "0000:00", -1, {}, kEthernet, kAmazon, 0xec20);
  nic.driver = "ena";
  b.add_nic(nic, "ens5", "ens5", 0);
  auto& gpu = b.add_pci("0000:00:1e.0", "0000:00", -1, {}, k3d, kNvidia, kA10g.device);
  Builder::set_link(gpu, kGen3x8, {16.0, 16});
  b.add_gpu(gpu, kA10g);
  return b.finish();
}

/// The trap of many clouds: two nodes, and numa_node is -1 for every device, so nobody can say which GPU is where.
System vm_2node_unknown() {
  Builder b("vm-2node-unknown", "Intel(R) Xeon(R) Platinum 8369B", "x86_64");
  b.add_node(0, 0, 0, 16, 32, 245760 * kMiB, 239812 * kMiB);
  b.add_node(1, 1, 16, 16, 32, 245760 * kMiB, 240977 * kMiB);
  b.add_l3(16, 48 * kMiB);
  b.set_distances([](int, int) { return 20; });
  b.add_pci("0000:00:02.0", "0000:00", -1, {}, kVga, kBochs, 0x1111);
  auto& nic = b.add_pci("0000:00:03.0", "0000:00", -1, {}, kEthernet, kRedHat, 0x1000);
  nic.driver = "virtio-pci";
  b.add_nic(nic, "eth0", "eth0", 0);
  for (int i = 0; i < 4; ++i) {
    auto& gpu = b.add_pci(fmt::format("0000:00:{:02x}.0", 8 + i), "0000:00", -1, {}, k3d, kNvidia, kA100Sxm.device);
    Builder::set_link(gpu, kGen4x16, kGen4x16);
    b.add_gpu(gpu, kA100Sxm);
  }
  b.add_nvlinks(12, 3, 4);
  return b.finish();
}

struct Row {
  std::string_view name, description;
  System (*make)();
};
constexpr Row kMachines[] = {
    {"dual-a100", "2 sockets x 12 cores SMT, 8 A100 (4 a node), NVLink within a node", dual_a100},
    {"dgx-h100", "DGX H100: 2 sockets x 56 cores SMT, 8 H100 through NVSwitch, 12 ConnectX-7 ports", dgx_h100},
    {"gh200", "Grace Hopper: 72 Arm cores, GPU memory as node 1, empty nodes 2-8", gh200},
    {"epyc-nps4", "2 EPYC 7742 in NPS4 (8 nodes), 8 A100 on nodes 3,3,1,1,7,7,5,5", epyc_nps4},
    {"vm", "cloud VM: one node, one A10G, numa_node -1", vm},
    {"vm-2node-unknown", "cloud VM: two nodes, 4 A100, numa_node -1: nobody knows which GPU is where", vm_2node_unknown},
};

}  // namespace

std::vector<BuiltinMachine> builtin_machines() {
  std::vector<BuiltinMachine> list;
  for (const auto& row : kMachines) list.push_back({std::string(row.name), std::string(row.description)});
  return list;
}

std::optional<System> find_builtin_machine(std::string_view name) {
  for (const auto& row : kMachines) {
    if (row.name == name) return row.make();
  }
  return std::nullopt;
}

}  // namespace numapin
