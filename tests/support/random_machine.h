// Random but repeatable machines, allowances and jobs: the shapes no recording has yet.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "numapin/plan.h"

namespace numapin::test {

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  /// From `low` to `high`, both included. (std::uniform_int_distribution differs between libraries.)
  int between(int low, int high) {
    return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1));
  }
  bool percent(int p) { return between(1, 100) <= p; }

 private:
  std::mt19937 random_;
};

/// A random subset; each member stays with the given chance.
template <class Set>
Set some_of(Dice& dice, const Set& all, int percent) {
  Set kept;
  for (const auto id : all)
    if (dice.percent(percent)) kept.insert(id);
  return kept;
}

/// Numbers the logical CPUs of the cores in one of the ways that real machines do.
inline std::vector<CpuSet> number_cpus(Dice& dice, const std::vector<int>& node_of_core, int threads) {
  const int cores = static_cast<int>(node_of_core.size());
  std::vector<int> order(node_of_core.size());
  for (int i = 0; i < cores; ++i) order[static_cast<std::size_t>(i)] = i;
  if (dice.percent(30))  // consecutive CPUs on alternating nodes
    std::stable_sort(order.begin(), order.end(), [&](int x, int y) {
      const auto place = [&](int c) {
        const auto at = node_of_core.begin() + c;
        return std::count(node_of_core.begin(), at, *at);
      };
      return place(x) < place(y);
    });
  const bool siblings_together = dice.percent(40);
  std::vector<CpuSet> cpus(node_of_core.size());
  for (int i = 0; i < cores; ++i)
    for (int t = 0; t < threads; ++t)
      cpus[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])].insert(
          CpuId{siblings_together ? i * threads + t : i + t * cores});
  return cpus;
}

inline void add_random_nodes(Dice& dice, Machine& m) {
  const int count = dice.between(1, 6);
  int id = dice.percent(80) ? 0 : dice.between(0, 4);
  for (int i = 0; i < count; ++i, id += dice.percent(70) ? 1 : dice.between(1, 9)) {
    NumaNode node;
    node.id = NodeId{id};
    node.cpus = {CpuSet{}, Source::kSysfs};
    if (!dice.percent(5)) node.memory_total_bytes = {dice.percent(15) ? 0 : std::uint64_t{1} << 37, Source::kSysfs};
    m.nodes.push_back(node);
  }
}

inline void add_random_cores(Dice& dice, Machine& m) {
  const int threads = 1 << (dice.percent(60) ? dice.between(0, 1) : dice.between(2, 3));
  std::vector<int> node_of_core;
  for (std::size_t n = 0; n < m.nodes.size(); ++n) {
    const int cores = dice.percent(20) && n > 0 ? 0 : dice.between(1, 12);
    node_of_core.insert(node_of_core.end(), static_cast<std::size_t>(cores), static_cast<int>(n));
  }
  const auto cpus = number_cpus(dice, node_of_core, threads);
  const bool tells_l3 = dice.percent(80), tells_cores = dice.percent(90), favoured = dice.percent(20);
  CpuSet all;
  for (std::size_t c = 0; c < cpus.size(); ++c) all |= cpus[c];
  auto online = dice.percent(30) ? some_of(dice, all, 90) : all;
  if (online.empty()) online = all;
  int left_in_l3 = 0;
  for (std::size_t c = 0; c < cpus.size(); ++c) {
    auto& node = m.nodes[static_cast<std::size_t>(node_of_core[c])];
    const bool first_of_node = c == 0 || node_of_core[c] != node_of_core[c - 1];
    if (first_of_node || left_in_l3 == 0) {
      left_in_l3 = dice.between(1, 6);
      if (tells_l3) m.l3.emplace_back();
    }
    --left_in_l3;
    const auto here = cpus[c] & online;
    if (tells_l3) m.l3.back().cpus |= here;
    *node.cpus.value |= here;
    if (here.empty() || !tells_cores) continue;
    Core core;
    core.cpus = here;
    core.node = node.id;
    if (favoured) core.highest_perf = dice.between(100, 103);
    m.cores.push_back(core);
  }
  std::erase_if(m.l3, [](const L3Group& g) { return g.cpus.empty(); });
  const auto by_first = [](const auto& x, const auto& y) { return x.cpus.first() < y.cpus.first(); };
  std::sort(m.l3.begin(), m.l3.end(), by_first);
  std::sort(m.cores.begin(), m.cores.end(), by_first);
  m.online = {online, Source::kSysfs};
  if (const auto offline = all - online; !offline.empty()) m.offline = {offline, Source::kSysfs};
}

