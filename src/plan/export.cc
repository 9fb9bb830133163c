#include "plan/export.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "plan/gpu_families.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

constexpr ExportFormat kFormats[] = {
    {"numactl", "a numactl command a rank", export_numactl},
    {"taskset", "a taskset command a rank (CPUs only)", export_taskset},
    {"env", "a shell fragment to source: the variables of each rank", export_env},
    {"docker", "docker run options a rank", export_docker},
    {"podman", "podman run options a rank", export_podman},
    {"compose", "services for a Compose file", export_compose},
    {"k8s", "Kubernetes: kubelet configuration, pod, RuntimeClass", export_k8s},
    {"oci", "what to merge into a container's config.json", export_oci},
    {"slurm", "an srun command with CPU and memory masks", export_slurm},
    {"openmpi-rankfile", "a rankfile for Open MPI 4 and older", export_openmpi_rankfile},
    {"prrte", "a rankfile for PRRTE and Open MPI 5", export_prrte},
    {"torchrun", "a torchrun command that binds each worker before it starts", export_torchrun},
    {"vllm", "options for vllm serve", export_vllm},
    {"monarch", "the proc_bind list of Monarch", export_monarch},
};

}  // namespace

std::span<const ExportFormat> export_formats() { return kFormats; }

Result<std::string> export_plan(std::string_view format, const ExportRequest& request) {
  std::vector<std::string> names;
  for (const auto& known : kFormats) {
    if (known.name == format) return known.write(request);
    names.emplace_back(known.name);
  }
  return bad_input(fmt::format("write the plan as {}: no such format", format), "formats: " + join(names, " "));
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!text.empty() && text.find_first_not_of(kSafe) == text.npos) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string command_words(const ExportRequest& r, std::string_view placeholder) {
  if (r.command.empty()) return std::string(placeholder);
  std::vector<std::string> words;
  for (const auto& word : r.command) words.push_back(shell_word(word));
  return join(words, " ");
}

std::string env_words(const Placement& p) {
  std::string words;
  for (const auto& [name, value] : p.env) words += fmt::format("{}={} ", name, shell_word(value));
  return words;
}

std::string title_of(const Plan& plan, std::size_t rank) {
  const auto& gpus = plan.placements[rank].gpus;
  const auto what = gpus.empty() ? std::string("no GPU") : gpus_words(gpus);
  return plan.placements.size() == 1 ? what : fmt::format("rank {}: {}", rank, what);
}

std::string one_command_a_rank(const ExportRequest& r, const std::function<std::string(const Placement&)>& command) {
  const auto& ranks = r.plan.placements;
  std::string text;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    text += fmt::format("# {}\n", title_of(r.plan, i));
    for (const auto& warning : ranks[i].warnings) text += fmt::format("# warning: {}\n", warning);
    text += fmt::format("{}{}\n", command(ranks[i]), ranks.size() > 1 ? " &" : "");
  }
  return ranks.size() > 1 ? text + "wait\n" : text;
}

std::string case_of_ranks(const Plan& plan, std::string_view indent,
                          const std::function<std::string(const Placement&)>& arm) {
  // The order in which numapin itself looks for the local rank.
  std::string text = fmt::format(
      "{}case \"${{OMPI_COMM_WORLD_LOCAL_RANK:-${{MPI_LOCALRANKID:-${{LOCAL_RANK:-${{SLURM_LOCALID:-}}}}}}}}\" in\n", indent);
  for (std::size_t i = 0; i < plan.placements.size(); ++i)
    text += fmt::format("{}  {}) {} ;;\n", indent, i, arm(plan.placements[i]));
  return text + fmt::format("{}  *) echo \"no placement for local rank '$LOCAL_RANK'\" >&2; exit 1 ;;\n{}esac\n", indent, indent);
}

}  // namespace numapin
