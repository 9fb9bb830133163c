#include "plan/ranks.h"

#include <fmt/format.h>

#include <algorithm>

namespace numapin {
namespace {

/// Ranks that share CPUs share their cores; each takes its part of them.
int threads_for(const Plan& plan, const Placement& p) {
  const auto sharers = std::count_if(plan.placements.begin(), plan.placements.end(),
                                     [&](const Placement& other) { return other.cpus.intersects(p.cpus); });
  return std::max(1, p.cores / std::max(1, static_cast<int>(sharers)));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> rank_environment(const Plan& plan, int local_rank, const World& world,
                                                                  const std::map<std::string, std::string>& env) {
  const auto& p = plan.placements.at(static_cast<std::size_t>(local_rank));
  const int local_size = static_cast<int>(plan.placements.size());
  const auto rank = std::to_string(world.node_rank * local_size + local_rank);
  const auto size = std::to_string(world.nodes * local_size);
  const bool alone = world.own_gpu && !p.gpus.empty();
  std::vector<std::pair<std::string, std::string>> out = {
      {"RANK", rank},
      {"LOCAL_RANK", alone ? "0" : std::to_string(local_rank)},
      {"WORLD_SIZE", size},
      {"LOCAL_WORLD_SIZE", alone ? "1" : std::to_string(local_size)},
      {"GROUP_RANK", alone ? rank : std::to_string(world.node_rank)},
      {"GROUP_WORLD_SIZE", alone ? size : std::to_string(world.nodes)},
      {"ROLE_RANK", rank},
      {"ROLE_WORLD_SIZE", size},
      {"MASTER_ADDR", world.master_address},
      {"MASTER_PORT", std::to_string(world.master_port)},
      {"NUMAPIN_LOCAL_RANK", std::to_string(local_rank)},
      {"NUMAPIN_RESTART_COUNT", std::to_string(world.restart)},
      {"NUMAPIN_RUN_ID", world.run_id},
  };
  if (!p.gpus.empty()) {
    CpuSet gpus;  // for its way to write a list
    for (int g : p.gpus) gpus.insert(static_cast<CpuId>(g));
    out.emplace_back("NUMAPIN_RANK_GPU", gpus.to_list());
  }
  if (!env.contains("OMP_NUM_THREADS") && p.cores > 0)
    out.emplace_back("OMP_NUM_THREADS", std::to_string(threads_for(plan, p)));
  return out;
}

}  // namespace numapin
