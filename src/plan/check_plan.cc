// Every promise of a plan, one function each, each violation one readable sentence. Written against the machine, not
// against the policies: it would find their mistakes.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "numapin/plan.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

using Violations = std::vector<std::string>;

template <class... Args>
void report(Violations& out, fmt::format_string<Args...> format, Args&&... args) {
  out.push_back(fmt::format(format, std::forward<Args>(args)...));
}

CpuSet allowed_cpus(const Machine& m, const Allowance& a) {
  const auto online = online_cpus(m);
  return a.cpus ? online & *a.cpus : online;
}

/// Allowed logical CPUs of every core; CPUs that are in no core are one each.
std::vector<CpuSet> allowed_cores(const Machine& m, const CpuSet& allowed) {
  std::vector<CpuSet> cores;
  CpuSet rest = allowed;
  for (const auto& core : m.cores) {
    const auto cpus = core.cpus & rest;
    rest -= cpus;
    if (!cpus.empty()) cores.push_back(cpus);
  }
  for (const CpuId cpu : rest) cores.push_back(CpuSet::of(cpu));
  return cores;
}

/// An overlap that the plan itself tells of.
bool announces_overlap(const Placement& p) {
  return std::any_of(p.warnings.begin(), p.warnings.end(),
                     [](const std::string& w) { return w.find("overlap") != w.npos; });
}

void check_count(Violations& out, const Job& job, const Plan& plan) {
  const auto per_gpu = job.gpus.size() * static_cast<std::size_t>(job.processes_per_gpu);
  const auto wanted = job.gpus.empty() ? static_cast<std::size_t>(job.processes) : job.one_process_per_gpu ? per_gpu : 1;
  if (plan.placements.size() != wanted) report(out, "{} placements for {} processes", plan.placements.size(), wanted);
  std::map<int, int> expected, found;
  for (const auto& chosen : job.gpus) expected[chosen.gpu] += job.one_process_per_gpu ? job.processes_per_gpu : 0;
  for (const auto& p : plan.placements)
    for (const int gpu : p.gpus) ++found[gpu];
  for (const auto& [gpu, times] : expected)
    if (found[gpu] != std::max(times, 1)) report(out, "GPU {} is placed {} times", gpu, found[gpu]);
}

void check_cpus(Violations& out, std::size_t rank, const Job& job, const Placement& p, const CpuSet& allowed,
                const std::vector<CpuSet>& cores) {
  if (!allowed.contains(p.cpus)) report(out, "rank {}: CPUs {} are not allowed", rank, (p.cpus - allowed).to_list());
  int touched = 0;
  for (const auto& core : cores) {
    const auto used = core & p.cpus;
    if (used.empty()) continue;
    ++touched;
    if (job.smt && !(used == core))
      report(out, "rank {}: core {} is split, only {} is used", rank, core.to_list(), used.to_list());
    if (!job.smt && used.size() > 1) report(out, "rank {}: core {} has {} CPUs used", rank, core.to_list(), used.size());
  }
  if (touched != p.cores) report(out, "rank {}: {} cores said, {} used", rank, p.cores, touched);
  if ((p.main_cpus | p.worker_cpus) != p.cpus && !(p.main_cpus | p.worker_cpus).empty())
    report(out, "rank {}: main and worker CPUs are not the whole share", rank);
  if (p.main_cpus.intersects(p.worker_cpus)) report(out, "rank {}: main and worker CPUs overlap", rank);
}

void check_memory(Violations& out, std::size_t rank, const Machine& m, const Allowance& a, const Placement& p) {
  auto usable = dram_nodes(m);
  if (a.mems) usable &= *a.mems;
  if (const auto extra = p.memory.nodes - usable; !extra.empty())
    report(out, "rank {}: memory on node {}, which is not allowed or no DRAM", rank, extra.to_list());
  const bool has_nodes = !p.memory.nodes.empty();
  const bool takes_nodes = p.memory.mode != MemoryMode::kNone && p.memory.mode != MemoryMode::kDefault &&
                           p.memory.mode != MemoryMode::kLocal;
  if (has_nodes != takes_nodes) report(out, "rank {}: memory policy and its nodes do not fit", rank);
}

