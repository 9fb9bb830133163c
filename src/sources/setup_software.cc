// Modules, daemons, schedulers' files and NVIDIA's driver, as far as they tell how jobs are placed.
#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "base/text.h"
#include "gpu/nvml.h"
#include "sources/read.h"
#include "sources/setup.h"

namespace numapin {
namespace {

using sources::entries;
using sources::read_text;

/// The first of the files that can be read.
std::optional<std::string> first_file(const FileTree& tree, const std::vector<std::string>& paths, std::string& path) {
  for (const auto& candidate : paths) {
    auto text = tree.read(candidate);
    if (!text) continue;
    path = candidate;
    return std::move(*text);
  }
  return std::nullopt;
}

std::vector<std::string> program_names(const FileTree& tree) {
  std::set<std::string> names;
  for (const int pid : list_processes(tree))
    if (auto name = read_text(tree, "/proc/" + std::to_string(pid) + "/comm")) names.insert(std::move(*name));
  return {names.begin(), names.end()};
}

/// Command line of the first process of that name, blanks between arguments.
std::string command_of(const FileTree& tree, std::string_view name) {
  for (const int pid : list_processes(tree)) {
    const auto dir = "/proc/" + std::to_string(pid);
    if (read_text(tree, dir + "/comm") != name) continue;
    auto line = tree.read(dir + "/cmdline").value_or("");
    std::replace(line.begin(), line.end(), '\0', ' ');
    return line;
  }
  return "";
}

void read_nvml(const NvmlApi& nvml, const Machine& m, NvidiaFacts& out) {
  int version = 0;
  if (nvml.cuda_version != nullptr && nvml.cuda_version(&version) == kNvmlSuccess && version > 0) out.cuda_version = version;
  for (const auto& gpu : m.gpus) {
    NvmlDevice device = nullptr;
    if (!gpu.nvml_index || nvml.device_by_index(static_cast<unsigned>(*gpu.nvml_index), &device) != kNvmlSuccess) continue;
    int on = 0;
    if (nvml.persistence_mode != nullptr && nvml.persistence_mode(device, &on) == kNvmlSuccess) out.persistence[gpu.index] = on != 0;
    unsigned current = 0, pending = 0;
    if (nvml.mig_mode != nullptr && nvml.mig_mode(device, &current, &pending) == kNvmlSuccess) out.mig[gpu.index] = {current != 0, pending != 0};
  }
}

/// "cuda" : {"name" : "CUDA SDK", "version" : "12.4.1"}: the first version of the file is that of CUDA itself.
std::optional<std::string> toolkit_version(const FileTree& tree) {
  if (const auto json = tree.read("/usr/local/cuda/version.json")) {
    auto at = json->find("\"cuda\"");
    at = at == json->npos ? at : json->find("\"version\"", at);
    const auto open = at == json->npos ? at : json->find('"', json->find(':', at));
    const auto close = open == json->npos ? open : json->find('"', open + 1);
    if (close != json->npos) return json->substr(open + 1, close - open - 1);
  }
  const auto text = read_text(tree, "/usr/local/cuda/version.txt");  // before CUDA 11.1: "CUDA Version 10.2.89"
  constexpr std::string_view kWords = "CUDA Version ";
  if (text && text->starts_with(kWords)) return text->substr(kWords.size());
  return std::nullopt;
}

}  // namespace

SoftwareFacts read_software_facts(const FileTree& tree, const Machine& m, const NvmlApi* nvml, bool in_container,
                                  const std::map<std::string, std::string>& env) {
  SoftwareFacts s;
  s.modules = entries(tree, "/sys/module");
  // Process 2 is kthreadd wherever all processes are seen: not in a namespace of its own, nor under hidepid.
  if (!in_container && read_text(tree, "/proc/2/comm") == "kthreadd") s.programs = program_names(tree);
  std::vector<std::string> slurm = {"/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/usr/local/etc/slurm.conf", "/run/slurm/conf/slurm.conf"};
  if (const auto named = env.find("SLURM_CONF"); named != env.end()) slurm.insert(slurm.begin(), named->second);
  s.slurm_conf = first_file(tree, slurm, s.slurm_conf_path);
  if (s.slurm_conf)
    s.gres_conf = first_file(tree, {s.slurm_conf_path.substr(0, s.slurm_conf_path.rfind('/')) + "/gres.conf"}, s.gres_conf_path);
  s.kubelet_config = first_file(tree, {"/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet/kubelet-config.json", "/etc/kubernetes/kubelet/config.json", "/var/lib/kubelet/kubeconfig.yaml"}, s.kubelet_config_path);
  if (s.kubelet_config) s.kubelet_command = command_of(tree, "kubelet");
  if (const auto version = tree.read("/proc/driver/nvidia/version"))
    if (const auto lines = split_lines(*version); !lines.empty()) s.nvidia.kernel_module = std::string(trim(lines[0]));
  s.nvidia.toolkit_version = toolkit_version(tree);
  if (nvml != nullptr) read_nvml(*nvml, m, s.nvidia);
  return s;
}

}  // namespace numapin
