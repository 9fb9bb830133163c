// docker run and podman run: the CPUs by cpuset, memory nodes by cpuset only where the policy is strict.
#include <fmt/format.h>

#include <algorithm>

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

/// A container is given the GPUs themselves; inside they are all there is, so CUDA's own variable is not set.
void add_devices(const ExportRequest& r, const Placement& p, std::string (*nvidia)(const std::string&),
                 std::vector<std::string>& words) {
  if (const auto devices = value_of(p, "CUDA_VISIBLE_DEVICES"); !devices.empty()) words.push_back(nvidia(devices));
  const auto has = [&](GpuFamily family) {
    return std::any_of(p.gpus.begin(), p.gpus.end(), [&](int g) { return family_of(*gpu_at(r.machine, g)) == family; });
  };
  if (has(GpuFamily::kRocm)) words.emplace_back("--device=/dev/kfd");
  if (has(GpuFamily::kRocm) || has(GpuFamily::kLevelZero)) words.emplace_back("--device=/dev/dri");
  for (const auto& [name, value] : p.env)
    if (!is_nvidia_variable(name)) words.push_back(fmt::format("--env={}", shell_word(name + "=" + value)));
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
    note = fmt::format("# memory {}: {} has no option for it; `numapin run` inside sets it, with --cap-add=SYS_NICE where "
                       "seccomp asks for that\n",
                       describe(p.memory), tool);
  }
  add_devices(r, p, nvidia, words);
  words.push_back(r.command.empty() ? "IMAGE COMMAND" : "IMAGE " + command_words(r, ""));
  return note + join(words, " ");
}

}  // namespace

Result<std::string> export_docker(const ExportRequest& r) {
  return one_command_a_rank(r, [&](const Placement& p) { return run_command(r, p, "docker", docker_gpus); });
}

Result<std::string> export_podman(const ExportRequest& r) {
  return one_command_a_rank(r, [&](const Placement& p) { return run_command(r, p, "podman", podman_gpus); });
}

}  // namespace numapin
