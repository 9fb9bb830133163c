// GPUs: each against the memory of each node, all at once, and each against each other.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "bench/memory.h"
#include "gpu/runtime.h"
#include "numapin/measured.h"

namespace numapin {

struct GpuBench {
  bool quick = false;
  std::optional<NodeSet> nodes;        ///< only memory of these; unset: all
  std::optional<std::set<int>> gpus;   ///< Gpu::index; unset: all
  std::uint64_t copy_bytes = 128 << 20;
};

/// Hands out each measurement as soon as it is taken: a driver that hangs later does not take it away.
using TakeMeasurement = std::function<void(Measurement)>;
/// The machine as it is now, under load: an idle PCIe link shows a lower speed (trap 32).
using LookAgain = std::function<Machine()>;

/// What cannot be measured is handed out with the reason. Error only where nothing at all can be.
Result<void> bench_gpu(const System& s, GpuRuntime& runtime, const GpuBench& options, const LookAgain& look_again,
                       const BenchProgress& progress, const TakeMeasurement& take);

}  // namespace numapin
