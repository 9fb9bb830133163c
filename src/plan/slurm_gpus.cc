#include "plan/slurm_gpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "base/text.h"
#include "plan/gpu_families.h"

namespace numapin {
namespace {

using Indices = std::set<int>;

/// Slurm counts the GPUs of the node, in PCI order, in these. SLURM_JOB_GPUS is that of a batch step.
constexpr std::string_view kOverNode[] = {"SLURM_STEP_GPUS", "SLURM_JOB_GPUS"};
/// Set where a job has GPUs; with --gpu-bind=none nothing else may tell.
constexpr std::string_view kSigns[] = {"SLURM_GPUS_ON_NODE", "SLURM_GPUS", "SLURM_GPUS_PER_TASK", "SLURM_GPUS_PER_NODE",
                                       "SLURM_GPUS_PER_SOCKET", "SLURM_TRES_PER_TASK"};

std::optional<std::string_view> value_of(const SlurmTask& t, std::string_view name) {
  const auto it = t.env.find(std::string(name));
  return it == t.env.end() ? std::nullopt : std::optional<std::string_view>(it->second);
}

Allowance allowance_of(const SlurmTask& t) {
  Allowance a;
  for (const auto name : visibility_variables())
    if (const auto value = value_of(t, name)) a.visible_env.emplace(name, *value);
  a.visible_env.erase("NVIDIA_VISIBLE_DEVICES");  // a container's; Slurm does not set it, and a job may bring along a stale one
  return a;
}

Indices indices_of(const std::vector<ChosenGpu>& gpus) {
  Indices out;
  for (const auto& gpu : gpus) out.insert(gpu.gpu);
  return out;
}

std::string words(const Indices& gpus) { return gpus_words(std::vector<int>(gpus.begin(), gpus.end())); }

/// The machine as a task sees it that may open no other GPU: indices count among what is left.
Machine without_closed(const Machine& m, const SlurmTask& t, Indices& closed) {
  for (const auto& [gpu, open] : t.may_open)
    if (!open) closed.insert(gpu);
  Machine seen = m;
  std::erase_if(seen.gpus, [&](const Gpu& g) { return closed.contains(g.index); });
  return seen;
}

struct OverNode {
  std::string_view name, value;
  Indices gpus;
};

/// SLURM_STEP_GPUS=0,2 as indices over all GPUs of the node; nothing where it is not set or no list of numbers.
std::optional<OverNode> over_node(const Machine& m, const SlurmTask& t) {
  for (const auto name : kOverNode) {
    const auto value = value_of(t, name);
    const auto list = value ? CpuSet::parse(*value) : Result<CpuSet>(bad_input(""));
    if (!list || list->empty()) continue;
    OverNode out{name, *value, {}};
    for (const auto cpu : *list)
      if (static_cast<std::size_t>(number(cpu)) < m.gpus.size()) out.gpus.insert(m.gpus[static_cast<std::size_t>(number(cpu))].index);
    return out;
  }
  return std::nullopt;
}

bool has_sign(const SlurmTask& t) {
  return std::any_of(std::begin(kSigns), std::end(kSigns), [&](auto name) { return value_of(t, name).has_value(); });
}

void compare(const OverNode& node, bool fenced, GpuChoice& choice) {
  const auto chosen = indices_of(choice.gpus);
  if (std::includes(node.gpus.begin(), node.gpus.end(), chosen.begin(), chosen.end())) {
    choice.because.push_back(fmt::format("{}={} agrees", node.name, node.value));
    return;
  }
  auto line = fmt::format("{}={} says {}, but {} {}", node.name, node.value, words(node.gpus), fenced ? "the task may open" : "the other variables leave",
                          words(chosen));
  (fenced ? choice.because : choice.warnings).push_back(std::move(line));  // fenced: known of srun --gpus-per-task
}

}  // namespace

Result<GpuChoice> slurm_gpus(const Machine& m, const SlurmTask& task) {
  GpuChoice none;
  if (m.gpus.empty()) {
    none.because.emplace_back("this machine has no GPU that a job can be bound to");
    return none;
  }
  Indices closed;
  const auto seen = without_closed(m, task, closed);
  const auto a = allowance_of(task);
  const auto node = over_node(m, task);
  const bool fenced = !closed.empty();
  if (fenced && seen.gpus.empty()) {
    none.because.emplace_back("the task may open no GPU's device file");
    return none;
  }
  if (!fenced && a.visible_env.empty() && !node && !has_sign(task)) {
    none.because.emplace_back("Slurm gave this task no GPU");
    return none;
  }
  NUMAPIN_TRY(auto choice, visible_gpus(seen, a));
  if (fenced) {
    Indices open;
    for (const auto& gpu : seen.gpus) open.insert(gpu.index);
    choice.because.insert(choice.because.begin(), fmt::format("device files: of {} GPUs the task may open {}", m.gpus.size(), words(open)));
    if (choice.gpus.empty()) {
      choice.warnings.push_back(fmt::format("the variables leave no GPU of those; taken to be {}", words(open)));
      for (const int gpu : open) choice.gpus.push_back({gpu, "", {}});
    }
  }
  if (choice.gpus.size() > 1 && a.visible_env.empty() && node && !fenced) {  // --gpu-bind=none and the like
    choice.gpus.clear();
    for (const int gpu : node->gpus) choice.gpus.push_back({gpu, "", {}});
  }
  if (node && !choice.gpus.empty()) compare(*node, fenced, choice);
  return choice;
}

}  // namespace numapin
