// Looks at the machine for `watch`: often and cheaply at what changes, seldom at what is dear to read.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "diagnose/watch.h"
#include "numapin/file_tree.h"
#include "sources/gpu_finder.h"
#include "sources/gpu_meter.h"

namespace numapin {

/// Every look reads the CPU time of each process that uses a GPU, and of what descends from it; of threads those that
/// ran at the last look, and all others when these do not account for the process's time. Masks and memory are read
/// when a process is new, and again as far as kCloseShare of one CPU goes, the one that waits longest first.
class WatchSampler {
 public:
  struct World {
    const FileTree& tree;  ///< for what is read once
    const FileTree& held;  ///< for what is read at every look; may be the same
    const NvmlApi* nvml = nullptr;
    std::function<double()> clock;  ///< steady, seconds
    std::function<double()> cpu;    ///< CPU seconds of this thread
    /// Estimates the memory of a process that is dear to count; nothing where it cannot. May be empty.
    std::function<std::optional<NodeBytes>(int pid)> estimate;
  };
  static constexpr double kCloseShare = 0.003;  // of one CPU
  static constexpr double kFindShare = 0.001;
  /// Above this numa_maps is not read where there is an estimate: it holds the process's mm lock meanwhile.
  static constexpr std::uint64_t kCountedBytes = std::uint64_t{1} << 30;

  WatchSampler(const Machine& m, World world);
  WatchLook look();
  /// The next look reads masks and memory of this process, whatever it costs.
  void look_closely_at(int pid);

 private:
  struct Watched {
    ProcessCounters counters;
    std::set<int> busy;            // threads that ran at the last look
    std::int64_t unexplained_ticks = 0;  // of the process, since all threads were read
    int thread_count = 0;
    double closely_s = -1;         // when masks and memory were read; below zero: never
    bool present = false;
  };

  void watch(int pid, int user, const std::vector<int>& gpus);
  bool read_quickly(Watched& w);
  void read_all_threads(Watched& w);
  bool read_thread(Watched& w, int tid);
  void look_closely(Watched& w, double now_s);
  void spend_on_close_looks(double now_s);
  std::vector<NodeCounters> read_nodes() const;

  const Machine& machine_;
  World world_;
  GpuUserFinder finder_;
  GpuMeter meter_;
  std::map<int, Watched> watched_;
  std::set<int> wanted_;
  double last_s_ = -1;
  double close_budget_s_ = 0;
};

}  // namespace numapin