/// CPUs of the GPU's own nodes, while there are allowed ones.
void check_near(Violations& out, std::size_t rank, const Machine& m, const Job& job, const Placement& p,
                const CpuSet& allowed) {
  const bool by_node = job.cpus == CpuScope::kNode || job.cpus == CpuScope::kL3 || job.cpus == CpuScope::kExclusive;
  CpuSet near;
  for (const int index : p.gpus) {
    const auto* gpu = gpu_at(m, index);
    const auto cpus = gpu != nullptr && gpu->numa_nodes ? cpus_of(m, *gpu->numa_nodes) & allowed : CpuSet{};
    if (cpus.empty()) return;
    near |= cpus;
  }
  if (by_node && !p.gpus.empty() && !near.contains(p.cpus))
    report(out, "rank {}: CPUs {} are not on the GPUs' nodes", rank, (p.cpus - near).to_list());
}

void check_exclusive(Violations& out, const Plan& plan) {
  for (std::size_t i = 0; i < plan.placements.size(); ++i)
    for (std::size_t j = i + 1; j < plan.placements.size(); ++j) {
      const auto& x = plan.placements[i];
      const auto& y = plan.placements[j];
      const auto both = x.cpus & y.cpus;
      if (both.empty() || announces_overlap(x) || announces_overlap(y)) continue;
      report(out, "ranks {} and {} share CPUs {} and do not say so", i, j, both.to_list());
    }
}

/// Allowed cores of every node, by first CPU. A machine without nodes is one.
std::vector<std::vector<CpuSet>> cores_by_node(const Machine& m, const std::vector<CpuSet>& cores) {
  std::vector<std::vector<CpuSet>> by_node(std::max<std::size_t>(m.nodes.size(), 1));
  for (const auto& core : cores) {
    const auto node = std::find_if(m.nodes.begin(), m.nodes.end(),
                                   [&](const NumaNode& n) { return n.cpus && n.cpus->contains(core.first()); });
    if (m.nodes.empty()) by_node[0].push_back(core);
    else if (node != m.nodes.end()) by_node[static_cast<std::size_t>(node - m.nodes.begin())].push_back(core);
  }
  for (auto& of_node : by_node)
    std::sort(of_node.begin(), of_node.end(), [](const CpuSet& x, const CpuSet& y) { return x.first() < y.first(); });
  return by_node;
}

/// The first cores of every node are left to the system.
void check_reserve(Violations& out, const Machine& m, const Job& job, const Plan& plan, const std::vector<CpuSet>& cores) {
  for (const auto& of_node : cores_by_node(m, cores)) {
    const auto reserved = std::min(of_node.size(), static_cast<std::size_t>(job.reserve_cores_per_node));
    for (std::size_t i = 0; i < reserved; ++i)
      for (std::size_t rank = 0; rank < plan.placements.size(); ++rank)
        if (plan.placements[rank].cpus.intersects(of_node[i])) report(out, "rank {}: core {} is reserved", rank, of_node[i].to_list());
  }
}

/// No worker's core is better than one of the main process.
void check_workers(Violations& out, std::size_t rank, const Machine& m, const Placement& p) {
  std::optional<int> worst_of_main, best_of_workers;
  for (const auto& core : m.cores) {
    const int preference = core.highest_perf.value_or(core.capacity.value_or(0));
    if (core.cpus.intersects(p.main_cpus)) worst_of_main = std::min(worst_of_main.value_or(preference), preference);
    if (core.cpus.intersects(p.worker_cpus)) best_of_workers = std::max(best_of_workers.value_or(preference), preference);
  }
  if (worst_of_main && best_of_workers && *best_of_workers > *worst_of_main)
    report(out, "rank {}: workers have a preferred core that the main process lacks", rank);
}

