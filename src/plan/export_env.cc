// Shell text: variables to source, and torchrun, whose workers bind themselves by a `case` over the local rank.
#include <fmt/format.h>

#include "base/text.h"
#include "plan/export.h"

namespace numapin {
namespace {

std::vector<std::pair<std::string, std::string>> all_variables(const Placement& p) {
  auto variables = p.env;
  if (!p.cpus.empty()) {
    variables.emplace_back("NUMAPIN_CPUS", p.cpus.to_list());
    variables.emplace_back("OMP_NUM_THREADS", std::to_string(p.cores));
  }
  if (!p.memory.nodes.empty()) variables.emplace_back("NUMAPIN_MEMORY_NODES", p.memory.nodes.to_list());
  return variables;
}

std::string exports(const Placement& p, std::string_view separator) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : all_variables(p)) lines.push_back(fmt::format("export {}={}", name, shell_word(value)));
  return lines.empty() ? ":" : join(lines, separator);
}

}  // namespace

Result<std::string> export_env(const ExportRequest& r) {
  if (r.plan.placements.size() == 1) return exports(r.plan.placements[0], "\n") + "\n";
  return case_of_ranks(r.plan, "", [](const Placement& p) { return exports(p, "; "); });
}

Result<std::string> export_torchrun(const ExportRequest& r) {
  // --no-python starts any program as worker; the shell binds and becomes it, before Python has touched a page.
  const auto script = case_of_ranks(r.plan, "", [](const Placement& p) {
    const auto arguments = numactl_arguments(p);
    const std::string env = p.env.empty() ? "" : "env " + env_words(p);
    return fmt::format("exec {}{}\"$@\"", env, arguments.empty() ? "" : fmt::format("numactl {} -- ", arguments));
  });
  return fmt::format("torchrun --standalone --nproc-per-node={} --no-python bash -c {} bash {}\n", r.plan.placements.size(),
                     shell_word(script), command_words(r, "python train.py"));
}

}  // namespace numapin
