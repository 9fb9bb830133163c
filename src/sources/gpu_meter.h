// How busy GPUs are, and what goes over their PCIe links, as NVIDIA's library says.
#pragma once

#include <optional>
#include <vector>

#include "diagnose/watch.h"
#include "gpu/nvml.h"

namespace numapin {

class GpuMeter {
 public:
  /// `nvml` may be null: then nothing is known.
  GpuMeter(const Machine& m, const NvmlApi* nvml);
  std::vector<GpuCounters> look(double now_s);

 private:
  struct Meter {
    GpuCounters now;
    NvmlDevice device = nullptr;
    bool counts = true;  // has the byte counters
    double time_s = 0;
    std::optional<unsigned long long> rx, tx;  // bytes, at time_s
  };
  bool read_counters(Meter& m, double now_s);
  void measure(Meter& m);

  const NvmlApi* nvml_;
  std::vector<Meter> meters_;
  std::size_t turn_ = 0;
};

}  // namespace numapin
