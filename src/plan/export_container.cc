// docker run, podman run and Compose files: CPUs by cpuset, memory nodes by cpuset only where the policy is strict.
#include <fmt/format.h>

#include <algorithm>

#include "base/json_text.h"
#include "base/text.h"
#include "plan/export.h"
#include "plan/gpu_families.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

bool is_nvidia_variable(const std::string& name) { return name == "CUDA_VISIBLE_DEVICES" || name == "CUDA_DEVICE_ORDER"; }

std::string value_of(const Placement& p, std::string_view name) {
  const auto it = std::find_if(p.env.begin(), p.env.end(), [&](const auto& e) { return e.first == name; });
  return it == p.env.end() ? "" : it->second;
}

/// Docker reads the value of --gpus as CSV, so a list of devices needs its own quotes inside the shell's.
std::string docker_gpus(const std::string& devices) { return shell_word(fmt::format("--gpus=\"device={}\"", devices)); }

/// Podman names GPUs by the Container Device Interface (nvidia-ctk cdi generate).
std::string podman_gpus(const std::string& devices) {
  std::vector<std::string> words;
  for (const auto device : split(devices, ',')) words.push_back(fmt::format("--device=nvidia.com/gpu={}", device));
  return join(words, " ");
}

bool has_family(const ExportRequest& r, const Placement& p, GpuFamily family) {
  return std::any_of(p.gpus.begin(), p.gpus.end(), [&](int g) { return family_of(*gpu_at(r.machine, g)) == family; });
}

/// A container is given the GPUs themselves; inside they are all there is, so CUDA's own variable is not set.
void add_devices(const ExportRequest& r, const Placement& p, std::string (*nvidia)(const std::string&),
                 std::vector<std::string>& words) {
  if (const auto devices = value_of(p, "CUDA_VISIBLE_DEVICES"); !devices.empty()) words.push_back(nvidia(devices));
  if (has_family(r, p, GpuFamily::kRocm)) words.emplace_back("--device=/dev/kfd");
  if (has_family(r, p, GpuFamily::kRocm) || has_family(r, p, GpuFamily::kLevelZero)) words.emplace_back("--device=/dev/dri");
  for (const auto& [name, value] : p.env)
    if (!is_nvidia_variable(name)) words.push_back(fmt::format("--env={}", shell_word(name + "=" + value)));
}

/// Programs that set no memory policy themselves need no right for it: a policy set outside holds without.
std::string_view inside_words(std::string_view tool) {
  return tool == "podman" ? "podman's own seccomp profile lets it set a policy"
                          : "docker's seccomp profile lets it set a policy only with --cap-add=SYS_NICE";
}

std::string run_command(const ExportRequest& r, const Placement& p, std::string_view tool,
                        std::string (*nvidia)(const std::string&)) {
  std::vector<std::string> words{fmt::format("{} run --rm", tool)};
  std::string note;
  if (!p.cpus.empty()) words.push_back("--cpuset-cpus=" + p.cpus.to_list());
  if (p.memory.mode == MemoryMode::kBind) {
    words.push_back("--cpuset-mems=" + p.memory.nodes.to_list());
  } else if (!p.memory.nodes.empty()) {
    // cpuset.mems is a hard limit: a full node would end in the OOM killer though others are free.
    note = fmt::format("# memory {}: {} has no option for it. --runtime=numapin sets it from outside (docs/containers.md);\n"
                       "# or start `numapin run` inside: {}\n",
                       describe(p.memory), tool, inside_words(tool));
  }
  add_devices(r, p, nvidia, words);
  words.push_back(r.command.empty() ? "IMAGE COMMAND" : "IMAGE " + command_words(r, ""));
  return note + join(words, " ");
}

// ---- Compose (compose-spec, 05-services.md and deploy.md) --------------------------------------------------------------

/// Compose replaces "$NAME" itself; "$$" is a dollar sign.
std::string compose_string(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '$' ? std::string("$$") : std::string(1, c);
  return json_string(escaped);
}

std::string compose_list(const std::vector<std::string>& items) {
  std::vector<std::string> quoted;
  for (const auto& item : items) quoted.push_back(compose_string(item));
  return "[" + join(quoted, ", ") + "]";
}

std::string compose_devices(const ExportRequest& r, const Placement& p) {
  std::string text;
  if (const auto devices = value_of(p, "CUDA_VISIBLE_DEVICES"); !devices.empty()) {
    std::vector<std::string> ids;
    for (const auto device : split(devices, ',')) ids.emplace_back(device);
    text += fmt::format("    deploy:\n      resources:\n        reservations:\n          devices:\n"
                        "            - {{driver: nvidia, capabilities: [gpu], device_ids: {}}}\n", compose_list(ids));
  }
  std::vector<std::string> files;
  if (has_family(r, p, GpuFamily::kRocm)) files.emplace_back("/dev/kfd");
  if (has_family(r, p, GpuFamily::kRocm) || has_family(r, p, GpuFamily::kLevelZero)) files.emplace_back("/dev/dri");
  if (!files.empty()) text += fmt::format("    devices: {}\n", compose_list(files));
  std::vector<std::string> env;
  for (const auto& [name, value] : p.env)
    if (!is_nvidia_variable(name)) env.push_back(name + "=" + value);
  if (!env.empty()) text += fmt::format("    environment: {}\n", compose_list(env));
  return text;
}

std::string compose_service(const ExportRequest& r, std::size_t rank) {
  const auto& p = r.plan.placements[rank];
  const auto name = r.plan.placements.size() == 1 ? std::string("job") : fmt::format("rank{}", rank);
  auto text = fmt::format("  {}:  # {}\n    image: IMAGE\n", name, title_of(r.plan, rank));
  for (const auto& warning : p.warnings) text += fmt::format("    # warning: {}\n", warning);
  if (!r.command.empty()) text += fmt::format("    command: {}\n", compose_list(r.command));
  if (!p.cpus.empty()) text += fmt::format("    cpuset: {}\n", json_string(p.cpus.to_list()));
  if (!p.memory.nodes.empty()) {
    const bool strict = p.memory.mode == MemoryMode::kBind;
    text += fmt::format("    # memory {}: Compose has no key for it; with the wrapper installed (docs/containers.md):\n    # runtime: numapin\n",
                        describe(p.memory));
    if (strict) text += "    # annotations: {numapin.policy: strict}\n";
  }
  return text + compose_devices(r, p);
}

}  // namespace

Result<std::string> export_compose(const ExportRequest& r) {
  std::string text = "services:\n";
  for (std::size_t i = 0; i < r.plan.placements.size(); ++i) text += compose_service(r, i);
  return text + "    # only where a program inside sets memory policies itself (numactl, numapin run):\n    # cap_add: [SYS_NICE]\n";
}

Result<std::string> export_docker(const ExportRequest& r) {
  return one_command_a_rank(r, [&](const Placement& p) { return run_command(r, p, "docker", docker_gpus); });
}

Result<std::string> export_podman(const ExportRequest& r) {
  return one_command_a_rank(r, [&](const Placement& p) { return run_command(r, p, "podman", podman_gpus); });
}

}  // namespace numapin
