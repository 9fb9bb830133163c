#include "os/rebind.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "os/kernel.h"

namespace numapin {
namespace {

constexpr int kMpolMfMove = 1 << 1;  // include/uapi/linux/mempolicy.h

int result(long answer) { return answer < 0 ? errno : 0; }

}  // namespace

// ---- the real kernel ------------------------------------------------------------------------------------------------------

int RealRebindKernel::set_affinity(int tid, const CpuSet& cpus) { return RealKernel().set_affinity(tid, cpus); }
int RealRebindKernel::get_affinity(int tid, CpuSet& cpus) { return RealKernel().get_affinity(tid, cpus); }

int RealRebindKernel::migrate_pages(int pid, int from, int to, std::uint64_t& failed_pages) {
  const NodeSet both = NodeSet::of(NodeId{from}) | NodeSet::of(NodeId{to});
  const std::size_t words = both.words().size();
  auto from_words = NodeSet::of(NodeId{from}).words(), to_words = NodeSet::of(NodeId{to}).words();
  from_words.resize(words);
  to_words.resize(words);
  // The kernel takes one off maxnode before it uses it (get_nodes() in mm/mempolicy.c).
  const long answer = syscall(SYS_migrate_pages, pid, words * 64 + 1, from_words.data(), to_words.data());
  if (answer < 0) return errno;
  failed_pages = static_cast<std::uint64_t>(answer);
  return 0;
}

int RealRebindKernel::move_pages(int pid, const std::vector<std::uint64_t>& addresses, std::optional<int> node,
                                 std::vector<int>& status) {
  status.assign(addresses.size(), -ENOENT);
  const std::vector<int> nodes(node ? addresses.size() : 0, node.value_or(0));
  return result(syscall(SYS_move_pages, pid, addresses.size(), addresses.data(), node ? nodes.data() : nullptr, status.data(),
                        node ? kMpolMfMove : 0));
}

std::uint64_t RealRebindKernel::moved_pages() {
  std::uint64_t pages = 0;
  char name[64];
  unsigned long long value = 0;
  FILE* file = std::fopen("/proc/vmstat", "re");
  if (!file) return 0;
  while (std::fscanf(file, "%63s %llu", name, &value) == 2)
    if (std::strcmp(name, "pgmigrate_success") == 0) pages = value;
  std::fclose(file);
  return pages;
}

// ---- guard ----------------------------------------------------------------------------------------------------------------

Result<ProcessGuard> ProcessGuard::open(int pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0U);
  if (fd >= 0) return ProcessGuard(static_cast<int>(fd));
  if (errno == ESRCH || errno == EINVAL)
    return fail(Error::Kind::kNotFound, fmt::format("rebind process {}: there is no such process", pid),
                "numapin inspect lists the processes that use a GPU");
  return ProcessGuard(-1);  // ENOSYS, or a seccomp filter
}

ProcessGuard::~ProcessGuard() {
  if (fd_ >= 0) close(fd_);
}

bool ProcessGuard::alive() const {
  if (fd_ < 0) return true;
  pollfd p{fd_, POLLIN, 0};  // readable once the process has ended
  return poll(&p, 1, 0) == 0;
}

// ---- masks ----------------------------------------------------------------------------------------------------------------

namespace {

struct Binder {
  RebindKernel& kernel;
  const BindSteps& steps;
  BindReport report;
  std::set<int> seen;             // thread numbers
  std::optional<Error> failure;   // the first refusal

  /// Takes over the threads that are new and returns them, each with its process.
  std::vector<std::pair<int, ThreadChange>> take_new(const std::vector<ProcessChange>& now);
  void set(int pid, const ThreadChange& t);
  void refuse(int pid, const ThreadChange& t, int error);
};

std::vector<std::pair<int, ThreadChange>> Binder::take_new(const std::vector<ProcessChange>& now) {
  std::vector<std::pair<int, ThreadChange>> fresh;
  for (const auto& process : now) {
    auto known = std::find_if(report.changes.begin(), report.changes.end(),
                              [&](const auto& p) { return p.pid == process.pid && p.start_ticks == process.start_ticks; });
    if (known == report.changes.end()) {
      report.changes.push_back(process);
      known = std::prev(report.changes.end());
      known->threads.clear();
    }
    for (const auto& t : process.threads) {
      if (!seen.insert(t.tid).second) continue;
      known->threads.push_back(t);
      fresh.emplace_back(process.pid, t);
    }
  }
  return fresh;
}

void Binder::refuse(int pid, const ThreadChange& t, int error) {
  report.refused.push_back({pid, t.tid, error, t.after});
  if (failure) return;
  failure = Error{error == EPERM ? Error::Kind::kDenied : Error::Kind::kSystem,
                  fmt::format("rebind process {}: set CPUs {} of thread {}: {}", pid, t.after.to_list(), t.tid, std::strerror(error)), {}};
  if (error == EPERM) failure->hint = "the process is another user's: run this as that user, or as root (CAP_SYS_NICE)";
  if (error == EINVAL) failure->hint = "none of these CPUs is online and in the process's cpuset";
}

void Binder::set(int pid, const ThreadChange& t) {
  if (t.before == t.after) {
    ++report.as_they_were;
    return;
  }
  if (!steps.alive(pid)) {
    ++report.ended;
    return;
  }
  const int error = kernel.set_affinity(t.tid, t.after);
  if (error == ESRCH) {
    ++report.ended;
    return;
  }
  if (error != 0) return refuse(pid, t, error);
  ++report.changed;
  if (t.own_shape) ++report.shaped;
  CpuSet kept;
  if (kernel.get_affinity(t.tid, kept) == 0) report.left_out |= t.after - kept;
}

}  // namespace

