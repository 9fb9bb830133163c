// Which of a launcher's processes on this host are we? Every launcher has a variable of its own.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace numapin {

struct LocalRank {
  int rank = 0;
  std::string variable;                ///< where it comes from: "OMPI_COMM_WORLD_LOCAL_RANK"
  std::vector<std::string> differing;  ///< "SLURM_LOCALID=0": variables that say otherwise
  bool operator==(const LocalRank&) const = default;
};

/// The local rank by the launcher's variable; nothing when no launcher set one. Order: torchrun's LOCAL_RANK where
/// torchrun started us (TORCHELASTIC_RUN_ID), since it is the innermost launcher; Open MPI, MPICH and Intel MPI,
/// MVAPICH2, PALS, JSM, Flux; LOCAL_RANK of others; SLURM_LOCALID last, because under `salloc mpirun` and under
/// `srun torchrun` every rank shows 0.
std::optional<LocalRank> find_local_rank(const std::map<std::string, std::string>& env);

/// The number of ranks on this host, where the launcher tells.
std::optional<int> find_local_size(const std::map<std::string, std::string>& env);

}  // namespace numapin
