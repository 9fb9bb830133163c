#include "render/plan_text.h"

#include <fmt/format.h>

#include "base/text.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

std::string rank_line(const Placement& p, std::size_t rank) {
  return fmt::format("rank {:<3} GPU {:<4} {:<10} CPUs {}, memory {}\n", rank, gpu_numbers(p),
                     p.near_nodes.empty() ? "node ?" : node_words(p.near_nodes),
                     p.cpus.empty() ? "as they are" : p.cpus.to_list(), describe(p.memory));
}

}  // namespace

std::string gpu_numbers(const Placement& placement) {
  std::vector<std::string> numbers;
  for (const int gpu : placement.gpus) numbers.push_back(std::to_string(gpu));
  return numbers.empty() ? "-" : join(numbers, ",");
}

std::string plan_text(const Plan& plan, bool explain) {
  std::string text;
  for (std::size_t rank = 0; rank < plan.placements.size(); ++rank) {
    const auto& placement = plan.placements[rank];
    text += rank_line(placement, rank);
    if (!explain) continue;
    for (const auto& reason : placement.because) text += fmt::format("         because {}\n", reason);
  }
  return text;
}

}  // namespace numapin
