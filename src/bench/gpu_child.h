// bench_gpu() in a child process: a driver that hangs or crashes takes the child, not the measurement.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/gpu.h"

namespace numapin {

struct GpuLibraries {
  std::string cuda = "libcuda.so.1", hip = "libamdhip64.so";
};

struct GpuReport {
  std::vector<Measurement> measurements;
  std::vector<std::string> notes;  ///< "the driver has not come back from cuMemAlloc_v2 for 60 s: GPU measurements end here"
};

/// Loads CUDA, else HIP, and measures. Error kUnsupported: no driver here. Where the driver hangs (nothing heard for
/// `patience`) or crashes after some figures were taken, those are the answer, with a note; before any, it is an Error.
Result<GpuReport> bench_gpu_in_child(const System& s, const GpuBench& options, const GpuLibraries& libraries,
                                     std::chrono::seconds patience, const LookAgain& look_again, const BenchProgress& progress);

}  // namespace numapin
