// The kernels that perform() can talk to: the real one, one that prints, one that records.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "numapin/perform.h"

namespace numapin {

/// What to do about EPERM from a call that needs no right.
inline constexpr const char* kSeccompHint =
    "a seccomp filter refuses this call; in a container: docker run --cap-add SYS_NICE (or --security-opt "
    "seccomp=unconfined)";

/// The kernel's number and flags of a policy's mode (MPOL_*), for set_mempolicy(2) and mbind(2).
int kernel_mode(const MemoryPolicy& policy);

/// The calling thread's own kernel, by raw system calls: libnuma prints and exits inside the library, and Debian's
/// lacks weighted interleave.
class RealKernel final : public Kernel {
 public:
  enum class Nodes {
    kRelative,  ///< the kernel's default: in another cpuset bind and interleave mean the nodes at the same positions
    kStatic,    ///< MPOL_F_STATIC_NODES: the nodes are meant as such, whatever cpuset the process comes into
  };
  explicit RealKernel(Nodes nodes = Nodes::kRelative) : nodes_(nodes) {}
  int set_affinity(int tid, const CpuSet& cpus) override;
  int get_affinity(int tid, CpuSet& cpus) override;
  int set_memory_policy(const MemoryPolicy& policy) override;
  int get_memory_policy(MemoryPolicy& policy) override;
  int get_allowed_nodes(NodeSet& nodes) override;
  int touch_page(NodeId& node) override;
  int set_env(const std::string& name, const std::string& value) override;

 private:
  Nodes nodes_;
};

/// Changes nothing and hands one line for each call that would be made to `print` (--dry-run).
class PrintingKernel final : public Kernel {
 public:
  explicit PrintingKernel(std::function<void(const std::string&)> print) : print_(std::move(print)) {}
  int set_affinity(int tid, const CpuSet& cpus) override;
  int get_affinity(int tid, CpuSet& cpus) override;
  int set_memory_policy(const MemoryPolicy& policy) override;
  int get_memory_policy(MemoryPolicy& policy) override;
  int get_allowed_nodes(NodeSet& nodes) override;
  int touch_page(NodeId& node) override;
  int set_env(const std::string& name, const std::string& value) override;

 private:
  std::function<void(const std::string&)> print_;
  CpuSet cpus_;
  MemoryPolicy policy_;
};

/// For tests: keeps every call as text, answers with the errno that was put for it, else 0.
class RecordingKernel final : public Kernel {
 public:
  /// From now on a call whose text starts with `call` is refused: {"set_memory_policy bind", EPERM}.
  void refuse(std::string call, int error) { refusals_[std::move(call)] = error; }
  /// What the kernel keeps of each mask: a cpuset drops the others in silence.
  void limit_cpus(CpuSet cpus) { limit_ = std::move(cpus); }
  void put_allowed_nodes(NodeSet nodes) { allowed_nodes_ = std::move(nodes); }
  void put_page_node(NodeId node) { page_node_ = node; }
  const std::vector<std::string>& calls() const { return calls_; }
  const std::map<std::string, std::string>& env() const { return env_; }

  int set_affinity(int tid, const CpuSet& cpus) override;
  int get_affinity(int tid, CpuSet& cpus) override;
  int set_memory_policy(const MemoryPolicy& policy) override;
  int get_memory_policy(MemoryPolicy& policy) override;
  int get_allowed_nodes(NodeSet& nodes) override;
  int touch_page(NodeId& node) override;
  int set_env(const std::string& name, const std::string& value) override;

 private:
  int answer(std::string call);
  std::map<std::string, int> refusals_;
  std::vector<std::string> calls_;
  std::map<std::string, std::string> env_;
  CpuSet cpus_, limit_;
  MemoryPolicy policy_;
  NodeSet allowed_nodes_{0};
  NodeId page_node_{};
};

}  // namespace numapin
