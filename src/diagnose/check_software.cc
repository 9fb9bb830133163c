// Drivers, modes of GPUs, and what schedulers were told.
#include <algorithm>
#include <map>

#include "base/numbers.h"
#include "base/text.h"
#include "diagnose/check_slurm.h"
#include "diagnose/result.h"
#include "diagnose/slurm_conf.h"

namespace numapin::doctor {
namespace {

bool has_gpu_of(const Machine& m, std::uint16_t vendor) {
  return std::any_of(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.vendor == vendor; });
}

// ---- drivers --------------------------------------------------------------------------------------------------------

/// How nvidia-smi is told which GPU: its own numbers leave other makers' cards out.
std::string smi_name(const Gpu& gpu) { return gpu.address ? gpu.address->to_string() : std::to_string(gpu.nvml_index.value_or(gpu.index)); }

std::string_view driver_of(std::uint16_t vendor) {
  switch (vendor) {
    case kNvidia:
      return "nvidia";
    case kAmd:
      return "amdgpu";
    case kIntel:
      return "i915 or xe";
    default:
      return "";
  }
}

CheckResult gpu_driver(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  std::map<std::pair<std::uint16_t, std::string>, std::vector<int>> drivers;  // of a vendor's GPUs
  for (const auto& gpu : m.gpus) {
    const auto* device = gpu.address ? find_pci(m, *gpu.address) : nullptr;
    if (device != nullptr && !driver_of(gpu.vendor).empty()) drivers[{gpu.vendor, device->driver}].push_back(gpu.index);
  }
  if (drivers.empty()) return unknown("the GPUs' drivers are not known");
  std::vector<Finding> found;
  std::string line;
  for (const auto& [of, gpus] : drivers) {
    const auto& [vendor, driver] = of;
    const auto wanted = driver_of(vendor);
    line += (line.empty() ? "driver " : ", ") + driver;
    if (driver.starts_with("vfio") || driver == "pci-stub")
      found.push_back({Severity::kNote, gpus_text(gpus), fmt::format("driver {}: set aside for virtual machines", driver),
                       fmt::format("known; {} to use them here", wanted), "", ""});
    else if (driver == "nouveau")
      found.push_back({Severity::kProblem, gpus_text(gpus), "driver nouveau, which has no CUDA", "NVIDIA's driver",
                       "# install NVIDIA's driver and blacklist nouveau", "# remove it again"});
    else if (driver.empty())
      found.push_back(
          {Severity::kProblem, gpus_text(gpus), "no driver is bound", std::string(wanted),
           fmt::format("# modprobe {}; dmesg tells why it did not take the device", wanted.substr(0, wanted.find(' '))), ""});
  }
  if (m.driver_version) line += fmt::format(", NVIDIA {}", *m.driver_version);
  if (const auto cuda = s.software.nvidia.cuda_version)
    line += fmt::format(", CUDA up to {}.{}", *cuda / 1000, *cuda % 1000 / 10);
  return settle(std::move(found), line);
}

CheckResult driver_library(const Setup& s) {
  const auto& nvidia = s.software.nvidia;
  if (!has_gpu_of(s.system.machine, kNvidia)) return not_here("no NVIDIA GPU");
  if (!nvidia.kernel_module) return unknown("NVIDIA's kernel module is not loaded, or not seen from here");
  if (!nvidia.library_error) return fine("driver and library work together");
  return settle({{Severity::kProblem, "",
                  fmt::format("the kernel module is loaded, and libnvidia-ml.so.1 fails: {}", *nvidia.library_error),
                  "a library of the module's version",
                  "# after an update of the driver: unload and load the module (no GPU process may run), or reboot; in a "
                  "container: NVIDIA_DRIVER_CAPABILITIES=compute,utility",
                  ""}},
                "");
}

CheckResult cuda_toolkit(const Setup& s) {
  const auto& nvidia = s.software.nvidia;
  if (!has_gpu_of(s.system.machine, kNvidia)) return not_here("no NVIDIA GPU");
  if (!nvidia.toolkit_version) return not_here("no CUDA toolkit in /usr/local/cuda");
  const auto major = parse_number<int>(split(*nvidia.toolkit_version, '.').front());
  if (!nvidia.cuda_version || !major) return unknown("the CUDA version that the driver supports is not known");
  if (*major <= *nvidia.cuda_version / 1000)
    return fine(fmt::format("CUDA toolkit {}, the driver supports {}.{}", *nvidia.toolkit_version, *nvidia.cuda_version / 1000,
                            *nvidia.cuda_version % 1000 / 10));
  return settle({{Severity::kWarning, "",
                  fmt::format("CUDA toolkit {} in /usr/local/cuda; the driver supports CUDA {}.{}", *nvidia.toolkit_version,
                              *nvidia.cuda_version / 1000, *nvidia.cuda_version % 1000 / 10),
                  "a driver for that major version, or cuda-compat (data-centre GPUs only)",
                  "# update the driver, or install the toolkit of the driver's version", ""}},
                "");
}

CheckResult persistence(const Setup& s) {
  const auto& modes = s.software.nvidia.persistence;
  if (!has_gpu_of(s.system.machine, kNvidia)) return not_here("no NVIDIA GPU");
  if (modes.empty()) return unknown("NVIDIA's library does not tell");
  std::vector<int> off;
  for (const auto& [gpu, on] : modes)
    if (!on) off.push_back(gpu);
  if (off.empty()) return fine("persistence mode is on");
  std::string mend, undo;
  for (const int index : off) {
    const auto* gpu = gpu_at(s.system.machine, index);
    if (gpu == nullptr) continue;
    mend += fmt::format("{}nvidia-smi -i {} -pm 1", mend.empty() ? "" : "\n", smi_name(*gpu));
    undo += fmt::format("{}nvidia-smi -i {} -pm 0", undo.empty() ? "" : "\n", smi_name(*gpu));
  }
  return settle(
      {{Severity::kNote, gpus_text(off), "persistence mode is off: the driver forgets the GPU when its last user leaves",
        "on, on servers: by nvidia-persistenced at every start, or by hand", mend, undo}},
      "");
}

CheckResult mig(const Setup& s) {
  const auto& m = s.system.machine;
  const auto& modes = s.software.nvidia.mig;
  if (!has_gpu_of(m, kNvidia)) return not_here("no NVIDIA GPU");
  if (modes.empty()) return not_here("no GPU that tells a MIG mode");
  std::vector<Finding> found;
  std::size_t instances = 0;
  for (const auto& [index, mode] : modes) {
    const auto* gpu = gpu_at(m, index);
    if (gpu == nullptr) continue;
    instances += gpu->mig.size();
    const auto about = fmt::format("GPU {}", index);
    if (mode.current != mode.pending)
      found.push_back(
          {Severity::kWarning, about,
           fmt::format("MIG is {}, and will be {} after a reset", mode.current ? "on" : "off", mode.pending ? "on" : "off"),
           "one of the two", fmt::format("# when no program uses it: nvidia-smi -i {} --gpu-reset", smi_name(*gpu)),
           fmt::format("# nvidia-smi -i {} -mig {}", smi_name(*gpu), mode.current ? 1 : 0)});
    else if (mode.current && gpu->mig.empty())
      found.push_back(
          {Severity::kProblem, about, "MIG is on, and it has no instance: programs see no GPU there", "instances, or MIG off",
           fmt::format("# nvidia-smi mig -i {0} -cgi 0 -C   (one instance of all of it), or: nvidia-smi -i {0} -mig 0",
                       smi_name(*gpu)),
           fmt::format("# nvidia-smi mig -i {0} -dci; nvidia-smi mig -i {0} -dgi", smi_name(*gpu))});
  }
  return settle(std::move(found), instances > 0 ? count_text(instances, "MIG instance") : "MIG is off");
}

CheckResult partitions(const Setup& s) {
  std::map<PciAddress, int> parts;
  for (const auto& gpu : s.system.machine.gpus)
    if (gpu.address && gpu.partition) ++parts[*gpu.address];
  std::erase_if(parts, [](const auto& p) { return p.second < 2; });
  if (parts.empty()) return not_here("no GPU is partitioned");
  std::string words;
  for (const auto& [address, count] : parts)
    words += fmt::format("{}{} in {} parts", words.empty() ? "" : ", ", address.to_string(), count);
  return settle({{Severity::kNote, "", words,
                  "known: each part is a GPU with its share of memory and compute (CPX, TPX, ...); parts of one device share its "
                  "link and node",
                  "", ""}},
                "");
}

CheckResult numad(const Setup& s) {
  if (!s.software.programs) return unknown("inside a container the host's programs are not seen");
  const auto& programs = *s.software.programs;
  if (std::find(programs.begin(), programs.end(), "numad") == programs.end()) return fine("numad does not run");
  return settle({{Severity::kWarning, "", "numad runs: it rebinds large processes by itself",
                  "stopped, where jobs are bound by whoever starts them", "systemctl stop numad", "systemctl start numad"}},
                "");
}

// ---- Slurm ----------------------------------------------------------------------------------------------------------

CheckResult slurm_task_plugin(const Setup& s) {
  if (!s.software.slurm_conf) return not_here("no slurm.conf");
  if (s.system.machine.gpus.empty()) return not_here("no GPU");
  const auto plugins = conf_value(*s.software.slurm_conf, "TaskPlugin");
  if (!plugins) return unknown("slurm.conf names no TaskPlugin, and the default differs by version");
  if (auto found = task_plugin_finding(s.software)) return settle({*found}, "");
  return fine("TaskPlugin=" + *plugins);
}

CheckResult slurm_gres(const Setup& s) {
  const auto& m = s.system.machine;
  if (!s.software.gres_conf) return not_here("no gres.conf");
  if (m.gpus.empty()) return not_here("no GPU");
  if (cpu_nodes(m).size() < 2) return fine("one node");
  const auto host = m.hostname.value_or("");
  if (gres_lines(*s.software.gres_conf, host).auto_detect) return fine("AutoDetect finds the cores of each GPU");
  bool judged = false;
  auto found = gres_core_findings(m, *s.software.gres_conf, s.software.gres_conf_path, host, false, judged);
  if (!judged) return unknown("no line of gres.conf names a GPU of this machine whose node is known");
  return settle(std::move(found), "gres.conf gives each GPU cores of its node");
}

// ---- Kubernetes -----------------------------------------------------------------------------------------------------

/// Value of a top-level key of the kubelet's configuration, YAML or JSON, without quotes.
std::optional<std::string> kubelet_value(std::string_view text, std::string_view key) {
  for (const auto line : split_lines(text)) {
    const auto colon = line.find(':');
    if (colon == line.npos) continue;
    const auto bare = [](std::string_view word) {
      word = trim(word);
      while (!word.empty() && (word.front() == '"' || word.front() == '\'' || word.front() == '{')) word = trim(word.substr(1));
      while (!word.empty() && (word.back() == '"' || word.back() == '\'' || word.back() == ',' || word.back() == '}'))
        word = trim(word.substr(0, word.size() - 1));
      return word;
    };
    auto value = line.substr(colon + 1);
    if (const auto comment = value.find(" #"); comment != value.npos) value = value.substr(0, comment);
    if (bare(line.substr(0, colon)) == key) return std::string(bare(value));
  }
  return std::nullopt;
}

CheckResult kubelet_policy(const Setup& s, std::string_view key, std::string_view option, std::string_view good,
                           std::string_view should) {
  const auto& m = s.system.machine;
  if (!s.software.kubelet_config) return not_here("no configuration file of a kubelet");
  if (m.gpus.empty()) return not_here("no GPU");
  if (has_one_node(m)) return fine("one node");
  if (s.software.kubelet_command.find(option) != std::string::npos)
    return fine(fmt::format("{} is among the kubelet's options", option));
  const auto value = kubelet_value(*s.software.kubelet_config, key).value_or("none");
  if (value != "none" && value != "None" && !value.empty()) return fine(fmt::format("{}: {}", key, value));
  return settle({{Severity::kWarning, s.software.kubelet_config_path, fmt::format("{}: none", key), std::string(should),
                  fmt::format("# {}: {}: {}; drain the node, remove /var/lib/kubelet/cpu_manager_state, restart the kubelet",
                              s.software.kubelet_config_path, key, good),
                  fmt::format("# {}: {}: none", s.software.kubelet_config_path, key)}},
                "");
}

CheckResult kubelet_cpus(const Setup& s) {
  return kubelet_policy(s, "cpuManagerPolicy", "--cpu-manager-policy", "static",
                        "static: else every pod floats over all CPUs of the machine");
}
CheckResult kubelet_topology(const Setup& s) {
  return kubelet_policy(s, "topologyManagerPolicy", "--topology-manager-policy", "best-effort",
                        "best-effort, restricted or single-numa-node: else GPUs and CPUs of a pod come from different nodes");
}

constexpr Check kChecks[] = {
    {"gpu-driver", Family::kSoftware, Severity::kProblem, Effect::kBreaks, "GPUs have their drivers", "the GPU cannot be used",
     "A GPU that the kernel sees and no driver took, or that nouveau took. One that is bound to vfio-pci belongs to a virtual "
     "machine.",
     false, gpu_driver},
    {"driver-library", Family::kSoftware, Severity::kProblem, Effect::kBreaks, "driver and library fit each other",
     "no program finds a GPU",
     "After an update of NVIDIA's packages the old kernel module is still loaded and the new library refuses it "
     "(\"Driver/library version "
     "mismatch\"), until the module is loaded anew.",
     false, driver_library},
    {"cuda-toolkit", Family::kSoftware, Severity::kWarning, Effect::kBreaks, "the driver supports the CUDA toolkit",
     "programs built with that toolkit do not start",
     "A driver runs programs of its own CUDA major version and of older ones. Libraries that bring their own CUDA (PyTorch's "
     "wheels) are not "
     "looked at.",
     false, cuda_toolkit},
    {"persistence", Family::kSoftware, Severity::kNote, Effect::kSmall, "persistence mode is on",
     "unmeasured; the first program after a pause waits for the GPU's initialisation, seconds on large machines",
     "Without it the driver shuts a GPU down when no program uses it. Clocks, ECC counters and settings made with nvidia-smi are "
     "lost then.",
     false, persistence},
    {"mig", Family::kSoftware, Severity::kProblem, Effect::kBreaks, "MIG is off, or has instances", "programs see no GPU",
     "A GPU in MIG mode is used through its instances only; with none, CUDA does not list it. A changed mode waits for a reset.",
     false, mig},
    {"gpu-partitions", Family::kSoftware, Severity::kNote, Effect::kUnmeasured, "GPUs are whole", "unmeasured",
     "AMD's Instinct devices may show as several GPUs (CPX, TPX, ...). They have one PCI address, one link and one node "
     "together; tools that "
     "count PCI functions see fewer GPUs than the programs do (mpibind#45).",
     true, partitions},
    {"numad", Family::kSoftware, Severity::kWarning, Effect::kUnmeasured, "no daemon rebinds processes", "unmeasured",
     "numad moves large processes to the node where CPU and memory are free. It knows nothing of GPUs, and overwrites masks.",
     false, numad},
    {"slurm-task-plugin", Family::kSoftware, Severity::kWarning, Effect::kModerate, "Slurm binds tasks",
     "1-10 % typical (PyTorch documentation, torchrun --numa-binding)",
     "task/affinity is what carries --cpu-bind and --mem-bind out; task/cgroup only fences jobs in.", false, slurm_task_plugin},
    {"slurm-gres", Family::kSoftware, Severity::kProblem, Effect::kLarge, "gres.conf knows the GPUs' cores",
     "as gpu-other-node, for every job that relies on Slurm",
     "Slurm places a job beside its GPU by the Cores of gres.conf, in its own count: cores, without hyper-threads, socket by "
     "socket. Without "
     "them, or with those of another machine, GPUs and cores of a job are on different sockets. AutoDetect=nvml or rsmi asks the "
     "driver.",
     false, slurm_gres},
    {"kubelet-cpus", Family::kSoftware, Severity::kWarning, Effect::kModerate, "the kubelet gives pods CPUs of their own",
     "1-10 % typical (PyTorch documentation, torchrun --numa-binding)",
     "With cpuManagerPolicy none no pod has a cpuset. With static, pods of class Guaranteed with whole CPUs get theirs.", false,
     kubelet_cpus},
    {"kubelet-topology", Family::kSoftware, Severity::kWarning, Effect::kModerate, "the kubelet aligns GPUs and CPUs",
     "1-10 % typical (PyTorch documentation, torchrun --numa-binding)",
     "The topology manager takes a pod's CPUs from its GPU's node. single-numa-node rejects pods that do not fit, after they "
     "were scheduled "
     "(TopologyAffinityError); best-effort does not. Devices given by DRA do not take part (kubernetes/website#56232).",
     false, kubelet_topology},
};

}  // namespace

std::span<const Check> software_checks() { return kChecks; }

}  // namespace numapin::doctor
