// What a user or a launcher says: visible-GPU variables, --gpu, node and CPU specifications, rank variables.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "fuzz/target.h"
#include "numapin/plan.h"
#include "numapin/sources.h"
#include "numapin/visible.h"
#include "plan/local_rank.h"
#include "plan/numactl_spec.h"

namespace numapin::fuzz {
namespace {

const Machine& machine() {
  static const Machine m = open_machine("dual-a100")->machine;
  return m;
}

void demand_of_this_machine(const Result<GpuChoice>& choice) {
  if (!choice) return demand(!choice.error().message.empty(), "an error without a message");
  for (const auto& gpu : choice->gpus)
    demand(gpu.gpu >= 0 && gpu.gpu < static_cast<int>(machine().gpus.size()), "a GPU that is not there was chosen");
}

/// Each line is one variable's value.
void visible_devices(std::string_view bytes) {
  Allowance a;
  const auto lines = split_lines(bytes);
  const auto names = visibility_variables();
  for (std::size_t i = 0; i < names.size() && i < lines.size(); ++i)
    if (!lines[i].empty()) a.visible_env[std::string(names[i])] = std::string(lines[i]);
  demand_of_this_machine(visible_gpus(machine(), a));
  const auto first = choose_gpus(machine(), a, "0");
  demand_of_this_machine(first);
  if (first) (void)visible_environment(machine(), a, first->gpus);
}

void gpu_option(std::string_view bytes) {
  const auto choice = choose_gpus(machine(), {}, bytes);
  demand_of_this_machine(choice);
  if (!choice) return;
  std::set<std::pair<int, std::string>> once;
  for (const auto& gpu : choice->gpus) demand(once.emplace(gpu.gpu, gpu.mig_uuid).second, "a GPU was chosen twice");
}

void node_spec(std::string_view bytes) {
  const auto find = [](std::string_view) -> Result<NodeSet> { return NodeSet{1}; };
  (void)parse_node_spec(bytes, NodeSet{0, 1}, NodeSet{0, 1, 2}, find);
  (void)parse_cpu_spec(bytes, CpuSet::range(0, 7), CpuSet::range(0, 15));
  (void)parse_pci_spec(bytes);
}

/// Lines "NAME=value".
void rank_variables(std::string_view bytes) {
  std::map<std::string, std::string> environment;
  for (const auto line : split_lines(bytes))
    if (const auto at = line.find('='); at != line.npos)
      environment[std::string(line.substr(0, at))] = std::string(line.substr(at + 1));
  const auto rank = find_local_rank(environment);
  demand(!rank || rank->rank >= 0, "a negative rank");
  const auto size = find_local_size(environment);
  demand(!size || *size > 0, "a size that is none");
}

}  // namespace

std::vector<Target> job_targets() {
  return {{"visible_devices", "CUDA_VISIBLE_DEVICES and its like", visible_devices},
          {"gpu_option", "--gpu", gpu_option},
          {"node_spec", "numactl's node and CPU specifications", node_spec},
          {"rank_variables", "rank variables of launchers", rank_variables}};
}

}  // namespace numapin::fuzz
