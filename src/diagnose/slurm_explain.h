// What Slurm gave a job or a task on this node, what its GPUs' nodes would want, and the srun line that asks for that.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

/// What there is to judge. Of a job by its number, `task_cpus`, `policy` and `mems` stay unknown: a task has them.
struct SlurmGiven {
  std::string what;                        ///< "job 17", "job 17 step 0 task 1"
  CpuSet job_cpus;                         ///< of the job on this node: its cpuset, or by scontrol
  std::optional<CpuSet> task_cpus;         ///< mask of this very task
  std::optional<NodeSet> mems;             ///< Mems_allowed
  std::string policy;                      ///< the kernel's words: "default", "bind:0"; "" unknown
  std::vector<int> gpus;                   ///< Gpu::index
  bool may_open_others = true;             ///< false: other GPUs' device files are closed to it
  bool is_step = false;                    ///< a task of srun; false: a batch script, or unknown
  std::optional<int> tasks, cpus_per_task; ///< on this node; asked of sbatch
  std::vector<std::string> because;        ///< how CPUs and GPUs were found
  std::vector<std::string> warnings;
};

struct SlurmExplanation {
  SlurmGiven given;
  NodeSet near;                            ///< of the GPUs; empty: unknown
  CpuSet near_cpus;                        ///< what the GPUs' nodes have
  std::vector<std::string> wrong;          ///< one fact each; empty: nothing to mend
  std::vector<std::string> notes;
  std::string line;                        ///< the corrected command; "" where there is nothing to correct
};
SlurmExplanation explain_slurm(const Machine& m, SlurmGiven given);

/// The job's own CPUs and GPUs on a node, by the text of `scontrol show job -d`. Error kNotFound where the job has
/// nothing there.
Result<SlurmGiven> parse_scontrol_job(std::string_view text, const Machine& m, const std::string& node);

/// Schema numapin/slurm-explain/1 (docs/json.md).
std::string to_json(const SlurmExplanation& e);

}  // namespace numapin