/// Where a node's L3 groups are equal and the shares come out even, no share has a part of more groups than it must.
void check_l3(Violations& out, const Machine& m, const Job& job, const Plan& plan, const std::vector<CpuSet>& cores) {
  if (job.processes_per_gpu != 1 || !job.one_process_per_gpu || job.reserve_cores_per_node > 0) return;
  const auto by_node = cores_by_node(m, cores);
  for (std::size_t n = 0; n < m.nodes.size(); ++n) {
    std::vector<std::size_t> sizes;  // of the L3 groups here, in cores
    std::size_t grouped = 0;
    for (const auto& group : m.l3) {
      const auto size = std::count_if(by_node[n].begin(), by_node[n].end(), [&](const CpuSet& c) { return group.cpus.contains(c); });
      if (size > 0) sizes.push_back(static_cast<std::size_t>(size));
      grouped += static_cast<std::size_t>(size);
    }
    std::vector<std::size_t> here;  // ranks whose GPU has this node alone
    bool shared = false;
    for (std::size_t rank = 0; rank < plan.placements.size(); ++rank) {
      const auto* gpu = plan.placements[rank].gpus.size() == 1 ? gpu_at(m, plan.placements[rank].gpus[0]) : nullptr;
      if (gpu == nullptr || !gpu->numa_nodes || !gpu->numa_nodes->contains(m.nodes[n].id)) continue;
      here.push_back(rank);
      shared |= gpu->numa_nodes->size() > 1;
    }
    if (here.empty() || sizes.empty() || shared || grouped != by_node[n].size()) continue;
    const auto group = sizes.front(), share = static_cast<std::size_t>(plan.placements[here.front()].cores);
    const bool even = std::all_of(sizes.begin(), sizes.end(), [&](std::size_t s) { return s == group; }) &&
                      std::all_of(here.begin(), here.end(), [&](std::size_t r) { return plan.placements[r].cores == static_cast<int>(share); });
    if (!even || share == 0 || share * here.size() != grouped || (group % share != 0 && share % group != 0)) continue;
    for (const auto rank : here) {
      const auto touched = std::count_if(m.l3.begin(), m.l3.end(), [&](const L3Group& g) { return g.cpus.intersects(plan.placements[rank].cpus); });
      if (static_cast<std::size_t>(touched) != std::max<std::size_t>(1, share / group))
        report(out, "rank {}: {} cores lie in {} L3 groups of {}", rank, share, touched, group);
    }
  }
}

/// No other GPU has some of these nodes and not all, or more.
bool stand_apart(const Machine& m, const NodeSet& nodes) {
  return std::all_of(m.gpus.begin(), m.gpus.end(), [&](const Gpu& gpu) {
    return !gpu.numa_nodes || !gpu.numa_nodes->intersects(nodes) || *gpu.numa_nodes == nodes;
  });
}

/// GPUs whose nodes have cores to give: their shares differ by one core at most. A GPU of several nodes has its share
/// where there is most to have, so that holds for those whose nodes nobody else has in part.
void check_balance(Violations& out, const Machine& m, const Job& job, const Plan& plan, const CpuSet& allowed) {
  if (job.processes_per_gpu != 1 || !job.one_process_per_gpu) return;
  std::map<NodeSet, std::pair<int, int>> range;
  for (const auto& p : plan.placements) {
    const auto* gpu = p.gpus.size() == 1 ? gpu_at(m, p.gpus[0]) : nullptr;
    if (gpu == nullptr || !gpu->numa_nodes || gpu->numa_nodes->empty()) continue;
    if (gpu->numa_nodes->size() > 1 && !stand_apart(m, *gpu->numa_nodes)) continue;
    if ((cpus_of(m, *gpu->numa_nodes) & allowed).empty()) continue;
    auto [it, is_new] = range.try_emplace(*gpu->numa_nodes, p.cores, p.cores);
    it->second.first = std::min(it->second.first, p.cores);
    it->second.second = std::max(it->second.second, p.cores);
  }
  for (const auto& [nodes, least_most] : range)
    if (least_most.second - least_most.first > 1)
      report(out, "node {}: shares between {} and {} cores", nodes.to_list(), least_most.first, least_most.second);
}

}  // namespace

std::vector<std::string> check(const Machine& m, const Allowance& a, const Job& job, const Plan& plan) {
  Violations out;
  const auto allowed = allowed_cpus(m, a);
  const auto cores = allowed_cores(m, allowed);
  check_count(out, job, plan);
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const auto& p = plan.placements[i];
    check_cpus(out, i, job, p, allowed, cores);
    check_memory(out, i, m, a, p);
    check_near(out, i, m, job, p, allowed);
    check_workers(out, i, m, p);
    if (p.because.size() < 2) report(out, "rank {}: CPUs and memory without a reason", i);
  }
  check_reserve(out, m, job, plan, cores);
  if (job.cpus == CpuScope::kExclusive || job.cpus == CpuScope::kSpread) check_exclusive(out, plan);
  if (job.cpus == CpuScope::kExclusive) check_balance(out, m, job, plan, allowed);
  if (job.cpus == CpuScope::kExclusive) check_l3(out, m, job, plan, cores);
  return out;
}

}  // namespace numapin
