// Judgements: is this process where its GPU is? Pure values from values.
#pragma once

#include <string>
#include <vector>

#include "numapin/machine.h"
#include "numapin/process.h"

namespace numapin {

enum class PlacementState {
  kOk,       ///< every thread may run only near the GPU, and the memory is there
  kOneNode,  ///< one memory node: nothing to bind, nothing to get wrong
  kLoose,    ///< right by chance: the kernel may move it away at any time
  kWrong,    ///< CPUs or memory are on another node than the GPU
  kUnknown,  ///< the GPU's node, or what the process does, cannot be told
};
std::string_view to_string(PlacementState s);

struct PlacementVerdict {
  PlacementState state = PlacementState::kUnknown;
  /// "cpus on node 1, GPU 0 on node 0; 37 % of 18.6 GB on node 1"
  std::string line;
  /// The command that mends it, or "".
  std::string mend;
  bool operator==(const PlacementVerdict&) const = default;
};

/// Judges one process that uses `gpus` (Gpu::index; must not be empty). CPUs are judged by what each thread may use,
/// not by where it happens to run; memory by the process's own pages, without the page cache of files.
PlacementVerdict judge_placement(const Machine& m, const ProcessInfo& p, const std::vector<int>& gpus);

/// The same for a process without a GPU: is its memory on the nodes that its threads are bound to?
PlacementVerdict judge_without_gpu(const Machine& m, const ProcessInfo& p);

/// Two processes of one job bound to different CPUs of the same core: each takes half of it from the other.
/// The CPUs of `a` whose SMT siblings are CPUs of `b`; empty when they do not meet, or when either is bound to more
/// than a quarter of the machine (a wide mask shares cores by intention).
CpuSet shared_cores(const Machine& m, const CpuSet& a, const CpuSet& b);
/// The verdict of `worker`, with what shared_cores() says of it and the process it descends from.
PlacementVerdict judge_siblings(const Machine& m, const ProcessInfo& main, const ProcessInfo& worker, PlacementVerdict verdict);

}  // namespace numapin
