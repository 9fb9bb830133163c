// A C++ program on the shared library: what the headers promise can be linked and works across it.
#include <cstdio>

#include "numapin/plan.h"
#include "numapin/sources.h"

int main() {
  const auto system = numapin::open_machine("dual-a100");
  if (!system) return std::puts(system.error().message.c_str()), 1;
  const auto choice = numapin::choose_gpus(system->machine, system->allowance, "5");
  if (!choice) return std::puts(choice.error().message.c_str()), 1;
  numapin::Job job;
  job.gpus = choice->gpus;
  const auto plan = numapin::make_plan(system->machine, system->allowance, job);
  if (!plan || plan->placements.at(0).cpus != numapin::CpuSet::parse("12-23,36-47").value()) return std::puts("a wrong plan"), 1;
  return numapin::check(system->machine, system->allowance, job, *plan).empty() ? 0 : 1;
}
