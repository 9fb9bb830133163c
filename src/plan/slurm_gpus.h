// Which GPUs did Slurm give a task? No variable alone is right, so all that a task can see is put together.
#pragma once

#include <map>
#include <string>

#include "numapin/visible.h"

namespace numapin {

/// What a task sees of its GPUs.
struct SlurmTask {
  std::map<int, bool> may_open;            ///< Gpu::index -> whether its device file may be opened; absent: not known
  std::map<std::string, std::string> env;  ///< of the task
};

/// 1. The GPUs whose device files the task may open (ConstrainDevices fences the others off). 2. The visible-GPU variables
/// as the run-times read them, counting among those only. 3. SLURM_STEP_GPUS or SLURM_JOB_GPUS, which count over the whole
/// node, are compared: where they differ 1 and 2 win, for `srun --gpus-per-task` under ConstrainDevices leaves a wrong
/// number in them (22.05). A task without any sign of a GPU has none, though every device file may be open to it.
/// Errors: those of visible_gpus().
Result<GpuChoice> slurm_gpus(const Machine& m, const SlurmTask& task);

}  // namespace numapin
