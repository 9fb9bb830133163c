#include "plan/ground.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "plan/gpu_families.h"

namespace numapin {
namespace {

/// CPU number -> what it belongs to; -1: nothing. A CPU that firmware puts in two nodes counts for the first.
using CpuIndex = std::vector<int>;

template <class Items, class CpusOf>
CpuIndex index_cpus(const Items& items, CpusOf cpus_of_item) {
  CpuIndex index;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (const CpuId cpu : cpus_of_item(items[i])) {
      const auto at = static_cast<std::size_t>(number(cpu));
      if (at >= index.size()) index.resize(at + 1, -1);
      if (index[at] < 0) index[at] = static_cast<int>(i);
    }
  return index;
}

int look_up(const CpuIndex& index, CpuId cpu) {
  const auto at = static_cast<std::size_t>(number(cpu));
  return at < index.size() ? index[at] : -1;
}

/// Every physical core with an allowed CPU, by first CPU. A CPU that no source puts into a core is one by itself.
std::vector<UsableCore> allowed_cores(const Machine& m, const CpuSet& allowed) {
  const auto l3 = index_cpus(m.l3, [](const L3Group& group) -> const CpuSet& { return group.cpus; });
  std::vector<UsableCore> cores;
  CpuSet rest = allowed;
  for (const auto& core : m.cores) {
    auto cpus = core.cpus & rest;
    if (cpus.empty()) continue;
    rest -= cpus;
    const int group = look_up(l3, cpus.first());
    cores.push_back({std::move(cpus), group, core.highest_perf.value_or(core.capacity.value_or(0))});
  }
  for (const CpuId cpu : rest) cores.push_back({CpuSet::of(cpu), look_up(l3, cpu), 0});
  std::sort(cores.begin(), cores.end(),
            [](const UsableCore& x, const UsableCore& y) { return x.cpus.first() < y.cpus.first(); });
  return cores;
}

/// Takes the reserve and SMT siblings out of a node's cores (by first CPU), and orders them by L3.
Result<void> trim_node(NodeId node, const Job& job, std::vector<UsableCore>& cores) {
  if (job.reserve_cores_per_node >= static_cast<int>(cores.size()))
    return bad_input(fmt::format("reserve {} cores per node: node {} has {} allowed", job.reserve_cores_per_node,
                                 number(node), cores.size()),
                     "reserve fewer, so that every node keeps a core for the job");
  cores.erase(cores.begin(), cores.begin() + job.reserve_cores_per_node);
  if (!job.smt)
    for (auto& core : cores) core.cpus = CpuSet::of(core.cpus.first());
  std::stable_sort(cores.begin(), cores.end(), [](const UsableCore& x, const UsableCore& y) { return x.l3 < y.l3; });
  return {};
}

/// Nodes for ordinary data: not a GPU's own memory, nor CXL, HBM or persistent memory beside the DRAM.
NodeSet ordinary_memory(const Machine& m) {
  NodeSet ordinary;
  const auto candidates = dram_nodes(m);
  const auto with_cpus = cpu_nodes(m);
  for (const auto& node : m.nodes)
    if (candidates.contains(node.id) && (with_cpus.contains(node.id) || node.kind.value == MemoryKind::kDram))
      ordinary.insert(node.id);
  return ordinary.empty() ? candidates : ordinary;
}

std::string source_words(Source source) { return source == Source::kNone ? "" : fmt::format(" ({})", to_string(source)); }

/// No usable CPU on the GPU's nodes: which are next, and why.
void fall_back(const Ground& g, const Gpu& gpu, Locality& where) {
  const auto all_there = cpus_of(g.m, where.near);
  where.cpu_nodes = nearest(g.m, where.near, g.cpu_nodes);
  const auto cpus = g.cpus_on(where.cpu_nodes);
  if (where.cpu_nodes.empty()) {
    where.warnings.push_back(fmt::format("{} of GPU {} is known, but no allowed CPU of any node is: CPUs are left alone",
                                         node_words(where.near), gpu.index));
    return;
  }
  const bool by_distance = !(where.cpu_nodes == g.cpu_nodes) || g.cpu_nodes.size() == 1;
  const auto instead = fmt::format("{} CPUs of {} {}: {}", cpus.size(), node_words(where.cpu_nodes),
                                   by_distance ? "(the nearest)" : "(all that is allowed)", cpus.to_list());
  if (all_there.empty()) {
    where.reason = fmt::format("{}, as {} of GPU {} has no CPUs", node_words(where.cpu_nodes), node_words(where.near),
                               gpu.index);
    where.warnings.push_back(fmt::format("no CPU near GPU {}: {} has none; used are {}", gpu.index,
                                         node_words(where.near), instead));
    return;
  }
  where.reason = fmt::format("{}, as no CPU of {} of GPU {} is allowed", node_words(where.cpu_nodes),
                             node_words(where.near), gpu.index);
  where.warnings.push_back(fmt::format("no allowed CPU near GPU {}: {} has CPUs {}, allowed are {}; used are {}. Ask for "
                                       "CPUs {} (Slurm: --gpus-per-task with --gpu-bind=closest; container: cpuset)",
                                       gpu.index, node_words(where.near), all_there.to_list(), g.allowed.to_list(),
                                       instead, all_there.to_list()));
}

/// Fills what follows from `cores`. Cores in no node, where a source tells some nodes only, can be used by nobody's place,
/// but by those who take every CPU.
void index_cores(Ground& g, const std::vector<UsableCore>& without_node) {
  int count = 0;
  const auto add = [&](const UsableCore& core, CpuSet& cpus) {
    cpus |= core.cpus;
    const auto size = static_cast<std::size_t>(number(core.cpus.last())) + 1;
    if (size > g.core_of_cpu.size()) g.core_of_cpu.resize(size, -1);
    for (const CpuId cpu : core.cpus) g.core_of_cpu[static_cast<std::size_t>(number(cpu))] = count;
    ++count;
  };
  for (const auto& core : without_node) add(core, g.usable);
  for (const auto& [node, cores] : g.cores) {
    g.cpu_nodes.insert(node);
    auto& cpus = g.cpus[node];
    for (const auto& core : cores) add(core, cpus);
    g.usable |= cpus;
  }
}

}  // namespace

CpuSet Ground::cpus_on(const NodeSet& nodes) const {
  CpuSet found;
  for (const NodeId node : nodes)
    if (const auto it = cpus.find(node); it != cpus.end()) found |= it->second;
  return found;
}

std::vector<UsableCore> Ground::cores_on(const NodeSet& nodes) const {
  std::vector<UsableCore> found;
  for (const NodeId node : nodes)
    if (const auto it = cores.find(node); it != cores.end())
      found.insert(found.end(), it->second.begin(), it->second.end());
  return found;
}

int Ground::count_cores(const CpuSet& set) const {
  detail::Bits seen;
  for (const CpuId cpu : set)
    if (const int core = look_up(core_of_cpu, cpu); core >= 0) seen.insert(core);
  return seen.size();
}

Result<Ground> make_ground(const Machine& m, const Allowance& a, const Job& job) {
  if (job.reserve_cores_per_node < 0)
    return bad_input(fmt::format("reserve {} cores per node: a negative number", job.reserve_cores_per_node));
  Ground g{m, online_cpus(m), {}, {}, {}, {}, ordinary_memory(m), {}, {}};
  if (a.cpus) g.allowed &= *a.cpus;
  if (a.mems) g.memory_nodes &= *a.mems;
  if (g.allowed.empty() && a.cpus)
    g.warnings.push_back(fmt::format("none of the allowed CPUs {} is online here: the CPU mask is left alone",
                                     a.cpus->to_list()));
  const auto nodes = index_cpus(m.nodes, [](const NumaNode& n) { return n.cpus.value_or({}); });
  std::vector<UsableCore> without_node;
  for (auto& core : allowed_cores(m, g.allowed)) {
    const int at = look_up(nodes, core.cpus.first());
    // A machine without NUMA nodes is taken as one.
    const auto node = at >= 0 ? m.nodes[static_cast<std::size_t>(at)].id : NodeId{0};
    if (!job.smt && at < 0 && !m.nodes.empty()) core.cpus = CpuSet::of(core.cpus.first());
    (at >= 0 || m.nodes.empty() ? g.cores[node] : without_node).push_back(std::move(core));
  }
  for (auto& [node, cores] : g.cores) NUMAPIN_CHECK_OK(trim_node(node, job, cores));
  index_cores(g, without_node);
  return g;
}

NodeSet nearest(const Machine& m, const NodeSet& from, const NodeSet& candidates) {
  int least = std::numeric_limits<int>::max();
  NodeSet found;
  for (const NodeId to : candidates)
    for (const NodeId start : from) {
      const auto d = distance(m, start, to);
      if (!d || *d > least) continue;
      if (*d < least) found = {};
      least = *d;
      found.insert(to);
    }
  return found.empty() ? candidates : found;
}

Locality locate(const Ground& g, const Gpu& gpu) {
  Locality where;
  if (gpu.numa_nodes && !gpu.numa_nodes->empty()) {
    where.near = *gpu.numa_nodes;
    where.cpu_nodes = where.near & g.cpu_nodes;
    where.reason = fmt::format("{} of GPU {}{}", node_words(where.cpu_nodes), gpu.index,
                               source_words(gpu.numa_nodes.source));
    if (where.cpu_nodes.empty()) fall_back(g, gpu, where);
    return where;
  }
  if (g.m.nodes.size() <= 1) {
    where.cpu_nodes = g.cpu_nodes;
    for (const auto& node : g.m.nodes) where.near.insert(node.id);
    where.reason = "the whole machine, which has one NUMA node";
    return where;
  }
  where.warnings.push_back(
      fmt::format("the NUMA node of GPU {} is unknown ({} nodes here): CPUs and memory are left alone. "
                  "`numapin topo` shows who was asked; --cpunodebind and --membind bind by hand",
                  gpu.index, g.m.nodes.size()));
  return where;
}

}  // namespace numapin
