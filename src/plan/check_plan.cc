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

/// GPUs whose one node has cores to give: their shares differ by one core at most.
void check_balance(Violations& out, const Machine& m, const Job& job, const Plan& plan, const CpuSet& allowed) {
  if (job.processes_per_gpu != 1 || !job.one_process_per_gpu) return;
  std::map<NodeSet, std::pair<int, int>> range;
  for (const auto& p : plan.placements) {
    const auto* gpu = p.gpus.size() == 1 ? gpu_at(m, p.gpus[0]) : nullptr;
    if (gpu == nullptr || !gpu->numa_nodes || gpu->numa_nodes->size() != 1) continue;
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
    if (p.because.size() < 2) report(out, "rank {}: CPUs and memory without a reason", i);
  }
  if (job.cpus == CpuScope::kExclusive || job.cpus == CpuScope::kSpread) check_exclusive(out, plan);
  if (job.cpus == CpuScope::kExclusive) check_balance(out, m, job, plan, allowed);
  return out;
}

}  // namespace numapin
