// make_plan on the largest machine we expect: 2,048 CPUs in 16 nodes, 16 GPUs.
#include <benchmark/benchmark.h>

#include "numapin/plan.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

void plan_one_process_per_gpu(benchmark::State& state, CpuScope scope) {
  const auto machine = test::made_machine({.nodes = 16, .cores_per_node = 64, .cores_per_l3 = 8, .gpus_per_node = 1});
  Job job;
  job.one_process_per_gpu = true;
  job.cpus = scope;
  for (const auto& gpu : machine.gpus) job.gpus.push_back({gpu.index, "", {}});
  for (auto _ : state) {
    auto plan = make_plan(machine, {}, job);
    if (!plan || plan->placements.size() != 16) state.SkipWithError("no plan");
    benchmark::DoNotOptimize(plan);
  }
}

BENCHMARK_CAPTURE(plan_one_process_per_gpu, node, CpuScope::kNode)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(plan_one_process_per_gpu, l3, CpuScope::kL3)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(plan_one_process_per_gpu, exclusive, CpuScope::kExclusive)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace numapin
