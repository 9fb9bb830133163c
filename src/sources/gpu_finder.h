// Who uses a GPU, again and again, at a bounded cost.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "numapin/process.h"

namespace numapin {

/// Remembers every process. A new one is looked into at once; one that used no GPU then may open it later, so it is
/// looked into again after one second, two, four, ... up to half a minute, as far as `budget_s` goes, those due longest
/// first. What the drivers list is known at once. Kernel threads are never looked into.
class GpuUserFinder {
 public:
  using CpuClock = std::function<double()>;  ///< CPU seconds of this thread
  GpuUserFinder(const FileTree& tree, const Machine& m, const NvmlApi* nvml, CpuClock cpu);

  struct Found {
    std::vector<GpuUser> users;         ///< by pid
    std::multimap<int, int> children;   ///< parent -> child, of all processes
    std::vector<std::string> notes;
  };
  Found look(double now_s, double budget_s);
  int looked_into() const { return looked_into_; }  ///< processes, since the start

 private:
  struct Known {
    std::uint64_t start_ticks = 0;
    int parent = 0;
    bool kernel_thread = false, closed = false;
    std::vector<int> gpus;
    double due_s = 0, wait_s = 0;
  };
  bool look_into(int pid, double now_s, Known& known);
  void look_again(double now_s, double budget_s);

  const FileTree& tree_;
  const std::optional<int> self_;
  const Machine& machine_;
  const NvmlApi* nvml_;
  CpuClock cpu_;
  std::map<int, Known> known_;
  int looked_into_ = 0;
};

}  // namespace numapin
