// A plan: what each process gets, as data. Pure: nothing here touches the system.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

/// Which CPUs near the GPU a process gets.
enum class CpuScope {
  kNode,       ///< all CPUs of the GPU's node(s)
  kSocket,     ///< all CPUs of the package(s) those nodes belong to
  kL3,         ///< one L3 group of the node
  kExclusive,  ///< its share of the node's cores, counted over all GPUs of the node
  kSpread,     ///< cores spread over all allowed nodes
  kAll,        ///< every allowed CPU
  kNone,       ///< leave the CPU mask alone
};

enum class MemoryMode {
  kDefault,             ///< kernel default, first touch (MPOL_DEFAULT)
  kPreferred,           ///< preferred-many on the nodes, spill elsewhere when full
  kPreferredOne,        ///< MPOL_PREFERRED: the first of the nodes, spill elsewhere when full (numactl --preferred)
  kBind,                ///< only these nodes; allocation fails when they are full
  kInterleave,
  kWeightedInterleave,  ///< kernel 6.9 and later
  kLocal,               ///< the node the thread runs on (MPOL_LOCAL)
  kNone,                ///< leave the policy alone
};

struct MemoryPolicy {
  MemoryMode mode = MemoryMode::kNone;
  NodeSet nodes;
  bool balancing = false;  ///< MPOL_F_NUMA_BALANCING with kBind
  bool operator==(const MemoryPolicy&) const = default;
};

struct Placement {
  std::vector<int> gpus;             ///< Gpu::index
  CpuSet cpus;                       ///< empty: leave the mask alone
  CpuSet main_cpus, worker_cpus;     ///< parts of cpus, when they were split
  MemoryPolicy memory;
  std::vector<std::pair<std::string, std::string>> env;  ///< variables to set
  std::vector<std::string> because;  ///< one reason a decision, in order
  std::vector<std::string> warnings; ///< what the user should know: "no allowed CPU near GPU 3 ..."
  bool operator==(const Placement&) const = default;
};

struct Plan {
  std::vector<Placement> placements;
  std::vector<std::string> notes;
  bool operator==(const Plan&) const = default;
};

/// What is asked for.
struct Job {
  std::vector<int> gpus;                 ///< Gpu::index, in the order asked
  bool one_process_per_gpu = false;      ///< launch; false: one process for all of them (run)
  CpuScope cpus = CpuScope::kNode;
  bool smt = true;                       ///< false: one logical CPU per core
  MemoryMode memory = MemoryMode::kPreferred;
  bool memory_over_all = false;          ///< big-memory: interleave over all allowed DRAM nodes
  bool set_visible = true;               ///< set the visible-GPU variable
};

/// Total: every job on every machine gives a Plan or a kBadInput / kNotFound Error; the same input, the same plan.
Result<Plan> make_plan(const Machine& m, const Allowance& a, const Job& job);

/// One step that changes this process before it becomes the command.
struct SetAffinity {
  CpuSet cpus;
  bool operator==(const SetAffinity&) const = default;
};
struct SetMemoryPolicy {
  MemoryPolicy policy;
  bool operator==(const SetMemoryPolicy&) const = default;
};
struct SetEnv {
  std::string name, value;
  bool operator==(const SetEnv&) const = default;
};
using Action = std::variant<SetAffinity, SetMemoryPolicy, SetEnv>;
std::vector<Action> actions(const Placement& p);

}  // namespace numapin
