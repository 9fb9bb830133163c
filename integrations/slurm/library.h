// libnumapin's C ABI, opened when a task is bound and not before: srun, sbatch, slurmd and slurmstepd stay without it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "options.h"

namespace numapin_spank {

/// What the task is, as far as Slurm tells.
struct Task {
  std::map<std::string, std::string> env;
  std::string cpulist;     ///< the mask found at entry, "0-3,8": Slurm's own decision, never left
  bool own_cpus = false;   ///< no other task of the step has these CPUs
  bool is_script = false;  ///< a batch script, or the shell of an interactive step: what it starts inherits everything
};

struct Report {
  std::string verdict;                     ///< "GPU 1 → node 1: 1 thread on CPUs 8-15, memory preferred node 1"
  std::string cpulist;                     ///< what the task was bound to; "" where its mask was left alone
  std::vector<std::string> because;
  std::vector<std::string> losses;         ///< warnings, and what the kernel refused
  std::string failure;                     ///< nothing was done, and why; "" after success
};

Report bind(const Site& site, const Options& options, const Task& task);

}  // namespace numapin_spank
