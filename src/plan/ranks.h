// What a launched process must know of its place among the others: the variables of torchrun, which others read too.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "numapin/plan.h"

namespace numapin {

struct World {
  int nodes = 1;                ///< hosts
  int node_rank = 0;            ///< of this host
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  int restart = 0;              ///< how often the ranks were started again
  std::string run_id;           ///< the same for all ranks of a launch
  /// Each rank sees one GPU alone, and finds itself described as the one process of a host that has one GPU.
  bool own_gpu = false;
};

/// The variables of rank `local_rank` of `plan`: RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, GROUP_RANK,
/// GROUP_WORLD_SIZE, ROLE_RANK, ROLE_WORLD_SIZE, MASTER_ADDR, MASTER_PORT (names and meaning: torchrun's documentation,
/// "Environment Variables"), NUMAPIN_LOCAL_RANK, NUMAPIN_RANK_GPU, and OMP_NUM_THREADS, unless `env` has it: the cores of
/// the rank's share divided by the ranks that have the same CPUs. Programs take LOCAL_RANK for the number of their GPU
/// among those they see: with World::own_gpu it is 0, LOCAL_WORLD_SIZE is 1, and the groups are the ranks.
std::vector<std::pair<std::string, std::string>> rank_environment(const Plan& plan, int local_rank, const World& world,
                                                                  const std::map<std::string, std::string>& env);

}  // namespace numapin
