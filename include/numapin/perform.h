// From a plan to the kernel: each step tried for real, each refusal answered by the next rung down.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "numapin/plan.h"

namespace numapin {

/// The kernel as far as binding needs it; one function per system call. Real (os/kernel.h), printing (--dry-run) or
/// recording (tests: it can answer EPERM, EINVAL, ESRCH). Every function returns 0 or an errno value.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual int set_affinity(int tid, const CpuSet& cpus) = 0;                    // sched_setaffinity(2); tid 0: caller
  virtual int get_affinity(int tid, CpuSet& cpus) = 0;                          // sched_getaffinity(2)
  virtual int set_memory_policy(const MemoryPolicy& policy) = 0;                // set_mempolicy(2), of the caller
  virtual int get_memory_policy(MemoryPolicy& policy) = 0;                      // get_mempolicy(2)
  virtual int set_env(const std::string& name, const std::string& value) = 0;
};

/// What was asked, what was achieved, and why it is less, if it is.
struct Outcome {
  bool cpus_asked = false, cpus_done = false;
  bool memory_asked = false;
  MemoryPolicy memory_wanted;
  MemoryPolicy memory_got;                 ///< mode kNone: no policy could be set
  CpuSet cpus;
  std::vector<std::string> losses;         ///< "set_mempolicy bind 0: Operation not permitted; preferred used"
  bool complete() const { return losses.empty(); }
};

/// Performs the actions in order down the ladder: asked-for memory policy, then preferred, then CPU only, then nothing.
/// With `strict` the first refusal is an Error and later actions are not tried.
Result<Outcome> perform(std::span<const Action> actions, Kernel& kernel, bool strict);

}  // namespace numapin
