// Machines made by a few numbers, for tests and benchmarks of the pure layers.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "numapin/machine.h"

namespace numapin::test {

struct MachineShape {
  int nodes = 2;
  int cores_per_node = 12;
  int threads = 2;             ///< SMT; sibling k of core c is CPU c + k * (cores of the machine)
  int cores_per_l3 = 0;        ///< 0: one L3 a node
  int nodes_per_package = 1;
  int gpus_per_node = 4;
  std::uint16_t vendor = 0x10de, device = 0x20b0;
  bool uuids = true;
};

/// A regular machine: CPUs 0.. in the order of the cores, GPU i on node i / gpus_per_node, SLIT 10/21.
inline Machine made_machine(const MachineShape& s = {}) {
  Machine m;
  const int cores = s.nodes * s.cores_per_node;
  const int per_l3 = s.cores_per_l3 > 0 ? s.cores_per_l3 : s.cores_per_node;
  m.online = {CpuSet::range(0, cores * s.threads - 1), Source::kSysfs};
  for (int n = 0; n < s.nodes; ++n) {
    NumaNode node;
    node.id = NodeId{n};
    CpuSet cpus;
    for (int c = n * s.cores_per_node; c < (n + 1) * s.cores_per_node; ++c) {
      Core core;
      for (int t = 0; t < s.threads; ++t) core.cpus.insert(CpuId{c + t * cores});
      core.node = node.id;
      core.package = n / s.nodes_per_package;
      cpus |= core.cpus;
      if (c % per_l3 == 0 || m.l3.empty() || c == n * s.cores_per_node) m.l3.push_back({});
      m.l3.back().cpus |= core.cpus;
      m.cores.push_back(core);
    }
    std::map<int, int> distances;
    for (int other = 0; other < s.nodes; ++other) distances[other] = other == n ? 10 : 21;
    node.cpus = {cpus, Source::kSysfs};
    node.memory_total_bytes = {std::uint64_t{128} << 30, Source::kSysfs};
    node.memory_free_bytes = {std::uint64_t{100} << 30, Source::kSysfs};
    node.kind = {MemoryKind::kDram, Source::kSysfs};
    node.distances = {distances, Source::kSysfs};
    m.nodes.push_back(node);
    const int package = n / s.nodes_per_package;
    if (package == static_cast<int>(m.packages.size())) m.packages.push_back({package, {}});
    m.packages.back().cpus |= cpus;
    for (int g = 0; g < s.gpus_per_node; ++g) {
      Gpu gpu;
      gpu.index = static_cast<int>(m.gpus.size());
      gpu.address = PciAddress{0, static_cast<std::uint8_t>(0x10 + 8 * gpu.index), 0, 0};
      gpu.vendor = s.vendor;
      gpu.device = s.device;
      if (s.uuids && s.vendor == 0x1002) gpu.uuid = {fmt::format("GPU-{:016x}", 0xab00 + gpu.index), Source::kKfd};
      if (s.uuids && s.vendor == 0x10de)
        gpu.uuid = {fmt::format("GPU-{:08x}-0000-0000-0000-{:012x}", 0x10000000 + gpu.index, gpu.index), Source::kNvml};
      gpu.numa_nodes = {NodeSet::of(node.id), Source::kSysfs};
      m.gpus.push_back(gpu);
    }
  }
  return m;
}

}  // namespace numapin::test
