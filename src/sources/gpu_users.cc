// Which processes use which GPUs.
#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "gpu/nvml.h"
#include "numapin/process.h"
#include "sources/read.h"

namespace numapin {
namespace {

constexpr std::uint16_t kNvidia = 0x10de;

using Users = std::map<int, std::set<int>>;  // pid -> Gpu::index

bool exists(const FileTree& tree, int pid) { return tree.read("/proc/" + std::to_string(pid) + "/stat").has_value(); }

void add_nvml_processes(int (*call)(NvmlDevice, unsigned*, NvmlProcess*), NvmlDevice device, int gpu, Users& users) {
  if (call == nullptr) return;
  std::vector<NvmlProcess> list(64);
  // The number may grow between the two calls; three tries, then what fits.
  for (int tries = 0; tries < 3; ++tries) {
    auto count = static_cast<unsigned>(list.size());
    const int status = call(device, &count, list.data());
    if (status == kNvmlInsufficientSize) {
      list.resize(count + 64);
      continue;
    }
    if (status != kNvmlSuccess) return;
    for (unsigned i = 0; i < count; ++i) users[static_cast<int>(list[i].pid)].insert(gpu);
    return;
  }
}

Users from_nvml_lists(const Machine& m, const NvmlApi& nvml) {
  Users users;
  for (const auto& gpu : m.gpus) {
    NvmlDevice device = nullptr;
    if (!gpu.nvml_index) continue;
    if (nvml.device_by_index(static_cast<unsigned>(*gpu.nvml_index), &device) != kNvmlSuccess) continue;
    add_nvml_processes(nvml.compute_processes, device, gpu.index, users);
    add_nvml_processes(nvml.graphics_processes, device, gpu.index, users);
  }
  return users;
}

}  // namespace

std::vector<int> open_gpus(const Machine& m, const ProcessInfo& p) {
  std::vector<int> out;
  for (const auto& gpu : m.gpus) {
    if (!gpu.minor) continue;
    const auto& held = gpu.vendor == kNvidia ? p.gpu_minors : p.render_minors;
    if (std::find(held.begin(), held.end(), *gpu.minor) != held.end()) out.push_back(gpu.index);
  }
  return out;
}

GpuUsers find_gpu_users(const FileTree& tree, const Machine& m, const NvmlApi* nvml) {
  GpuUsers out;
  int elsewhere = 0, closed = 0;
  Users listed;
  if (nvml != nullptr) listed = from_nvml_lists(m, *nvml);
  for (const auto& [pid, gpus] : listed) {
    // In a container NVML tells the host's numbers, which mean other processes here, or none.
    if (exists(tree, pid)) out.users.push_back({pid, {gpus.begin(), gpus.end()}, Source::kNvml});
    else ++elsewhere;
  }
  for (const int pid : list_processes(tree)) {
    if (listed.contains(pid)) continue;
    const auto p = read_process(tree, pid, {.threads = false, .memory = false});
    if (!p) continue;
    if (!p->denied.empty() && !p->command.empty()) ++closed;  // a kernel thread has no command line and no GPU
    const auto gpus = open_gpus(m, *p);
    if (!gpus.empty()) out.users.push_back({pid, gpus, Source::kProcfs});
  }
  std::sort(out.users.begin(), out.users.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  if (elsewhere > 0)
    out.notes.push_back(std::to_string(elsewhere) + " process(es) that the driver lists run outside this container");
  if (closed > 0)
    out.notes.push_back(std::to_string(closed) + " process(es) of other users cannot be looked into (run as root to see all)");
  return out;
}

}  // namespace numapin
