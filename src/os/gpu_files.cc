#include "os/gpu_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "base/numbers.h"

namespace numapin {
namespace {

constexpr std::uint16_t kNvidia = 0x10de;

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

/// N of every /dev/nvidiaN.
std::set<int> nvidia_minors(const std::string& dev) {
  std::set<int> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(dev.c_str()), closedir);
  constexpr std::string_view kName = "nvidia";
  for (const dirent* e; dir && (e = readdir(dir.get())) != nullptr;) {
    const std::string_view name = e->d_name;
    if (!name.starts_with(kName)) continue;
    if (const auto minor = parse_number<int>(name.substr(kName.size()))) out.insert(*minor);
  }
  return out;
}

/// Gpu::index -> minor, of the NVIDIA GPUs. Without NVIDIA's /proc/driver files the driver's own order is all there is:
/// it numbers the GPUs as it finds them, bus by bus.
std::map<int, int> minors_of(const Machine& m, const std::string& dev, std::vector<std::string>& notes) {
  std::map<int, int> known;
  std::vector<int> unknown;
  for (const auto& gpu : m.gpus) {
    if (gpu.vendor != kNvidia) continue;
    if (gpu.minor) known[gpu.index] = *gpu.minor;
    else unknown.push_back(gpu.index);
  }
  if (unknown.empty() || !known.empty()) return known;
  const auto files = nvidia_minors(dev);
  if (files.size() != unknown.size()) return known;
  auto minor = files.begin();
  for (const int gpu : unknown) known[gpu] = *minor++;
  if (unknown.size() > 1) notes.emplace_back("device numbers are taken to be in PCI order: no /proc/driver/nvidia/gpus tells them");
  return known;
}

}  // namespace

GpuFiles find_gpu_files(const Machine& m, const std::string& dev) {
  GpuFiles out;
  const auto nvidia = minors_of(m, dev, out.notes);
  std::set<std::uint16_t> has_files;  // vendors
  for (const auto& gpu : m.gpus) {
    std::optional<int> minor;
    if (gpu.vendor != kNvidia) minor = gpu.minor.value;
    else if (const auto it = nvidia.find(gpu.index); it != nvidia.end()) minor = it->second;
    if (!minor) continue;
    const auto path = dev + (gpu.vendor == kNvidia ? "/nvidia" : "/dri/renderD") + std::to_string(*minor);
    if (exists(path)) has_files.insert(gpu.vendor);
    out.may_open[gpu.index] = faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0;
  }
  for (const auto& gpu : m.gpus) {
    // One that another driver has (vfio-pci) has no file; where a vendor has none at all, files tell nothing.
    if (has_files.contains(gpu.vendor)) out.may_open.emplace(gpu.index, false);
    else out.may_open.erase(gpu.index);
  }
  return out;
}

}  // namespace numapin
