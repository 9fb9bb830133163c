// Threads that stand on one CPU each and work together on demand, started at the same moment.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "numapin/id_set.h"
#include "numapin/result.h"

namespace numapin {

class Team {
 public:
  /// One thread a CPU. Error: the kernel does not let a thread onto its CPU.
  static Result<Team> make(std::vector<CpuId> cpus);
  Team(Team&&) noexcept;
  Team& operator=(Team&&) noexcept;
  ~Team();

  int size() const;
  /// Runs work(0) ... work(size-1), each on its thread, all begun together; returns when all are done. Returns how many
  /// of the threads lost their CPU to someone else meanwhile.
  int run(const std::function<void(int)>& work);

 private:
  struct Shared;
  explicit Team(std::unique_ptr<Shared> shared);
  std::unique_ptr<Shared> shared_;
};

/// Monotonic seconds.
double now_seconds();

/// While it lives, the calling thread stands on one CPU; afterwards it has its old mask again.
class OnCpu {
 public:
  explicit OnCpu(CpuId cpu);
  ~OnCpu();
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;
  bool ok() const { return ok_; }

 private:
  CpuSet before_;
  bool ok_ = false;
};

/// Involuntary context switches of the calling thread so far.
long times_preempted();

}  // namespace numapin
