#include "os/kernel.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "plan/policy_text.h"

namespace numapin {
namespace {

// include/uapi/linux/mempolicy.h; our own copies, as Debian 12's <linux/mempolicy.h> and <numaif.h> end before the
// last modes.
enum KernelMode : int {
  kMpolDefault = 0,
  kMpolPreferred = 1,
  kMpolBind = 2,
  kMpolInterleave = 3,
  kMpolLocal = 4,               // 3.8
  kMpolPreferredMany = 5,       // 5.15
  kMpolWeightedInterleave = 6,  // 6.9
};
constexpr int kMpolBalancing = 1 << 13;  // MPOL_F_NUMA_BALANCING, 5.12
constexpr int kMpolStaticNodes = 1 << 15, kMpolRelativeNodes = 1 << 14;  // 2.6.26
constexpr int kMpolFlags = kMpolStaticNodes | kMpolRelativeNodes | kMpolBalancing;
// Flags of get_mempolicy(2).
constexpr unsigned long kMpolFNode = 1 << 0, kMpolFAddr = 1 << 1, kMpolFMemsAllowed = 1 << 2;

/// sched_getaffinity(2) answers EINVAL where the buffer is smaller than the kernel's own mask; no kernel's is larger.
using CpuWords = std::array<unsigned long, kMaxIds / 64>;
/// MAX_NUMNODES is at most 1 << 10; get_mempolicy(2) answers EINVAL to a mask of more than a page.
using NodeWords = std::array<unsigned long, 4096 / 64>;

static_assert(sizeof(unsigned long) == 8, "masks go to the kernel as 64-bit words");

int result(long answer) { return answer < 0 ? errno : 0; }

template <class Set, class Words>
Set to_set(const Words& words) {
  Set set;
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (unsigned long rest = words[w]; rest != 0; rest &= rest - 1) {
      set.insert(static_cast<typename Set::iterator::value_type>(static_cast<int>(w) * 64 + __builtin_ctzl(rest)));
    }
  }
  return set;
}

MemoryMode from_kernel_mode(int mode) {
  switch (mode & ~kMpolFlags) {
    case kMpolPreferred: return MemoryMode::kPreferredOne;
    case kMpolBind: return MemoryMode::kBind;
    case kMpolInterleave: return MemoryMode::kInterleave;
    case kMpolLocal: return MemoryMode::kLocal;
    case kMpolPreferredMany: return MemoryMode::kPreferred;
    case kMpolWeightedInterleave: return MemoryMode::kWeightedInterleave;
    default: return MemoryMode::kDefault;
  }
}

}  // namespace

int kernel_mode(const MemoryPolicy& policy) {
  switch (policy.mode) {
    case MemoryMode::kPreferred: return kMpolPreferredMany;
    case MemoryMode::kPreferredOne: return kMpolPreferred;
    case MemoryMode::kBind: return kMpolBind | (policy.balancing ? kMpolBalancing : 0);
    case MemoryMode::kInterleave: return kMpolInterleave;
    case MemoryMode::kWeightedInterleave: return kMpolWeightedInterleave;
    case MemoryMode::kLocal: return kMpolLocal;
    case MemoryMode::kDefault:
    case MemoryMode::kNone: break;
  }
  return kMpolDefault;
}

// ---- real ---------------------------------------------------------------------------------------------------------

int RealKernel::set_affinity(int tid, const CpuSet& cpus) {
  const auto& words = cpus.words();
  return result(syscall(SYS_sched_setaffinity, tid, words.size() * sizeof(words[0]), words.data()));
}

int RealKernel::get_affinity(int tid, CpuSet& cpus) {
  CpuWords words{};
  const long bytes = syscall(SYS_sched_getaffinity, tid, sizeof words, words.data());
  if (bytes < 0) return errno;
  cpus = to_set<CpuSet>(words);
  return 0;
}

int RealKernel::set_memory_policy(const MemoryPolicy& policy) {
  if (policy.mode == MemoryMode::kNone) return 0;
  const bool takes_nodes = policy.mode != MemoryMode::kDefault && policy.mode != MemoryMode::kLocal;
  if (!takes_nodes || policy.nodes.empty()) {
    return result(syscall(SYS_set_mempolicy, kernel_mode(policy), nullptr, 0UL));
  }
  const NodeSet nodes = policy.mode == MemoryMode::kPreferredOne ? NodeSet::of(policy.nodes.first()) : policy.nodes;
  const auto& words = nodes.words();
  // The kernel takes one off maxnode before it uses it (get_nodes() in mm/mempolicy.c): ask for one bit more.
  const int mode = kernel_mode(policy) | (nodes_ == Nodes::kStatic ? kMpolStaticNodes : 0);
  return result(syscall(SYS_set_mempolicy, mode, words.data(), words.size() * 64 + 1));
}

