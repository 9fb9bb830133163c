#include "plan/workers.h"

#include <fmt/format.h>

#include <algorithm>

namespace numapin {
namespace {

std::vector<UsableCore> cores_in(const Ground& g, const CpuSet& cpus) {
  std::vector<UsableCore> cores;
  for (auto& core : g.cores_on(g.cpu_nodes))
    if (cpus.contains(core.cpus)) cores.push_back(std::move(core));
  return cores;
}

}  // namespace

Result<void> split_workers(const Ground& g, const Job& job, Placement& p) {
  if (!job.worker_cores && !job.auto_worker_cores) return {};
  auto cores = cores_in(g, p.cpus);
  const int count = static_cast<int>(cores.size());
  // auto: a main process rarely keeps more than a few threads busy; loaders take what they get.
  const int workers = job.auto_worker_cores ? count - std::max(1, count / 4) : *job.worker_cores;
  if (workers < 0 || workers >= count)
    return bad_input(fmt::format("split off {} worker cores: the share has {} cores, and one must stay for the main process",
                                 workers, count),
                     count > 1 ? fmt::format("--worker-cores {} is the most here", count - 1)
                               : "widen the share (--cpus node), or leave --worker-cores out");
  std::stable_sort(cores.begin(), cores.end(),
                   [](const UsableCore& x, const UsableCore& y) { return x.preference > y.preference; });
  for (int i = 0; i < count; ++i) (i < count - workers ? p.main_cpus : p.worker_cpus) |= cores[static_cast<std::size_t>(i)].cpus;
  p.env.emplace_back("NUMAPIN_MAIN_CPUS", p.main_cpus.to_list());
  p.env.emplace_back("NUMAPIN_WORKER_CPUS", p.worker_cpus.to_list());
  const bool preferred = cores.front().preference > cores.back().preference;
  p.because.push_back(fmt::format("main process: {} cores, CPUs {}{}; workers: {} cores, CPUs {}", count - workers,
                                  p.main_cpus.to_list(), preferred ? " (the preferred ones)" : "", workers,
                                  p.worker_cpus.to_list()));
  return {};
}

}  // namespace numapin
