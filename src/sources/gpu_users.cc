// Which processes use which GPUs.
#include <algorithm>
#include <set>

#include "base/numbers.h"
#include "base/text.h"
#include "gpu/nvml.h"
#include "sources/gpu_lists.h"
#include "sources/read.h"

namespace numapin {
namespace {

using sources::PidGpus;

constexpr std::uint16_t kNvidia = 0x10de;
const std::string kKfdTopology = "/sys/class/kfd/kfd/topology/nodes", kKfdProcesses = "/sys/class/kfd/kfd/proc";

bool exists(const FileTree& tree, int pid) { return tree.read("/proc/" + std::to_string(pid) + "/stat").has_value(); }

void add_nvml_processes(int (*call)(NvmlDevice, unsigned*, NvmlProcess*), NvmlDevice device, int gpu, PidGpus& users) {
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

/// KFD's own number of each GPU (gpu_id, a hash) -> Gpu::index, joined by the render minor, which partitions have too.
std::map<std::uint64_t, int> kfd_numbers(const FileTree& tree, const Machine& m) {
  std::map<std::uint64_t, int> out;
  for (const int node : sources::numbered_entries(tree, kKfdTopology, "")) {
    const auto dir = kKfdTopology + "/" + std::to_string(node);
    const auto id = sources::read_number<std::uint64_t>(tree, dir + "/gpu_id");
    const auto properties = tree.read(dir + "/properties");
    if (!id || *id == 0 || !properties) continue;  // 0: a node of CPUs
    for (const auto line : split_lines(*properties)) {
      const auto words = split_words(line);
      if (words.size() != 2 || words[0] != "drm_render_minor") continue;
      for (const auto& gpu : m.gpus)
        if (gpu.vendor != kNvidia && gpu.minor && parse_number<int>(words[1]) == *gpu.minor) out[*id] = gpu.index;
    }
  }
  return out;
}

/// Every process that opened /dev/kfd has an entry for every GPU; it uses those where it has memory or a queue.
std::set<int> kfd_gpus_of(const FileTree& tree, int pid, const std::map<std::uint64_t, int>& numbers) {
  const auto dir = kKfdProcesses + "/" + std::to_string(pid);
  std::set<int> gpus;
  for (const auto& [id, gpu] : numbers)
    if (sources::read_number<std::uint64_t>(tree, dir + "/vram_" + std::to_string(id)).value_or(0) > 0) gpus.insert(gpu);
  for (const auto& queue : sources::entries(tree, dir + "/queues"))
    if (const auto id = sources::read_number<std::uint64_t>(tree, dir + "/queues/" + queue + "/gpuid"))
      if (const auto gpu = numbers.find(*id); gpu != numbers.end()) gpus.insert(gpu->second);
  return gpus;
}

/// By NVML, or amdgpu's files.
std::optional<std::uint64_t> free_memory(const FileTree& tree, const Gpu& gpu, const NvmlApi* nvml) {
  NvmlDevice device = nullptr;
  NvmlMemory memory{};
  if (nvml != nullptr && nvml->memory_info != nullptr && gpu.nvml_index &&
      nvml->device_by_index(static_cast<unsigned>(*gpu.nvml_index), &device) == kNvmlSuccess &&
      nvml->memory_info(device, &memory) == kNvmlSuccess)
    return memory.free;
  if (!gpu.address) return std::nullopt;
  const auto dir = "/sys/bus/pci/devices/" + gpu.address->to_string();
  const auto total = sources::read_number<std::uint64_t>(tree, dir + "/mem_info_vram_total");
  const auto used = sources::read_number<std::uint64_t>(tree, dir + "/mem_info_vram_used");
  return total && used && *used <= *total ? std::optional(*total - *used) : std::nullopt;
}

}  // namespace

PidGpus sources::nvml_users(const Machine& m, const NvmlApi& nvml) {
  PidGpus users;
  for (const auto& gpu : m.gpus) {
    NvmlDevice device = nullptr;
    if (!gpu.nvml_index) continue;
    if (nvml.device_by_index(static_cast<unsigned>(*gpu.nvml_index), &device) != kNvmlSuccess) continue;
    add_nvml_processes(nvml.compute_processes, device, gpu.index, users);
    add_nvml_processes(nvml.graphics_processes, device, gpu.index, users);
  }
  return users;
}

PidGpus sources::kfd_users(const FileTree& tree, const Machine& m) {
  PidGpus users;
  const auto pids = numbered_entries(tree, kKfdProcesses, "");
  if (pids.empty()) return users;
  const auto numbers = kfd_numbers(tree, m);
  for (const int pid : pids)
    if (auto gpus = kfd_gpus_of(tree, pid, numbers); !gpus.empty()) users[pid] = std::move(gpus);
  return users;
}

std::vector<int> open_gpus(const Machine& m, const ProcessInfo& p) {
  std::vector<int> out;
  for (const auto& gpu : m.gpus) {
    if (!gpu.minor) continue;
    const auto& held = gpu.vendor == kNvidia ? p.gpu_minors : p.render_minors;
    if (std::find(held.begin(), held.end(), *gpu.minor) != held.end()) out.push_back(gpu.index);
  }
  return out;
}

GpuUsers find_gpu_users(const FileTree& tree, const Machine& m, const NvmlApi* nvml, bool open_files) {
  GpuUsers out;
  int elsewhere = 0, closed = 0;
  std::set<int> listed;
  if (const auto self = sources::own_pid(tree)) listed.insert(*self);  // asking the driver opens the GPUs
  const auto take = [&](const PidGpus& users, Source source) {
    for (const auto& [pid, gpus] : users) {
      // In a container the driver tells the host's numbers, which mean other processes here, or none.
      if (!exists(tree, pid)) ++elsewhere;
      else if (listed.insert(pid).second) out.users.push_back({pid, {gpus.begin(), gpus.end()}, source});
    }
  };
  if (nvml != nullptr) take(sources::nvml_users(m, *nvml), Source::kNvml);
  take(sources::kfd_users(tree, m), Source::kKfd);
  for (const int pid : open_files ? list_processes(tree) : std::vector<int>{}) {
    if (listed.contains(pid)) continue;
    const auto p = read_process(tree, pid, {.threads = false, .memory = false});
    if (!p) continue;
    if (!p->denied.empty() && !p->command.empty()) ++closed;  // a kernel thread has no command line and no GPU
    const auto gpus = open_gpus(m, *p);
    if (!gpus.empty()) out.users.push_back({pid, gpus, Source::kProcfs});
  }
  std::sort(out.users.begin(), out.users.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  out.notes = sources::notes_of_unseen(elsewhere, closed);
  return out;
}

std::optional<int> sources::own_pid(const FileTree& tree) {
  const auto stat = tree.read("/proc/self/stat");
  return stat ? parse_number<int>(std::string_view(*stat).substr(0, stat->find(' '))) : std::nullopt;
}

std::vector<GpuUse> sources::gpu_use(const FileTree& tree, const Machine& m, const NvmlApi* nvml) {
  const auto users = find_gpu_users(tree, m, nvml).users;
  std::vector<GpuUse> out;
  for (const auto& gpu : m.gpus) {
    const bool busy = std::any_of(users.begin(), users.end(), [&](const GpuUser& u) {
      return std::find(u.gpus.begin(), u.gpus.end(), gpu.index) != u.gpus.end();
    });
    out.push_back({gpu.index, busy, free_memory(tree, gpu, nvml)});
  }
  return out;
}

std::vector<std::string> sources::notes_of_unseen(int elsewhere, int closed) {
  std::vector<std::string> notes;
  if (elsewhere > 0) notes.push_back(std::to_string(elsewhere) + " process(es) that the driver lists run outside this container");
  if (closed > 0) notes.push_back(std::to_string(closed) + " process(es) cannot be looked into (root with CAP_SYS_PTRACE sees all)");
  return notes;
}

}  // namespace numapin
