// An all-reduce over 8 GPUs of N machines under a fat tree: must grow about linearly, and take at most 5 s at 10,000.
#include <benchmark/benchmark.h>

#include "numapin/analyze.h"
#include "support/linked_machine.h"

namespace numapin {
namespace {

void fabric_all_reduce(benchmark::State& state, bool aligned) {
  const auto machine = test::rail_machine();
  const auto graph = make_link_graph(machine);
  Fabric fabric;
  fabric.machines = static_cast<int>(state.range(0));
  fabric.leaves = std::max(8, fabric.machines * 8 / 32 / 8 * 8);
  fabric.spines = 16;
  fabric.links_per_pair = 2;
  for (auto _ : state) {
    auto traffic = run_fabric(machine, graph, fabric, aligned);
    if (!traffic) state.SkipWithError(traffic.error().message.c_str());
    else state.counters["flows"] = static_cast<double>(traffic->flows);
    benchmark::DoNotOptimize(traffic);
  }
  state.SetComplexityN(state.range(0));
}

BENCHMARK_CAPTURE(fabric_all_reduce, aligned, true)->RangeMultiplier(10)->Range(10, 10000)->Unit(benchmark::kMillisecond)->Complexity();
BENCHMARK_CAPTURE(fabric_all_reduce, crossed, false)->RangeMultiplier(10)->Range(10, 10000)->Unit(benchmark::kMillisecond)->Complexity();

}  // namespace
}  // namespace numapin