Result<BindReport> bind_threads(RebindKernel& kernel, const BindSteps& steps) {
  Binder binder{kernel, steps, {}, {}, {}};
  auto& report = binder.report;
  bool paused = false;
  while (true) {
    NUMAPIN_TRY(const auto now, steps.look());
    const auto fresh = binder.take_new(now);
    const bool writes = std::any_of(fresh.begin(), fresh.end(), [](const auto& f) { return f.second.before != f.second.after; });
    if (!writes && (fresh.empty() || report.passes > 0)) {  // what is new has inherited the new mask
      report.as_they_were += static_cast<int>(fresh.size());
      if (paused || !steps.pause || report.changed == 0) return std::move(report);
      paused = true;
      steps.pause();
      continue;
    }
    paused = false;
    report.settled = report.passes < kMaxBindPasses;
    if (!report.settled) return std::move(report);
    ++report.passes;
    if (writes) NUMAPIN_CHECK_OK(steps.save(report.changes));
    for (const auto& [pid, thread] : fresh) binder.set(pid, thread);
    if (binder.failure && report.changed == 0) return Unexpected(std::move(*binder.failure));
  }
}

// ---- pages ----------------------------------------------------------------------------------------------------------------

MoveTiming migrate(RebindKernel& kernel, int pid, const std::vector<PageMove>& moves,
                   const std::function<void(std::uint64_t)>& progress) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kTick{200};
  MoveTiming timing;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  const auto start = Clock::now();
  const auto move_all = [&] {
    for (const auto& move : moves) {
      std::uint64_t failed = 0;
      const int error = kernel.migrate_pages(pid, move.from, move.to, failed);
      if (error != 0 && timing.error == 0) timing.error = error;
    }
    timing.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const std::lock_guard lock(mutex);
    done = true;
    ended.notify_one();
  };
  if (!progress) {
    move_all();
    return timing;
  }
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const auto before = kernel.moved_pages();
  std::thread worker;
  try {
    worker = std::thread(move_all);
  } catch (const std::system_error&) {  // no thread to be had: then without progress
    move_all();
    return timing;
  }
  std::unique_lock lock(mutex);
  while (!ended.wait_for(lock, kTick, [&] { return done; })) progress((kernel.moved_pages() - before) * page);
  lock.unlock();
  worker.join();
  return timing;
}

namespace {

constexpr std::size_t kQueryBatch = 4096, kMostAsked = 16384, kMostQueried = 1 << 22;

std::string reason_of(int status) {
  switch (-status) {
    case EBUSY: return "busy or pinned";
    case EACCES: return "shared";
    case ENOMEM: return "no room";
    case EPERM: return "denied";
    default: return status >= 0 ? "unmoved" : std::strerror(-status);
  }
}

struct Asker {
  RebindKernel& kernel;
  int pid;
  const NodeSet& from;
  int to;
  StayReasons out;
  std::map<std::string, std::uint64_t> reasons;

  bool is_stray(int status) const { return status >= 0 && from.contains(NodeId{status}); }

  void ask(const std::vector<std::uint64_t>& strays) {
    std::vector<int> answer, now;
    const int error = kernel.move_pages(pid, strays, to, answer);
    if (kernel.move_pages(pid, strays, std::nullopt, now) != 0) return;
    for (std::size_t i = 0; i < strays.size(); ++i) {
      ++out.asked;
      // The small pages of a huge one answer EBUSY while the whole is on its way: where it is now counts.
      if (!is_stray(now[i])) ++out.moved_after_all;
      else ++reasons[reason_of(error != 0 ? -error : answer[i])];
    }
  }

  void visit(const std::vector<std::uint64_t>& addresses) {
    std::vector<int> status;
    if (kernel.move_pages(pid, addresses, std::nullopt, status) != 0) return;
    std::vector<std::uint64_t> strays;
    for (std::size_t i = 0; i < addresses.size(); ++i)
      if (is_stray(status[i])) strays.push_back(addresses[i]);
    if (strays.size() > kMostAsked - out.asked) strays.resize(kMostAsked - out.asked);
    if (!strays.empty()) ask(strays);
  }
};

}  // namespace

StayReasons ask_why(RebindKernel& kernel, int pid, const std::vector<StrayRange>& ranges, const NodeSet& from, int to) {
  std::uint64_t pages = 0;
  for (const auto& r : ranges) pages += (r.end - r.start) / r.page_bytes;
  const std::uint64_t step = pages / kMostQueried + 1;  // of a huge process every step-th page
  Asker asker{kernel, pid, from, to, {}, {}};
  std::vector<std::uint64_t> batch;
  for (const auto& r : ranges)
    for (auto at = r.start; at < r.end && asker.out.asked < kMostAsked; at += step * r.page_bytes) {
      batch.push_back(at);
      if (batch.size() < kQueryBatch) continue;
      asker.visit(batch);
      batch.clear();
    }
  if (!batch.empty() && asker.out.asked < kMostAsked) asker.visit(batch);
  asker.out.pages.assign(asker.reasons.begin(), asker.reasons.end());
  std::stable_sort(asker.out.pages.begin(), asker.out.pages.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return std::move(asker.out);
}

}  // namespace numapin
