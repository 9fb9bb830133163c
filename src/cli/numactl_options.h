// numactl's and taskset's options of `run`, turned into a mask and a policy.
#pragma once

#include "cli/numactl_facts.h"
#include "cli/run_options.h"
#include "numapin/plan.h"

namespace numapin::cli {

/// kBadInput, naming both, where two options set the same thing.
Result<void> check_contradictions(const RunOptions& options);
/// Replaces "same" by the node list before it. `order` holds the node lists in the order they were typed.
Result<void> resolve_same(std::vector<std::string*> order);

/// The mask that -N, -C, --cpu-list or --cpu-mask name (the one that was given), with its reason.
Result<CpuSet> named_cpus(const RunOptions& options, const NumactlFacts& facts);
/// The policy that -m -i -w -p -P -l name (the one that was given).
Result<MemoryPolicy> named_memory(const RunOptions& options, const NumactlFacts& facts);
/// One logical CPU of each core (--smt off): the lowest-numbered of those in `cpus`.
Result<CpuSet> one_cpu_per_core(const CpuSet& cpus, const NumactlFacts& facts);

}  // namespace numapin::cli
