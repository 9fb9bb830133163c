// A plan: what each process gets, as data. Pure: nothing here touches the system.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "numapin/machine.h"
#include "numapin/result.h"
#include "numapin/visible.h"

namespace numapin {

/// Which CPUs near the GPU a process gets.
enum class CpuScope {
  kNode,       ///< all CPUs of the GPU's node(s)
  kSocket,     ///< all CPUs of the package(s) those nodes belong to
  kL3,         ///< one L3 group of the node; the GPUs of a node take different ones in turn
  kExclusive,  ///< its share of the node's cores, counted over all GPUs of the node
  kSpread,     ///< a share of the cores of every allowed node
  kAll,        ///< every allowed CPU
  kNone,       ///< leave the CPU mask alone
};
std::string_view to_string(CpuScope s);
/// "node", "socket", "l3", "exclusive", "spread", "all", "none"; nothing for another word
std::optional<CpuScope> parse_cpu_scope(std::string_view word);

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
/// "default", "preferred", "bind", "interleave", "weighted-interleave", "local", "none"
std::string_view to_string(MemoryMode mode);
std::optional<MemoryMode> parse_memory_mode(std::string_view word);

struct MemoryPolicy {
  MemoryMode mode = MemoryMode::kNone;
  NodeSet nodes;
  bool balancing = false;  ///< MPOL_F_NUMA_BALANCING with kBind
  bool operator==(const MemoryPolicy&) const = default;
};

/// What one process gets.
struct Placement {
  std::vector<int> gpus;             ///< Gpu::index
  CpuSet cpus;                       ///< empty: leave the mask alone
  CpuSet main_cpus, worker_cpus;     ///< parts of cpus, when they were split
  int cores = 0;                     ///< physical cores that cpus lie on (OMP_NUM_THREADS); 0: mask left alone
  NodeSet near_nodes;                ///< nodes of its GPUs; empty: unknown, or no GPU
  MemoryPolicy memory;
  std::vector<std::pair<std::string, std::string>> env;  ///< variables to set
  std::vector<std::string> because;  ///< one reason a decision, in order
  std::vector<std::string> warnings; ///< what the user should know: "no allowed CPU near GPU 3 ..."
  bool operator==(const Placement&) const = default;
};

struct Plan {
  std::vector<Placement> placements;  ///< by rank
  std::vector<std::string> notes;     ///< what concerns the whole plan
  bool operator==(const Plan&) const = default;
};

/// What is asked for.
struct Job {
  std::vector<ChosenGpu> gpus;           ///< in the order asked; empty: no GPU, processes are shared out over the nodes
  bool one_process_per_gpu = false;      ///< launch; false: one process for all of them (run)
  int processes_per_gpu = 1;             ///< with one_process_per_gpu
  int processes = 1;                     ///< without GPUs
  CpuScope cpus = CpuScope::kNode;
  bool smt = true;                       ///< false: one logical CPU per core
  int reserve_cores_per_node = 0;        ///< kept free for the system: the lowest-numbered of each node
  std::optional<int> worker_cores;       ///< of each share, for data-loading workers; the rest is the main process's
  bool auto_worker_cores = false;        ///< three quarters of each share
  MemoryMode memory = MemoryMode::kPreferred;
  bool memory_over_all = false;          ///< big-memory: over all allowed DRAM nodes
  bool set_visible = true;               ///< set the visible-GPU variables
};

enum class Profile { kTraining, kInference, kBigMemory };
std::optional<Profile> parse_profile(std::string_view word);  ///< "training", "inference", "big-memory"
/// training: the defaults. inference: strict bind, one thread per core. big-memory: CPUs near, memory interleaved over
/// all allowed DRAM nodes.
void apply_profile(Profile profile, Job& job);

/// Total: every job on every machine gives a Plan or a kBadInput / kNotFound Error; the same input, the same plan.
Result<Plan> make_plan(const Machine& m, const Allowance& a, const Job& job);

/// Every promise that a plan made for this job keeps; empty when all hold. Runs on every machine in every test.
std::vector<std::string> check(const Machine& m, const Allowance& a, const Job& job, const Plan& plan);

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
