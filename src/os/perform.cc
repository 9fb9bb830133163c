#include "numapin/perform.h"

#include "os/kernel.h"

#include <cerrno>
#include <cstring>

#include "plan/policy_text.h"

namespace numapin {
namespace {

Error::Kind kind_of(int error) {
  switch (error) {
    case EPERM:
    case EACCES: return Error::Kind::kDenied;
    case ENOSYS: return Error::Kind::kUnsupported;
    default: return Error::Kind::kSystem;
  }
}

Error cpu_loss(const CpuSet& cpus, int error) {
  Error e{kind_of(error), "set CPUs " + cpus.to_list() + ": sched_setaffinity: " + std::strerror(error), {}};
  if (error == EPERM) e.hint = kSeccompHint;
  if (error == EINVAL) e.hint = "none of these CPUs is online and in this process's cpuset";
  return e;
}

/// EINVAL means two things: the cpuset leaves none of the nodes, or the kernel does not know the mode.
Error memory_loss(const MemoryPolicy& policy, int error, Kernel& kernel) {
  Error e{kind_of(error), "set memory " + describe(policy) + ": set_mempolicy: " + std::strerror(error), {}};
  if (error == EPERM) e.hint = kSeccompHint;
  if (error == ENOSYS) e.hint = "this kernel was built without NUMA memory policies";
  if (error != EINVAL) return e;
  NodeSet allowed;
  if (kernel.get_allowed_nodes(allowed) == 0 && !policy.nodes.intersects(allowed)) {
    e.kind = Error::Kind::kDenied;
    e.hint = "this process's cpuset allows memory of " + node_words(allowed) +
             " only (Mems_allowed in /proc/self/status)";
    return e;
  }
  e.kind = Error::Kind::kUnsupported;
  if (policy.mode == MemoryMode::kWeightedInterleave) e.hint = "weighted interleave needs Linux 6.9 or later";
  if (policy.mode == MemoryMode::kPreferred) e.hint = "preferring several nodes needs Linux 5.15 or later";
  if (policy.balancing) e.hint = "balancing under bind needs Linux 5.12 or later";
  return e;
}

struct Performer {
  Kernel& kernel;
  bool strict;
  Outcome outcome;
  std::optional<Error> failure;

  void lose(Error e) {
    if (strict && !failure) failure = e;
    outcome.losses.push_back(std::move(e));
  }

  void operator()(const SetAffinity& action) {
    outcome.cpus_asked = action.cpus;
    if (const int error = kernel.set_affinity(0, action.cpus)) return lose(cpu_loss(action.cpus, error));
    // The kernel drops CPUs outside the cpuset in silence.
    if (kernel.get_affinity(0, outcome.cpus) != 0) outcome.cpus = action.cpus;
    if (const CpuSet dropped = action.cpus - outcome.cpus; !dropped.empty()) {
      lose({Error::Kind::kDenied, "set CPUs " + action.cpus.to_list() + ": the kernel left out " + dropped.to_list(),
            "they are offline or not in this process's cpuset"});
    }
  }

  void operator()(const SetMemoryPolicy& action) {
    outcome.memory_asked = action.policy;
    if (action.policy.mode == MemoryMode::kNone) return;
    if (try_policy(action.policy)) return;
    for (const auto& weaker : weaker_policies(action.policy)) {
      if (failure || try_policy(weaker)) return;
    }
  }

  void operator()(const SetEnv& action) {
    if (const int error = kernel.set_env(action.name, action.value)) {
      lose({Error::Kind::kSystem, "set " + action.name + ": " + std::strerror(error), {}});
    }
  }

  bool try_policy(const MemoryPolicy& policy) {
    if (const int error = kernel.set_memory_policy(policy)) {
      // A preferred-many of one node is the same as preferred: on old kernels that is no loss.
      const bool same = policy.mode == MemoryMode::kPreferred && policy.nodes.size() == 1 &&
                        error == EINVAL && kernel.set_memory_policy({MemoryMode::kPreferredOne, policy.nodes}) == 0;
      if (!same) {
        lose(memory_loss(policy, error, kernel));
        return false;
      }
      outcome.memory_got = {MemoryMode::kPreferredOne, policy.nodes};
      return true;
    }
    outcome.memory_got = policy;
    return true;
  }
};

/// Modes under which a page must come from the policy's nodes while they have free memory.
bool names_nodes(const MemoryPolicy& policy) { return !policy.nodes.empty(); }

NodeSet effective_nodes(const MemoryPolicy& policy) {
  if (policy.mode == MemoryMode::kPreferredOne && !policy.nodes.empty()) return NodeSet::of(policy.nodes.first());
  return policy.nodes;
}

Unexpected mismatch(const std::string& what, const std::string& asked, const std::string& found) {
  return fail(Error::Kind::kSystem, "verify " + what + ": asked for " + asked + ", the kernel has " + found,
              "run without --verify to start anyway; a cpuset or another binder changed it");
}

Result<void> verify_memory(const Outcome& outcome, Kernel& kernel) {
  MemoryPolicy found;
  const MemoryPolicy& asked = outcome.memory_got.mode == MemoryMode::kNone ? outcome.memory_asked : outcome.memory_got;
  if (const int error = kernel.get_memory_policy(found)) {
    return fail(kind_of(error), std::string("verify memory policy: get_mempolicy: ") + std::strerror(error),
                error == EPERM ? kSeccompHint : "");
  }
  if (found.mode != asked.mode || found.nodes != effective_nodes(asked)) {
    return mismatch("memory policy", describe(asked), describe(found));
  }
  NodeId node{};
  if (!names_nodes(asked) || kernel.touch_page(node) != 0 || asked.nodes.contains(node)) return {};
  return mismatch("a touched page", node_words(asked.nodes), node_words(NodeSet::of(node)));
}

}  // namespace

std::vector<MemoryPolicy> weaker_policies(const MemoryPolicy& policy) {
  const MemoryPolicy many{MemoryMode::kPreferred, policy.nodes}, one{MemoryMode::kPreferredOne, policy.nodes};
  switch (policy.mode) {
    case MemoryMode::kBind:
      if (policy.balancing) return {{MemoryMode::kBind, policy.nodes}, many, one};
      return {many, one};
    case MemoryMode::kPreferred: return {one};
    case MemoryMode::kWeightedInterleave: return {{MemoryMode::kInterleave, policy.nodes}};
    case MemoryMode::kLocal: return {{MemoryMode::kDefault, {}}};
    default: return {};
  }
}

Result<Outcome> perform(std::span<const Action> actions, Kernel& kernel, bool strict) {
  Performer performer{kernel, strict, {}, {}};
  for (const auto& action : actions) {
    std::visit(performer, action);
    if (performer.failure) return Unexpected(std::move(*performer.failure));
  }
  return std::move(performer.outcome);
}

Result<void> verify(const Outcome& outcome, Kernel& kernel) {
  if (!outcome.cpus_asked.empty()) {
    CpuSet found;
    if (const int error = kernel.get_affinity(0, found)) {
      return fail(kind_of(error), std::string("verify CPUs: sched_getaffinity: ") + std::strerror(error));
    }
    if (found != outcome.cpus_asked) return mismatch("CPUs", outcome.cpus_asked.to_list(), found.to_list());
  }
  if (outcome.memory_asked.mode == MemoryMode::kNone) return {};
  return verify_memory(outcome, kernel);
}

}  // namespace numapin
