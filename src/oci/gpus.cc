// Sources: NVIDIA container toolkit, "Environment variables (OCI spec)" and "device lists as volume mounts"; Container
// Device Interface, SPEC.md ("vendor.com/class=name") and its annotations.
#include "oci/gpus.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "plan/gpu_families.h"

namespace numapin::oci {
namespace {

constexpr std::string_view kNvidiaVariable = "NVIDIA_VISIBLE_DEVICES";

std::string variable_of(const Container& c, std::string_view name) {
  const auto it = c.env.find(std::string(name));
  return it == c.env.end() ? "" : it->second;
}

void add(const ChosenGpu& gpu, ContainerGpus& out) {
  if (std::find(out.gpus.begin(), out.gpus.end(), gpu) == out.gpus.end()) out.gpus.push_back(gpu);
}

void add_all(const Machine& m, GpuFamily family, ContainerGpus& out) {
  for (const auto* gpu : gpus_of(m, family)) add({gpu->index, "", {}}, out);
}

/// One name of a list: "0", "GPU-...", "MIG-...", "0:1", "all".
void add_named(const Machine& m, GpuFamily family, std::string_view name, ContainerGpus& out) {
  if (name.empty()) return;
  if (name == "all") return add_all(m, family, out);
  if (const auto found = find_container_gpu(gpus_of(m, family), name)) return add(*found, out);
  out.unresolved.emplace_back(name);
}

/// "nvidia.com/gpu=0": what stands before "/" and behind "=".
struct CdiName {
  std::string_view vendor, device;
};
std::optional<CdiName> parse_cdi(std::string_view text) {
  const auto slash = text.find('/'), equals = text.find('=');
  if (slash == text.npos || equals == text.npos || slash > equals) return std::nullopt;
  if (text.substr(slash + 1, equals - slash - 1) != "gpu") return std::nullopt;
  return CdiName{text.substr(0, slash), text.substr(equals + 1)};
}

std::optional<GpuFamily> family_named(std::string_view vendor) {
  if (vendor.ends_with("nvidia.com")) return GpuFamily::kCuda;  // also runtime.nvidia.com, k8s.device-plugin.nvidia.com
  if (vendor.ends_with("amd.com")) return GpuFamily::kRocm;
  return std::nullopt;  // Intel's names are none of the kernel's numbers; its device files tell
}

void from_cdi(const Machine& m, const Container& c, ContainerGpus& out) {
  const auto names = cdi_devices(c);
  for (const auto& text : names) {
    const auto name = parse_cdi(text);
    const auto family = name ? family_named(name->vendor) : std::nullopt;
    if (family) add_named(m, *family, name->device, out);
  }
  out.from = "CDI " + join(names, ",");
}

void from_volumes(const Machine& m, const Container& c, ContainerGpus& out) {
  constexpr std::string_view kCdi = "cdi/";  // cdi/nvidia.com/gpu/0
  for (std::string_view name : c.volume_gpus) {
    if (name.starts_with(kCdi)) name = name.substr(name.rfind('/') + 1);
    add_named(m, GpuFamily::kCuda, name, out);
  }
  out.from = "volumes " + join(c.volume_gpus, ",");
}

void from_device_files(const Machine& m, const Container& c, ContainerGpus& out) {
  const auto has = [](const std::vector<int>& minors, int minor) {
    return std::find(minors.begin(), minors.end(), minor) != minors.end();
  };
  CpuSet seen;  // for its way to write a list
  for (const auto& gpu : m.gpus) {
    if (!gpu.minor) continue;
    const auto& minors = family_of(gpu) == GpuFamily::kCuda ? c.nvidia_minors : c.render_minors;
    if (has(minors, *gpu.minor)) add({gpu.index, "", {}}, out);
  }
  for (const int minor : c.nvidia_minors) seen.insert(static_cast<CpuId>(std::clamp(minor, 0, kMaxIds - 1)));
  for (const int minor : c.render_minors) seen.insert(static_cast<CpuId>(std::clamp(minor, 0, kMaxIds - 1)));
  out.from = "device files " + seen.to_list();
}

/// Inside, CUDA counts among the container's GPUs alone.
void narrow_by_cuda(const Machine& m, const Container& c, ContainerGpus& out) {
  if (!c.env.contains("CUDA_VISIBLE_DEVICES")) return;
  Machine inside;
  for (const auto& gpu : m.gpus)
    if (std::any_of(out.gpus.begin(), out.gpus.end(), [&](const ChosenGpu& g) { return g.gpu == gpu.index; })) inside.gpus.push_back(gpu);
  Allowance a;
  for (const char* name : {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"})
    if (const auto value = c.env.find(name); value != c.env.end()) a.visible_env[name] = value->second;
  const auto choice = visible_gpus(inside, a);
  if (!choice || choice->gpus.empty() || choice->gpus.size() >= out.gpus.size()) return;
  out.gpus = choice->gpus;
  out.from += fmt::format(", CUDA_VISIBLE_DEVICES={}", variable_of(c, "CUDA_VISIBLE_DEVICES"));
}

}  // namespace

std::string nvidia_list(const Container& c) {
  const auto value = variable_of(c, kNvidiaVariable);
  return value == "void" || value == "none" ? "" : value;
}

std::vector<std::string> cdi_devices(const Container& c) {
  std::vector<std::string> names;
  for (const auto& [key, value] : c.annotations) {
    if (!key.starts_with("cdi.k8s.io/")) continue;
    for (const auto name : split(value, ','))
      if (parse_cdi(trim(name))) names.emplace_back(trim(name));
  }
  return names;
}

ContainerGpus find_gpus(const Machine& m, const Container& c) {
  ContainerGpus out;
  const auto list = nvidia_list(c);
  const bool by_name = !list.empty() && list != "all" && !list.starts_with('/');  // a path: volumes say it
  if (by_name) {
    for (const auto name : split(list, ',')) add_named(m, GpuFamily::kCuda, trim(name), out);
    out.from = fmt::format("{}={}", kNvidiaVariable, list);
  } else if (!c.volume_gpus.empty()) {
    from_volumes(m, c, out);
  } else if (!cdi_devices(c).empty()) {
    from_cdi(m, c, out);
  } else if (!c.nvidia_minors.empty() || !c.render_minors.empty()) {
    from_device_files(m, c, out);
  }
  if (out.gpus.empty() && out.unresolved.empty() && list == "all") {
    add_all(m, GpuFamily::kCuda, out);
    out.from = fmt::format("{}=all", kNvidiaVariable);
  }
  narrow_by_cuda(m, c, out);
  return out;
}

}  // namespace numapin::oci
