// Who uses a GPU, by each of those who can say it, and parts of /proc/PID: what find_gpu_users(), read_process() and
// `watch` share.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "numapin/process.h"
#include "numapin/visible.h"

namespace numapin::sources {

using PidGpus = std::map<int, std::set<int>>;  ///< pid -> Gpu::index

/// The process lists of NVIDIA's library.
PidGpus nvml_users(const Machine& m, const NvmlApi& nvml);
/// The process list of AMD's KFD, readable for everybody (/sys/class/kfd/kfd/proc, since Linux 5.9).
PidGpus kfd_users(const FileTree& tree, const Machine& m);
/// This process, which opens GPUs by asking their drivers and is no user of them; nothing in a recorded tree.
std::optional<int> own_pid(const FileTree& tree);
/// What `--gpus N` chooses by: a GPU is busy where somebody uses it. `nvml` may be null.
std::vector<GpuUse> gpu_use(const FileTree& tree, const Machine& m, const NvmlApi* nvml);
/// Fills gpu_minors, render_minors, opens_kfd, and `denied` where this user may not look.
void read_open_devices(const FileTree& tree, ProcessInfo& p);
/// se.nr_migrations of /proc/PID/sched.
std::optional<std::uint64_t> parse_migrations(std::string_view sched);
/// numa_maps summed; nothing where it cannot be read.
std::optional<ProcessMemory> read_memory(const FileTree& tree, int pid);
/// "VmLck:  12 kB" of /proc/PID/status.
std::optional<std::uint64_t> status_bytes(std::string_view status, std::string_view name);
/// Locked and pinned memory, from /proc/PID/status.
void fill_unmovable(std::string_view status, ProcessMemory& m);
/// A path of numa_maps or maps that stands for memory, not for a file.
bool is_shared_memory(std::string_view file);
/// `elsewhere` processes that a driver lists are not in this container, into `closed` this user may not look.
std::vector<std::string> notes_of_unseen(int elsewhere, int closed);

}  // namespace numapin::sources