inline void add_random_kinds_and_distances(Dice& dice, Machine& m) {
  const int known = dice.between(0, 3);  // 0: no distances; 1: some; else all
  for (auto& node : m.nodes) {
    if (node.cpus->empty() && dice.percent(60)) {
      constexpr MemoryKind kKinds[] = {MemoryKind::kGpu, MemoryKind::kCxl, MemoryKind::kHbm, MemoryKind::kUnspecified};
      node.kind = {kKinds[dice.between(0, 3)], Source::kSysfs};
    } else if (dice.percent(80)) {
      node.kind = {MemoryKind::kDram, Source::kSysfs};
    }
    if (known == 0) continue;
    std::map<int, int> distances;
    for (const auto& other : m.nodes)
      if (known > 1 || dice.percent(50)) distances[number(other.id)] = other.id == node.id ? 10 : dice.between(11, 24);
    node.distances = {distances, Source::kSysfs};
  }
  if (!dice.percent(80)) return;
  const auto per_package = static_cast<std::size_t>(dice.between(1, 2));
  for (std::size_t n = 0; n < m.nodes.size(); ++n) {
    if (n % per_package == 0) m.packages.push_back({static_cast<int>(n / per_package), {}});
    m.packages.back().cpus |= *m.nodes[n].cpus;
  }
  std::erase_if(m.packages, [](const Package& p) { return p.cpus.empty(); });
}

inline void add_random_gpus(Dice& dice, Machine& m) {
  const int count = dice.percent(10) ? 0 : dice.between(1, 9);
  const int knowledge = dice.between(0, 4);  // 0: some unknown; 1: sets of nodes; else one node each
  const bool mixed = dice.percent(20), uuids = dice.percent(70);
  const std::uint16_t vendors[] = {0x10de, 0x1002, 0x8086, 0};
  const auto vendor = vendors[dice.between(0, 3)];
  for (int i = 0; i < count; ++i) {
    Gpu gpu;
    gpu.index = i;
    gpu.address = PciAddress{0, static_cast<std::uint8_t>(3 * i + 1), 0, 0};
    gpu.vendor = mixed ? vendors[dice.between(0, 2)] : vendor;
    gpu.device = dice.percent(90) ? 0x0bd5 : 0x0bda;
    if (uuids) gpu.uuid = {fmt::format("GPU-{:016x}", 0x1000 + i), Source::kNvml};
    if (gpu.vendor == 0x10de && dice.percent(10)) {
      gpu.mig.push_back({fmt::format("MIG-{}a", i), 1, 0, "", {}});
      gpu.mig.push_back({fmt::format("MIG-{}b", i), 2, 0, "", {}});
    }
    NodeSet nodes = NodeSet::of(m.nodes[static_cast<std::size_t>(dice.between(0, static_cast<int>(m.nodes.size()) - 1))].id);
    if (knowledge == 1)
      for (const auto& node : m.nodes)
        if (dice.percent(40)) nodes.insert(node.id);
    if (knowledge > 0 || dice.percent(70)) gpu.numa_nodes = {nodes, Source::kSysfs};
    m.gpus.push_back(gpu);
  }
}

inline Machine random_machine(Dice& dice) {
  Machine m;
  add_random_nodes(dice, m);
  add_random_cores(dice, m);
  add_random_kinds_and_distances(dice, m);
  add_random_gpus(dice, m);
  return m;
}

inline Allowance random_allowance(Dice& dice, const Machine& m) {
  Allowance a;
  const int kind = dice.between(0, 5);
  const auto online = online_cpus(m);
  if (kind == 1) a.cpus = {some_of(dice, online, 50), Source::kProcfs};
  if (kind == 2) a.cpus = {some_of(dice, online, 8) | CpuSet::of(online.empty() ? CpuId{0} : online.last()), Source::kProcfs};
  if (kind == 3 && !m.nodes.empty()) a.cpus = {m.nodes.back().cpus.value_or({}), Source::kProcfs};
  if (kind == 4) a.cpus = {CpuSet::range(0, dice.between(0, 200)), Source::kProcfs};  // wider than online, or narrow
  NodeSet nodes;
  for (const auto& node : m.nodes) nodes.insert(node.id);
  if (dice.percent(30)) a.mems = {some_of(dice, nodes, 50), Source::kProcfs};
  return a;
}

inline Job random_job(Dice& dice, const Machine& m) {
  Job job;
  for (const auto& gpu : m.gpus)
    if (dice.percent(60)) job.gpus.push_back({gpu.index, "", {}});
  std::reverse(job.gpus.begin(), job.gpus.begin() + static_cast<std::ptrdiff_t>(job.gpus.size() / 2));
  job.one_process_per_gpu = dice.percent(70);
  if (dice.percent(20)) job.processes_per_gpu = dice.between(2, 5);
  if (dice.percent(50)) job.processes = dice.between(1, 20);
  job.cpus = static_cast<CpuScope>(dice.between(0, static_cast<int>(CpuScope::kNone)));
  if (dice.percent(30)) job.cpus = CpuScope::kExclusive;
  job.smt = dice.percent(75);
  if (dice.percent(15)) job.reserve_cores_per_node = dice.between(1, 2);
  if (dice.percent(10)) job.worker_cores = dice.between(0, 3);
  if (dice.percent(5)) job.auto_worker_cores = true;
  job.memory = static_cast<MemoryMode>(dice.between(0, static_cast<int>(MemoryMode::kNone)));
  job.memory_over_all = dice.percent(10);
  return job;
}

}  // namespace numapin::test
