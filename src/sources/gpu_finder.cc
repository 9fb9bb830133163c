#include "sources/gpu_finder.h"

#include <algorithm>

#include "sources/gpu_lists.h"

namespace numapin {
namespace {

constexpr double kFirstWait_s = 1, kLongestWait_s = 32;

}  // namespace

GpuUserFinder::GpuUserFinder(const FileTree& tree, const Machine& m, const NvmlApi* nvml, CpuClock cpu)
    : tree_(tree), self_(sources::own_pid(tree)), machine_(m), nvml_(nvml), cpu_(std::move(cpu)) {}

/// False where it has ended.
bool GpuUserFinder::look_into(int pid, double now_s, Known& known) {
  const auto text = tree_.read("/proc/" + std::to_string(pid) + "/stat");
  const auto stat = text ? parse_proc_stat(*text) : std::nullopt;
  if (!stat) return false;
  if (stat->start_ticks != known.start_ticks) known = {};  // another process with its number
  known.start_ticks = stat->start_ticks;
  known.parent = stat->parent;
  known.kernel_thread = stat->kernel_thread;
  known.wait_s = std::clamp(known.wait_s * 2, kFirstWait_s, kLongestWait_s);
  // Not all of those that were there at the start in the same second.
  known.due_s = now_s + known.wait_s * (1 + pid % 8 / 16.0);
  if (known.kernel_thread) return true;
  ProcessInfo p;
  p.pid = pid;
  sources::read_open_devices(tree_, p);
  known.gpus = open_gpus(machine_, p);
  known.closed = !p.denied.empty();
  ++looked_into_;
  return true;
}

void GpuUserFinder::look_again(double now_s, double budget_s) {
  std::vector<std::pair<double, int>> due;
  for (const auto& [pid, known] : known_)
    if (!known.kernel_thread && known.due_s <= now_s) due.emplace_back(known.due_s, pid);
  std::sort(due.begin(), due.end());
  const double start = cpu_();
  for (const auto& [since, pid] : due) {
    if (!look_into(pid, now_s, known_[pid])) known_.erase(pid);
    if (cpu_() - start >= budget_s) return;
  }
}

GpuUserFinder::Found GpuUserFinder::look(double now_s, double budget_s) {
  std::map<int, Known> now;
  const auto pids = list_processes(tree_);
  for (const int pid : pids) {
    auto old = known_.extract(pid);
    if (!old.empty()) now.insert(now.end(), std::move(old));
    else if (Known fresh; look_into(pid, now_s, fresh)) now.emplace_hint(now.end(), pid, std::move(fresh));
  }
  known_ = std::move(now);
  look_again(now_s, budget_s);

  Found found;
  int elsewhere = 0, closed = 0;
  sources::PidGpus listed;
  if (nvml_ != nullptr) listed = sources::nvml_users(machine_, *nvml_);
  auto amd = sources::kfd_users(tree_, machine_);
  for (auto& [pid, gpus] : amd) listed[pid].merge(gpus);
  for (const auto& [pid, gpus] : listed)
    if (!known_.contains(pid)) ++elsewhere;
  for (const auto& [pid, known] : known_) {
    found.children.emplace(known.parent, pid);
    if (pid == self_) continue;
    if (const auto driver = listed.find(pid); driver != listed.end())
      found.users.push_back({pid, {driver->second.begin(), driver->second.end()}, amd.contains(pid) ? Source::kKfd : Source::kNvml});
    else if (!known.gpus.empty()) found.users.push_back({pid, known.gpus, Source::kProcfs});
    else if (known.closed) ++closed;
  }
  found.notes = sources::notes_of_unseen(elsewhere, closed);
  return found;
}

}  // namespace numapin