int RealKernel::get_memory_policy(MemoryPolicy& policy) {
  NodeWords words{};
  int mode = 0;
  if (syscall(SYS_get_mempolicy, &mode, words.data(), words.size() * 64, nullptr, 0UL) < 0) return errno;
  policy.mode = from_kernel_mode(mode);
  policy.balancing = (mode & kMpolBalancing) != 0;
  policy.nodes = to_set<NodeSet>(words);
  // Before 5.14 the kernel kept MPOL_LOCAL as MPOL_PREFERRED without nodes.
  if (policy.mode == MemoryMode::kPreferredOne && policy.nodes.empty()) policy.mode = MemoryMode::kLocal;
  return 0;
}

int RealKernel::get_allowed_nodes(NodeSet& nodes) {
  NodeWords words{};
  const int error =
      result(syscall(SYS_get_mempolicy, nullptr, words.data(), words.size() * 64, nullptr, kMpolFMemsAllowed));
  if (error != 0) return error;
  nodes = to_set<NodeSet>(words);
  return 0;
}

int RealKernel::touch_page(NodeId& node) {
  const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return errno;
  *static_cast<volatile char*>(page) = 1;
  int found = 0;
  const int error = result(syscall(SYS_get_mempolicy, &found, nullptr, 0UL, page, kMpolFNode | kMpolFAddr));
  munmap(page, bytes);
  node = static_cast<NodeId>(found);
  return error;
}

int RealKernel::set_env(const std::string& name, const std::string& value) {
  return result(setenv(name.c_str(), value.c_str(), 1));
}

// ---- printing -----------------------------------------------------------------------------------------------------

int PrintingKernel::set_affinity(int, const CpuSet& cpus) {
  print_("set CPUs " + cpus.to_list());
  cpus_ = cpus;
  return 0;
}

int PrintingKernel::get_affinity(int, CpuSet& cpus) {
  cpus = cpus_;
  return 0;
}

int PrintingKernel::set_memory_policy(const MemoryPolicy& policy) {
  print_("set memory " + describe(policy));
  policy_ = policy;
  return 0;
}

int PrintingKernel::get_memory_policy(MemoryPolicy& policy) {
  policy = policy_;
  return 0;
}

int PrintingKernel::get_allowed_nodes(NodeSet& nodes) {
  nodes = policy_.nodes;
  return 0;
}

int PrintingKernel::touch_page(NodeId& node) {
  if (!policy_.nodes.empty()) node = policy_.nodes.first();
  return 0;
}

int PrintingKernel::set_env(const std::string& name, const std::string& value) {
  print_("set " + name + '=' + value);
  return 0;
}

// ---- recording ----------------------------------------------------------------------------------------------------

int RecordingKernel::answer(std::string call) {
  calls_.push_back(std::move(call));
  for (const auto& [start, error] : refusals_) {
    if (calls_.back().starts_with(start)) return error;
  }
  return 0;
}

int RecordingKernel::set_affinity(int, const CpuSet& cpus) {
  const int error = answer("set_affinity " + cpus.to_list());
  if (error == 0) cpus_ = limit_.empty() ? cpus : cpus & limit_;
  return error;
}

int RecordingKernel::get_affinity(int, CpuSet& cpus) {
  cpus = cpus_;
  return answer("get_affinity");
}

int RecordingKernel::set_memory_policy(const MemoryPolicy& policy) {
  const std::string one = policy.mode == MemoryMode::kPreferredOne ? "one " : "";
  const int error = answer("set_memory_policy " + one + describe(policy));
  if (error == 0) policy_ = policy;
  return error;
}

int RecordingKernel::get_memory_policy(MemoryPolicy& policy) {
  policy = policy_;
  return answer("get_memory_policy");
}

int RecordingKernel::get_allowed_nodes(NodeSet& nodes) {
  nodes = allowed_nodes_;
  return answer("get_allowed_nodes");
}

int RecordingKernel::touch_page(NodeId& node) {
  node = page_node_;
  return answer("touch_page");
}

int RecordingKernel::set_env(const std::string& name, const std::string& value) {
  env_[name] = value;
  return answer("set_env " + name);
}

}  // namespace numapin
