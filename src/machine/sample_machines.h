// Small machines for the tests of this folder, each with one oddity. As a kernel source would deliver them: not
// completed. Tests only.
#pragma once

#include <string>

#include "numapin/machine.h"

namespace numapin::sample {

inline constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

inline CpuSet cpus(std::string_view list) { return CpuSet::parse(list).value(); }
inline PciAddress at(std::string_view text) { return PciAddress::parse(text).value(); }

inline NumaNode node(int id, std::string_view cpu_list, std::uint64_t gib, std::map<int, int> distances = {}) {
  NumaNode n;
  n.id = static_cast<NodeId>(id);
  n.cpus = {cpus(cpu_list), Source::kSysfs};
  n.memory_total_bytes = {gib * kGiB, Source::kSysfs};
  n.memory_free_bytes = {gib * kGiB / 2, Source::kSysfs};
  if (!distances.empty()) n.distances = {std::move(distances), Source::kSysfs};
  return n;
}

/// numa_node -1: unknown, as the kernel says it
inline PciDevice function(std::string_view address, std::uint32_t class_code, int numa_node,
                          std::string_view parent = "", std::string_view host_bridge = "") {
  PciDevice d;
  d.address = at(address);
  d.class_code = class_code;
  d.vendor = 0x10de;
  d.device = 0x2330;
  if (numa_node >= 0) d.numa_node = {static_cast<NodeId>(numa_node), Source::kSysfs};
  if (!parent.empty()) d.parent = at(parent);
  d.host_bridge = host_bridge;
  return d;
}

inline Gpu gpu(int index, std::string_view address) {
  Gpu g;
  g.index = index;
  if (!address.empty()) g.address = at(address);
  g.vendor = 0x10de;
  g.device = 0x2330;
  return g;
}

inline Nic nic(int index, std::string_view address) {
  Nic n;
  n.index = index;
  n.address = at(address);
  n.name = "mlx5_" + std::to_string(index);
  return n;
}

inline Machine with_nodes(std::vector<NumaNode> nodes) {
  Machine m;
  m.nodes = std::move(nodes);
  m.online = {cpus_of(m, memory_nodes(m) | cpu_nodes(m)), Source::kSysfs};
  return m;
}

inline void add_function_with_gpu(Machine& m, const PciDevice& d) {
  m.pci.push_back(d);
  m.gpus.push_back(gpu(static_cast<int>(m.gpus.size()), d.address.to_string()));
}

inline void add_link(Machine& m, DeviceRef from, DeviceRef to, LinkKind kind, std::optional<int> count, Source source) {
  for (const auto& [a, b] : {std::pair(from, to), std::pair(to, from)}) {
    Link link;
    link.from = a;
    link.to = b;
    link.kind = kind;
    link.count = count;
    link.source = source;
    m.links.push_back(link);
  }
}
inline DeviceRef gpu_ref(int index) { return {DeviceRef::Type::kGpu, index}; }
inline DeviceRef nic_ref(int index) { return {DeviceRef::Type::kNic, index}; }

/// Two sockets, four GPUs behind two switches each, a NIC on the first switch; NVLink within a node.
inline Machine two_sockets() {
  auto m = with_nodes({node(0, "0-3,8-11", 64, {{0, 10}, {1, 21}}), node(1, "4-7,12-15", 64, {{0, 21}, {1, 10}})});
  for (int i = 0; i < 8; ++i) {
    Core core;
    core.cpus = CpuSet{i, i + 8};
    m.cores.push_back(core);
  }
  m.packages = {{0, cpus("0-3,8-11")}, {1, cpus("4-7,12-15")}};
  m.l3 = {{cpus("0-3,8-11"), 32u << 20}, {cpus("4-7,12-15"), 32u << 20}};
  for (int socket = 0; socket < 2; ++socket) {
    for (int sw = 0; sw < 2; ++sw) {
      const std::string base = socket == 0 ? "1" : "9";
      const std::string root = "0000:" + base + std::to_string(sw * 4) + ":01.0";
      const std::string bus = "0000:" + base + std::to_string(sw * 4 + 1);
      const std::string host = "pci0000:" + base + std::to_string(sw * 4);
      m.pci.push_back(function(root, 0x060400, socket, "", host));
      m.pci.push_back(function(bus + ":00.0", 0x060400, socket, root, host));
      const std::string ports = "0000:" + base + std::to_string(sw * 4 + 2);
      for (int port = 0; port < 2; ++port) {
        const std::string down = ports + ":0" + std::to_string(port) + ".0";
        m.pci.push_back(function(down, 0x060400, socket, bus + ":00.0", host));
        const std::string end = "0000:" + base + (port == 0 ? std::string(sw ? "c" : "a") : std::string(sw ? "d" : "b"));
        add_function_with_gpu(m, function(end + ":00.0", 0x030200, socket, down, host));
        m.pci.back().link = {PciLink{16, 16}, Source::kSysfs};
        m.pci.back().link_max = {PciLink{32, 16}, Source::kSysfs};
      }
      if (socket == 0 && sw == 0) {
        const std::string down = ports + ":02.0";
        m.pci.push_back(function(down, 0x060400, socket, bus + ":00.0", host));
        m.pci.push_back(function("0000:1e:00.0", 0x020700, socket, down, host));
        m.nics.push_back(nic(0, "0000:1e:00.0"));
      }
    }
  }
  for (int a = 0; a < 8; ++a)
    for (int b = a + 1; b < 8; ++b)
      if (a / 4 == b / 4) add_link(m, gpu_ref(a), gpu_ref(b), LinkKind::kNvlink, 12, Source::kNvml);
  return m;
}

/// EPYC in NPS4: eight nodes, GPUs in PCI order on nodes 3,3,1,1,7,7,5,5; no switch, no NVLink.
inline Machine nps4() {
  std::vector<NumaNode> nodes;
  for (int n = 0; n < 8; ++n) {
    std::map<int, int> distances;
    for (int to = 0; to < 8; ++to) distances[to] = to == n ? 10 : to / 4 == n / 4 ? 12 : 32;
    nodes.push_back(node(n, std::to_string(n * 4) + "-" + std::to_string(n * 4 + 3), 32, distances));
  }
  auto m = with_nodes(std::move(nodes));
  const int near[] = {3, 3, 1, 1, 7, 7, 5, 5};
  for (int i = 0; i < 8; ++i) {
    const std::string host = "pci0000:" + std::to_string(near[i]) + "0";
    const std::string port = "0000:" + std::to_string(near[i]) + "0:0" + std::to_string(i % 2 + 1) + ".0";
    m.pci.push_back(function(port, 0x060400, near[i], "", host));
    add_function_with_gpu(m, function("0000:" + std::to_string(near[i]) + std::to_string(i % 2 + 1) + ":00.0", 0x030200,
                                      near[i], port, host));
  }
  return m;
}

/// GH200: node 0 with CPUs, node 1 the GPU's memory, nodes 2-8 empty; the kernel puts the GPU on node 1.
inline Machine gh200() {
  std::vector<NumaNode> nodes = {node(0, "0-71", 480, {{0, 10}, {1, 80}}), node(1, "", 96, {{0, 80}, {1, 10}})};
  nodes[1].kind = {MemoryKind::kGpu, Source::kProcDriver};
  nodes[1].gpu = {at("0009:01:00.0"), Source::kProcDriver};
  for (int n = 2; n <= 8; ++n) nodes.push_back(node(n, "", 0, {{0, 80}, {1, 255}, {n, 10}}));
  auto m = with_nodes(std::move(nodes));
  m.pci.push_back(function("0009:00:00.0", 0x060400, 0, "", "pci0009:00"));
  add_function_with_gpu(m, function("0009:01:00.0", 0x030200, 1, "0009:00:00.0", "pci0009:00"));
  return m;
}

/// A VM with `node_count` nodes whose devices hang flat on one root bus with numa_node -1.
inline Machine vm(int node_count) {
  std::vector<NumaNode> nodes;
  for (int n = 0; n < node_count; ++n)
    nodes.push_back(node(n, std::to_string(n * 4) + "-" + std::to_string(n * 4 + 3), 16));
  auto m = with_nodes(std::move(nodes));
  for (const char* address : {"0000:00:05.0", "0000:00:06.0"}) {
    add_function_with_gpu(m, function(address, 0x030200, -1, "", "pci0000:00"));
    m.pci.back().local_cpus = {*m.online, Source::kSysfs};
  }
  return m;
}

}  // namespace numapin::sample
