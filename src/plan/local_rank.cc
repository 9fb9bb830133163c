#include "plan/local_rank.h"

#include <array>

#include "base/numbers.h"

namespace numapin {
namespace {

using Env = std::map<std::string, std::string>;

// Sources: the launchers' manuals (Open MPI mpirun(1), MPICH hydra and Intel MPI environment reference, MVAPICH2 user
// guide, HPE PALS and IBM JSM manuals, flux-run(1), torchrun's environment table, srun(1)).
constexpr std::array kRankVariables = {
    "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",    "MV2_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID",
    "JSM_NAMESPACE_LOCAL_RANK",   "FLUX_TASK_LOCAL_ID", "LOCAL_RANK",                "SLURM_LOCALID",
};
constexpr std::array kSizeVariables = {
    "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE", "PALS_LOCAL_SIZE",
    "JSM_NAMESPACE_LOCAL_SIZE",   "LOCAL_WORLD_SIZE",
};

std::optional<int> number_in(const Env& env, const char* name) {
  const auto it = env.find(name);
  if (it == env.end()) return std::nullopt;
  const auto value = parse_number<int>(trim(it->second));
  return value && *value >= 0 ? value : std::nullopt;
}

/// "8" and "8(x2)", the same on every host; of "8(x2),4" the number here is not known.
std::optional<int> slurm_local_size(const Env& env) {
  const auto it = env.find("SLURM_STEP_TASKS_PER_NODE");
  if (it == env.end()) return std::nullopt;
  const std::string_view text = it->second;
  if (text.find(',') != text.npos) return std::nullopt;
  const auto size = parse_number<int>(text.substr(0, text.find('(')));
  return size && *size > 0 ? size : std::nullopt;
}

}  // namespace

std::optional<LocalRank> find_local_rank(const Env& env) {
  std::optional<LocalRank> found;
  if (env.contains("TORCHELASTIC_RUN_ID"))
    if (const auto rank = number_in(env, "LOCAL_RANK")) found = LocalRank{*rank, "LOCAL_RANK", {}};
  for (const char* name : kRankVariables) {
    const auto rank = number_in(env, name);
    if (!rank) continue;
    if (!found) found = LocalRank{*rank, name, {}};
    else if (*rank != found->rank) found->differing.push_back(std::string(name) + "=" + std::to_string(*rank));
  }
  return found;
}

std::optional<int> find_local_size(const Env& env) {
  for (const char* name : kSizeVariables)
    if (const auto size = number_in(env, name); size && *size > 0) return size;
  return slurm_local_size(env);
}

}  // namespace numapin
