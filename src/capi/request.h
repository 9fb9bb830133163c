// What a caller of the C ABI asks for: the keys of its JSON request, and the placement that follows.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"
#include "numapin/plan.h"
#include "numapin/result.h"

namespace numapin::capi {

using Environment = std::map<std::string, std::string>;

struct Request {
  std::optional<std::string> gpu;          ///< as `--gpu` takes it
  std::optional<int> local_rank;
  bool find_local_rank = false;            ///< "auto"
  std::optional<int> local_size;
  std::optional<CpuScope> cpus;
  std::optional<MemoryMode> memory;        ///< of `memory`, where it is a text
  std::optional<Profile> profile;
  bool smt = true;
  int reserve = 0;
  std::optional<int> worker_cores;
  bool auto_worker_cores = false;
  bool per_gpu = true, visible = true;     ///< numapin_plan()
  int processes = 1, processes_per_gpu = 1;
  std::optional<CpuSet> allowed_cpus;
  std::optional<Environment> env;
  std::optional<CpuSet> cpulist;           ///< numapin_bind_self(): these very CPUs
  bool migrate = false, strict = false, look = true, dry_run = false;
  bool slurm = false;                      ///< the GPUs that Slurm gave this task
  std::map<int, bool> may_open;            ///< with `slurm`: as find_gpu_files() gives them; no key
  std::optional<int> pid;                  ///< numapin_inspect()
  bool children = false, with_memory = true;
  std::optional<NodeSet> nodes;            ///< these nodes' memory
  bool huge_pages = false;                 ///< numapin_place_memory()
};

/// The keys that each function takes, as in numapin.h.
enum class Call { kPlan, kBind, kInspect, kPlaceMemory };
/// Error kBadInput: no JSON object, a key that the call does not take, a value of the wrong type or word.
Result<Request> parse_request(std::string_view json, Call call);

/// The environment of this process.
Environment environment();

struct Placed {
  Plan plan;
  std::vector<std::string> because;  ///< how its GPUs were chosen
};
/// Errors: those of the GPU selection and of make_plan().
Result<Placed> place(const System& system, const Request& request);
/// The one placement of the calling process, with all reasons and warnings in it.
Result<Placement> place_self(const System& system, Request request);
/// The CPUs of `cpulist` and the memory of `nodes`: no machine is needed to say what they mean.
Placement named_place(const Request& request);

}  // namespace numapin::capi
