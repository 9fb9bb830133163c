// A running process as the kernel shows it: threads and masks, pages per node, GPUs it has open.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/file_tree.h"
#include "numapin/machine.h"

namespace numapin {

struct NvmlApi;  // gpu/nvml.h

using NodeBytes = std::map<int, std::uint64_t>;  ///< node number -> bytes
std::uint64_t total_bytes(const NodeBytes& b);
void add_bytes(NodeBytes& to, const NodeBytes& from);

struct ThreadInfo {
  int tid = 0;                       ///< key
  std::string name;                  ///< comm, at most 15 bytes
  char state = '?';                  ///< R S D Z T ... of proc(5)
  CpuSet allowed_cpus;               ///< Cpus_allowed_list; may name CPUs that are offline or do not exist
  std::optional<int> last_cpu;       ///< field 39 of stat
  std::optional<std::uint64_t> voluntary_switches, involuntary_switches;
  std::optional<std::uint64_t> migrations;  ///< se.nr_migrations of /proc/PID/sched, where the kernel has it
  std::uint64_t cpu_ticks = 0;       ///< user + system time in clock ticks (sysconf(_SC_CLK_TCK))
  bool operator==(const ThreadInfo&) const = default;
};

/// Pages of one mapping: one line of numa_maps.
struct Vma {
  std::uint64_t start = 0;           ///< key: address
  std::string policy;                ///< "default", "bind:0", "prefer:1", "interleave:0-1", ...: the mapping's own or, if it has none, the process's
  std::string file;                  ///< path, or "" for anonymous memory
  enum class Use { kAnon, kHeap, kStack, kHuge, kShared, kFile } use = Use::kAnon;
  NodeBytes bytes;
  bool operator==(const Vma&) const = default;
};

struct ProcessMemory {
  /// The four rows of `numastat -p`; private holds all that is none of the other three, file pages too.
  NodeBytes huge, heap, stack, private_;
  NodeBytes anon, shared, file;      ///< parts of private_: anonymous, shared memory, page cache of files
  std::string policy;                ///< what most mappings have: the process's policy
  std::vector<Vma> own_policy;       ///< mappings with pages whose policy differs from `policy`
  std::uint64_t locked_bytes = 0;    ///< VmLck
  std::uint64_t pinned_bytes = 0;    ///< VmPin: RDMA and VFIO pins; the NVIDIA driver's pins are not counted by the kernel
  std::uint64_t device_bytes = 0;    ///< addresses that device drivers mapped (/dev/nvidia0, ...): not the process's memory, and unmovable
  /// Not counted but estimated from so many pages; 0: counted. Then all is in `anon`, and no policy is known.
  std::uint64_t sample_pages = 0;
  std::map<int, std::pair<double, double>> sample_shares;  ///< node -> bounds of its share (95 %), 0 to 1
  NodeBytes total() const;
  /// What can be moved and matters: everything but the page cache of files.
  NodeBytes own() const;
  bool operator==(const ProcessMemory&) const = default;
};

struct ProcessInfo {
  int pid = 0;                       ///< key
  int parent = 0;
  std::string name;
  std::string command;               ///< the command line, blanks between arguments; "" for a kernel thread
  std::optional<int> uid;
  std::uint64_t start_ticks = 0;     ///< since boot; with the pid it names the process for good
  std::optional<std::uint64_t> resident_bytes;  ///< VmRSS: no huge pages of hugetlbfs
  NodeSet allowed_mems;
  std::vector<ThreadInfo> threads;   ///< by tid
  std::optional<ProcessMemory> memory;
  std::vector<int> gpu_minors;       ///< /dev/nvidiaN held open
  std::vector<int> render_minors;    ///< /dev/dri/renderDN held open
  bool kernel_thread = false;        ///< PF_KTHREAD
  bool opens_kfd = false;            ///< /dev/kfd held open
  std::vector<std::string> denied;   ///< what this user may not see: "numa_maps: Permission denied"
  bool operator==(const ProcessInfo&) const = default;
};

/// Sums the lines of /proc/PID/numa_maps. Lines that make no sense are passed over (a process may end while it is read).
/// `page_bytes` is the base page size, used where a line has no kernelpagesize_kB (kernels before 3.0);
/// `huge_page_bytes` likewise for huge mappings.
ProcessMemory parse_numa_maps(std::string_view text, std::uint64_t page_bytes, std::uint64_t huge_page_bytes);
/// One line of it.
std::optional<Vma> parse_numa_maps_line(std::string_view line, std::uint64_t page_bytes, std::uint64_t huge_page_bytes);

/// Fields of /proc/PID/stat; the name may hold blanks and parentheses. Nothing where the text is no such line.
struct ProcStat {
  std::string name;
  char state = '?';
  int parent = 0;
  std::uint64_t user_ticks = 0, system_ticks = 0, start_ticks = 0;
  int threads = 0;
  int last_cpu = 0;
  bool kernel_thread = false;  ///< PF_KTHREAD
  std::uint64_t ticks() const { return user_ticks + system_ticks; }
};
std::optional<ProcStat> parse_proc_stat(std::string_view text);

/// Addresses of a mapping that has pages on certain nodes.
struct StrayRange {
  std::uint64_t start = 0, end = 0;
  std::uint64_t page_bytes = 4096;
  bool operator==(const StrayRange&) const = default;
};
/// The mappings with memory of the process's own (no page cache of files) on `nodes`; empty when it cannot be read.
std::vector<StrayRange> stray_ranges(const FileTree& tree, int pid, const NodeSet& nodes);

struct ProcessDetail {
  bool threads = true;
  bool memory = true;   ///< numa_maps walks every page of the process under its mm lock
  /// Above this VmRSS it is not read.
  std::uint64_t count_up_to_bytes = UINT64_MAX;
};
/// Everything about one process. Error kNotFound when it does not exist (any more), also when it ends while it is read.
Result<ProcessInfo> read_process(const FileTree& tree, int pid, const ProcessDetail& detail = {});
/// Every process id under /proc, ascending.
std::vector<int> list_processes(const FileTree& tree);
/// Who uses which GPU, and who says so.
struct GpuUser {
  int pid = 0;             ///< key
  std::vector<int> gpus;   ///< Gpu::index, ascending
  Source source = Source::kNone;  ///< kNvml, kKfd, or kProcfs (device files held open)
  bool operator==(const GpuUser&) const = default;
};
struct GpuUsers {
  std::vector<GpuUser> users;      ///< by pid
  std::vector<std::string> notes;  ///< "3 processes of other users cannot be looked into", pids NVML gave that are not here
  bool operator==(const GpuUsers&) const = default;
};
/// Every process that uses a GPU, as far as this user may see: NVML's list and KFD's, and where neither speaks the
/// device files that processes hold open; not this process itself. `nvml` may be null. Without `open_files` only what the drivers list.
GpuUsers find_gpu_users(const FileTree& tree, const Machine& m, const NvmlApi* nvml, bool open_files = true);
/// The GPUs behind the device files that a process holds open.
std::vector<int> open_gpus(const Machine& m, const ProcessInfo& p);

/// Parent -> child for every process: one pass over /proc.
std::multimap<int, int> children_by_parent(const FileTree& tree);
/// The children of a process, of all its threads. Empty also where the kernel has no lists of them
/// (CONFIG_PROC_CHILDREN), or the process is gone.
std::vector<int> children_of(const FileTree& tree, int pid);
/// The process and all that descends from it, by number. Reads the kernel's lists of children where there are any, else
/// every process of the machine.
std::vector<int> process_tree(const FileTree& tree, int pid);

}  // namespace numapin
