#include "numapin/sources.h"
#include "sources/builder.h"
#include "sources/recorded.h"
#include "sources/sysfs.h"

namespace numapin {
namespace {

/// The kernel's masks may name CPUs that are offline (a cpuset written by hand) and nodes that do not exist
/// ("Mems_allowed_list: 0-1023" without a cpuset).
void limit_to_machine(const Machine& m, Allowance& a) {
  if (a.cpus) a.cpus.value = *a.cpus & online_cpus(m);
  NodeSet nodes;
  for (const auto& node : m.nodes) nodes.insert(node.id);
  if (a.mems && !nodes.empty()) a.mems.value = *a.mems & nodes;
}

void add_allowance(const FileTree& tree, std::map<std::string, std::string> visible_env, System& s) {
  s.allowance = read_allowance(tree);
  limit_to_machine(s.machine, s.allowance);
  s.allowance.visible_env = visible_env.empty() ? recorded_environment(tree) : std::move(visible_env);
}

}  // namespace

Result<System> discover(const FileTree& tree, const NvmlApi* nvml, std::map<std::string, std::string> visible_env) {
  System s;
  NUMAPIN_TRY(s.machine, from_files(tree));
  if (const auto gpus = nvml != nullptr ? std::optional(from_nvml(*nvml)) : recorded_nvml(tree)) {
    if (*gpus) s.disagreements = merge(s.machine, **gpus);
    else s.machine.notes.push_back("NVML: " + gpus->error().message);
  }
  drop_repeated_names(s.machine);  // two sources may give the same one to two GPUs
  complete(s.machine);
  add_allowance(tree, std::move(visible_env), s);
  return s;
}

Result<System> discover_without_devices(const FileTree& tree, std::map<std::string, std::string> visible_env) {
  System s;
  NUMAPIN_CHECK_OK(sources::add_cpu_list(tree, s.machine));
  sources::add_nodes(tree, s.machine);
  sources::add_cores(tree, s.machine);
  complete(s.machine);
  add_allowance(tree, std::move(visible_env), s);
  return s;
}

}  // namespace numapin
