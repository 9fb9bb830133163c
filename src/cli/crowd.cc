#include "cli/crowd.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "numapin/process.h"
#include "numapin/sources.h"

namespace numapin::cli {
namespace {

struct Mend {
  std::string_view variable, how;
};
constexpr std::array kMends = {
    Mend{"OMPI_COMM_WORLD_LOCAL_RANK", "mpirun --bind-to none"},
    Mend{"MPI_LOCALRANKID", "mpiexec.hydra -bind-to none, Intel MPI: I_MPI_PIN=off"},
    Mend{"MV2_COMM_WORLD_LOCAL_RANK", "MV2_ENABLE_AFFINITY=0"},
    Mend{"PALS_LOCAL_RANKID", "mpiexec --cpu-bind none"},
    Mend{"FLUX_TASK_LOCAL_ID", "flux run -o cpu-affinity=off"},
    Mend{"SLURM_LOCALID", "srun --cpu-bind=none, with --cpus-per-task (srun does not inherit it from sbatch since Slurm 22.05)"},
};

std::string how_to_mend(const LocalRank& local) {
  for (const auto& [variable, how] : kMends)
    if (local.variable == variable) return fmt::format("start them with {}, in a job that has the CPUs", how);
  return "give the job that starts them its CPUs (Slurm: --cpus-per-task; containers: --cpuset-cpus)";
}

}  // namespace

std::optional<std::string> crowd_warning(const FileTree& tree, const System& system, const LocalRank& local) {
  const auto& allowed = system.allowance.cpus;
  if (!allowed || allowed->contains(online_cpus(system.machine))) return std::nullopt;
  const auto text = tree.read("/proc/self/stat");
  const auto stat = text ? parse_proc_stat(*text) : std::nullopt;
  if (!stat) return std::nullopt;
  int ranks = 0;  // this one is among its parent's children
  for (const int pid : children_of(tree, stat->parent)) {
    const auto theirs = read_allowance(tree, std::to_string(pid)).cpus;
    if (theirs && !theirs->empty() && allowed->contains(*theirs)) ++ranks;
  }
  if (ranks <= allowed->size()) return std::nullopt;
  return fmt::format("{} ranks share CPUs {}: that is all their launcher left them, and numapin does not widen it; {}", ranks,
                     allowed->to_list(), how_to_mend(local));
}

}  // namespace numapin::cli
