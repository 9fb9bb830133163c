#include "render/plan_tints.h"

#include <algorithm>

#include "render/palette.h"

namespace numapin {

/// Tints are counted within a node, so that the neighbours in a drawing differ.
PlanTints::PlanTints(const Plan& plan) {
  std::map<NodeSet, int> used;
  int rank = 0;
  for (const auto& p : plan.placements) {
    if (p.cpus.empty()) {  // left where it is: no core to tint
      ++rank;
      continue;
    }
    const int tint = used[p.near_nodes]++ % kTints;
    for (const auto cpu : p.cpus) claim(cpus_, number(cpu), rank, tint);
    for (const int gpu : p.gpus) claim(gpus_, gpu, rank, tint);
    ++rank;
  }
}

void PlanTints::claim(Owners& owners, int key, int rank, int tint) {
  const auto [it, is_new] = owners.try_emplace(key, Owner{rank, tint, false});
  if (!is_new) it->second.several = true;
}

const PlanTints::Owner* PlanTints::find(const Owners& owners, int key) {
  const auto it = owners.find(key);
  return it == owners.end() || it->second.several ? nullptr : &it->second;
}

std::optional<std::string> PlanTints::tint(const Owner* owner) {
  if (owner == nullptr) return std::nullopt;
  return "tint" + std::to_string(owner->tint);
}

bool PlanTints::any() const {
  return std::any_of(cpus_.begin(), cpus_.end(), [](const auto& o) { return !o.second.several; });
}

std::optional<int> PlanTints::rank_of_cpu(CpuId cpu) const {
  const auto* owner = find(cpus_, number(cpu));
  return owner == nullptr ? std::nullopt : std::optional(owner->rank);
}

}  // namespace numapin
