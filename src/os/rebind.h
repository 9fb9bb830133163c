// Changes a running process: masks of all its threads, pages from node to node. What it was asked to do is plan/rebind.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "numapin/id_set.h"
#include "numapin/result.h"
#include "plan/rebind.h"

namespace numapin {

/// The system calls that change another process. Every function returns 0 or an errno value.
class RebindKernel {
 public:
  virtual ~RebindKernel() = default;
  virtual int set_affinity(int tid, const CpuSet& cpus) = 0;  // sched_setaffinity(2)
  virtual int get_affinity(int tid, CpuSet& cpus) = 0;        // sched_getaffinity(2)
  /// migrate_pages(2): everything of `pid` on node `from`. `failed_pages`: the kernel's own count of those that stayed,
  /// in pages of any size.
  virtual int migrate_pages(int pid, int from, int to, std::uint64_t& failed_pages) = 0;
  /// move_pages(2): `status` gets for each address its node, or an errno below zero. Without `node` nothing moves.
  virtual int move_pages(int pid, const std::vector<std::uint64_t>& addresses, std::optional<int> node,
                         std::vector<int>& status) = 0;
  /// Base pages that this kernel has moved since boot, for all processes (pgmigrate_success of /proc/vmstat).
  virtual std::uint64_t moved_pages() = 0;
};

class RealRebindKernel final : public RebindKernel {
 public:
  int set_affinity(int tid, const CpuSet& cpus) override;
  int get_affinity(int tid, CpuSet& cpus) override;
  int migrate_pages(int pid, int from, int to, std::uint64_t& failed_pages) override;
  int move_pages(int pid, const std::vector<std::uint64_t>& addresses, std::optional<int> node,
                 std::vector<int>& status) override;
  std::uint64_t moved_pages() override;
};

/// Holds on to a process (pidfd_open(2), Linux 5.3): as long as it is alive, its number means it and nobody else.
class ProcessGuard {
 public:
  /// Error kNotFound where there is no such process. On older kernels the guard always says alive: the caller's check
  /// of the start time is then all there is.
  static Result<ProcessGuard> open(int pid);
  ProcessGuard(ProcessGuard&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ProcessGuard& operator=(ProcessGuard&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~ProcessGuard();
  bool alive() const;

 private:
  explicit ProcessGuard(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// ---- masks --------------------------------------------------------------------------------------------------------------

struct BindSteps {
  /// Reads the processes as they are now and says what to change.
  std::function<Result<std::vector<ProcessChange>>()> look;
  /// Keeps what is to be changed, before it is; gets everything of all passes so far.
  std::function<Result<void>(const std::vector<ProcessChange>&)> save;
  /// False once a process has ended and its number may be another's.
  std::function<bool(int pid)> alive = [](int) { return true; };
  /// Lets some time pass. A fork that had begun before its process was changed, and was not done when the processes were
  /// read again, gives a child with the old mask: after this they are read once more. Empty: they are not.
  std::function<void()> pause = {};
};

struct BindRefusal {
  int pid = 0, tid = 0, error = 0;
  CpuSet asked;
};

struct BindReport {
  std::vector<ProcessChange> changes;  ///< every thread seen, in order of processes
  int changed = 0, as_they_were = 0, shaped = 0, ended = 0;
  std::vector<BindRefusal> refused;
  CpuSet left_out;      ///< CPUs that the kernel dropped in silence: outside the cpuset
  int passes = 0;
  bool settled = true;  ///< false: new threads appeared up to the last pass
};

constexpr int kMaxBindPasses = 10;

/// Sets the masks of all threads, and looks again until no thread is new: one that was made between the listing and the
/// change of its maker has the old mask. Errors: those of `look` and `save`; the first refusal where the
/// kernel refuses everything; then nothing was changed.
Result<BindReport> bind_threads(RebindKernel& kernel, const BindSteps& steps);

// ---- pages --------------------------------------------------------------------------------------------------------------

struct MoveTiming {
  double seconds = 0;
  int error = 0;  ///< of migrate_pages(2): the first refusal
};
/// Moves the pages. `progress` (may be empty) is called a few times a second with the bytes that the whole machine has
/// moved meanwhile.
MoveTiming migrate(RebindKernel& kernel, int pid, const std::vector<PageMove>& moves,
                   const std::function<void(std::uint64_t)>& progress);

/// Why pages stayed: share of the asked ones by reason, in the words "shared", "busy or pinned", "no room", ...
struct StayReasons {
  std::uint64_t asked = 0, moved_after_all = 0;  ///< pages
  std::vector<std::pair<std::string, std::uint64_t>> pages;  ///< by reason, most first
};
/// Asks move_pages(2) for pages of `ranges` that are on a node in `from`, at most a fixed number of them, spread over
/// all ranges. Those that can be moved now are.
StayReasons ask_why(RebindKernel& kernel, int pid, const std::vector<StrayRange>& ranges, const NodeSet& from, int to);

}  // namespace numapin
