// From a plan to the kernel: each step tried for real, each refusal answered by the next rung down.
#pragma once

#include <optional>
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
  virtual int set_affinity(int tid, const CpuSet& cpus) = 0;      // sched_setaffinity(2); tid 0: caller
  virtual int get_affinity(int tid, CpuSet& cpus) = 0;            // sched_getaffinity(2)
  virtual int set_memory_policy(const MemoryPolicy& policy) = 0;  // set_mempolicy(2), of the calling thread
  virtual int get_memory_policy(MemoryPolicy& policy) = 0;        // get_mempolicy(2)
  virtual int get_allowed_nodes(NodeSet& nodes) = 0;              // get_mempolicy(2), MPOL_F_MEMS_ALLOWED
  /// The node of a page touched just now under the caller's policy: mmap(2), get_mempolicy(MPOL_F_NODE|MPOL_F_ADDR).
  virtual int touch_page(NodeId& node) = 0;
  virtual int set_env(const std::string& name, const std::string& value) = 0;
};

/// What was asked, what was achieved, and why it is less, if it is.
struct Outcome {
  CpuSet cpus_asked;        ///< empty: the mask was to be left alone
  CpuSet cpus;              ///< set; empty: the mask is as it was
  MemoryPolicy memory_asked;
  MemoryPolicy memory_got;  ///< mode kNone: the policy is as it was
  /// One refusal each: "memory bind node 1: set_mempolicy: Operation not permitted", with what to do about it.
  std::vector<Error> losses;
  bool complete() const { return losses.empty(); }
};

/// Performs the actions in order, down the ladder: asked-for memory policy, then the next weaker ones, then CPUs only,
/// then nothing; each rung is the real call. With `strict` the first refusal is the Error and nothing later is tried.
Result<Outcome> perform(std::span<const Action> actions, Kernel& kernel, bool strict);

/// The weaker policies to try after `policy`, best first: bind, preferred-many, preferred; weighted, plain interleave.
std::vector<MemoryPolicy> weaker_policies(const MemoryPolicy& policy);

/// Reads back from the kernel what `perform` set; an Error names the first difference.
Result<void> verify(const Outcome& outcome, Kernel& kernel);

}  // namespace numapin
