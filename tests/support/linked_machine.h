// Machines with a PCIe tree whose links have speeds, for tests and benchmarks of src/analyze. Completed.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>

#include "support/made_machine.h"

namespace numapin::test {

inline constexpr PciLink kGen3x16{8.0, 16}, kGen3x8{8.0, 8}, kGen4x16{16.0, 16}, kGen5x16{32.0, 16};
inline constexpr std::uint16_t kV100 = 0x1db1, kP100Pcie = 0x15f8, kA100 = 0x20b2, kA100Pcie = 0x20b5, kA40 = 0x2235, kH100 = 0x2330,
                               kGh200 = 0x2342, kA6000 = 0x2230;

class LinkedMachine {
 public:
  explicit LinkedMachine(std::string cpu_model, int nodes = 2, int nodes_per_socket = 1) {
    MachineShape shape;
    shape.nodes = nodes;
    shape.nodes_per_package = nodes_per_socket;
    shape.gpus_per_node = 0;
    m_ = made_machine(shape);
    m_.cpu_model = {std::move(cpu_model), Source::kProcfs};
  }

  /// A root port and the upstream port of a switch behind it.
  PciAddress add_switch(int node, PciLink link) {
    const auto port = add(node, {}, 0x060400, 0x1000, 0xc010, link);
    return add(node, port, 0x060400, 0x1000, 0xc010, link);
  }
  /// Behind a downstream port of the switch, or behind a root port of its own.
  int add_gpu(int node, std::optional<PciAddress> under, PciLink link, std::uint16_t device) {
    const auto port = add(node, under, 0x060400, 0x1000, 0xc010, link);
    Gpu gpu;
    gpu.index = static_cast<int>(m_.gpus.size());
    gpu.address = add(node, port, 0x030200, 0x10de, device, link);
    gpu.vendor = 0x10de;
    gpu.device = device;
    gpu.nvml_index = {gpu.index, Source::kNvml};
    m_.gpus.push_back(gpu);
    return gpu.index;
  }
  int add_nic(int node, std::optional<PciAddress> under, PciLink link, int mbit_per_s) {
    const auto port = add(node, under, 0x060400, 0x1000, 0xc010, link);
    Nic nic;
    nic.index = static_cast<int>(m_.nics.size());
    nic.address = add(node, port, 0x020700, 0x15b3, 0x1021, link);
    nic.name = fmt::format("mlx5_{}", nic.index);
    nic.infiniband = true;
    if (mbit_per_s > 0) nic.speed_mb_per_s = {mbit_per_s, Source::kSysfs};
    m_.nics.push_back(nic);
    return nic.index;
  }
  void add_nvlinks(int a, int b, int count) {
    for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      Link link;
      link.from = {DeviceRef::Type::kGpu, from};
      link.to = {DeviceRef::Type::kGpu, to};
      link.kind = LinkKind::kNvlink;
      link.count = count;
      link.source = Source::kNvml;
      m_.links.push_back(link);
    }
  }
  void add_nvswitch(int count) {
    for (std::size_t a = 0; a < m_.gpus.size(); ++a)
      for (std::size_t b = a + 1; b < m_.gpus.size(); ++b) add_nvlinks(static_cast<int>(a), static_cast<int>(b), count);
  }
  /// To change what the sources would have told; before machine().
  Machine& raw() { return m_; }
  Machine machine() const {
    auto m = m_;
    complete(m);
    return m;
  }

 private:
  /// Addresses count up, a bus a device: GPUs and NICs keep the order in which they were added.
  PciAddress add(int node, std::optional<PciAddress> parent, std::uint32_t class_code, std::uint16_t vendor, std::uint16_t device, PciLink link) {
    PciDevice d;
    d.address = {static_cast<std::uint32_t>(m_.pci.size() >> 8), static_cast<std::uint8_t>(m_.pci.size() & 0xff), 0, 0};
    d.class_code = class_code;
    d.vendor = vendor;
    d.device = device;
    d.parent = parent;
    d.host_bridge = fmt::format("pci0000:{:02x}", node);
    if (node >= 0) d.numa_node = {NodeId{node}, Source::kSysfs};
    d.link = d.link_max = {link, Source::kSysfs};
    m_.pci.push_back(d);
    return d.address;
  }
  Machine m_;
};

/// As a DGX H100: two sockets, 8 GPUs on an NVSwitch, each on a PCIe switch with a NIC.
inline Machine rail_machine(int mbit_per_s = 400000) {
  LinkedMachine made("Intel(R) Xeon(R) Platinum 8480C");
  for (int i = 0; i < 8; ++i) {
    const auto at = made.add_switch(i / 4, kGen5x16);
    made.add_gpu(i / 4, at, kGen5x16, kH100);
    made.add_nic(i / 4, at, kGen5x16, mbit_per_s);
  }
  made.add_nvswitch(18);
  return made.machine();
}

}  // namespace numapin::test
