#include "sources/watch_sampler.h"

#include <algorithm>

#include "base/counter.h"
#include "base/numbers.h"
#include "base/text.h"
#include "sources/gpu_lists.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin {
namespace {

constexpr double kMostSaved_s = 0.05;  // of the budget for close looks, while there is nothing to look at

std::string process_dir(int pid) { return "/proc/" + std::to_string(pid); }
std::string thread_dir(int pid, int tid) { return process_dir(pid) + "/task/" + std::to_string(tid); }

}  // namespace

WatchSampler::WatchSampler(const Machine& m, World world)
    : machine_(m), world_(std::move(world)), finder_(world_.tree, m, world_.nvml, world_.cpu), meter_(m, world_.nvml) {}

std::vector<NodeCounters> WatchSampler::read_nodes() const {
  std::vector<NodeCounters> out;
  for (const auto& node : machine_.nodes) {
    NodeCounters c;
    c.id = node.id;
    const auto dir = "/sys/devices/system/node/node" + std::to_string(number(node.id));
    if (const auto text = world_.held.read(dir + "/meminfo")) c.free_bytes = sources::memory_bytes(*text, "MemFree");
    if (const auto text = world_.held.read(dir + "/numastat")) {
      c.hit_pages = counter(*text, "numa_hit");
      c.miss_pages = counter(*text, "numa_miss");
      c.foreign_pages = counter(*text, "numa_foreign");
    }
    out.push_back(c);
  }
  return out;
}

bool WatchSampler::read_thread(Watched& w, int tid) {
  const auto dir = thread_dir(w.counters.pid, tid);
  const auto text = world_.held.read(dir + "/stat");
  const auto stat = text ? parse_proc_stat(*text) : std::nullopt;
  auto& threads = w.counters.threads;
  const auto at = std::lower_bound(threads.begin(), threads.end(), tid, [](const auto& t, int id) { return t.tid < id; });
  const bool known = at != threads.end() && at->tid == tid;
  if (!stat) {
    if (known) threads.erase(at);
    return false;
  }
  auto& t = known ? *at : *threads.insert(at, ThreadCounters{});
  const bool same = known && t.start_ticks == stat->start_ticks;
  const bool ran = !same || t.cpu_ticks != stat->ticks() || t.last_cpu != stat->last_cpu;
  t.tid = tid;
  t.start_ticks = stat->start_ticks;
  t.name = stat->name;
  t.cpu_ticks = stat->ticks();
  t.last_cpu = stat->last_cpu;
  if (ran)
    if (const auto sched = world_.held.read(dir + "/sched")) t.migrations = sources::parse_migrations(*sched);
  if (ran && same) w.busy.insert(tid);
  return true;
}

void WatchSampler::read_all_threads(Watched& w) {
  const auto entries = world_.tree.list(process_dir(w.counters.pid) + "/task");
  if (!entries) return;
  std::set<int> alive;
  for (const auto& entry : *entries)
    if (const auto tid = parse_number<int>(entry); tid && read_thread(w, *tid)) alive.insert(*tid);
  std::erase_if(w.counters.threads, [&](const auto& t) { return !alive.contains(t.tid); });
}

/// False where the process has ended, or its number is another's.
bool WatchSampler::read_quickly(Watched& w) {
  const auto text = world_.held.read(process_dir(w.counters.pid) + "/stat");
  const auto stat = text ? parse_proc_stat(*text) : std::nullopt;
  if (!stat || (w.counters.start_ticks != 0 && stat->start_ticks != w.counters.start_ticks)) return false;
  constexpr std::uint64_t kSlackTicks = 2;
  const auto sum = [&] {
    std::uint64_t ticks = 0;
    for (const auto& t : w.counters.threads) ticks += t.cpu_ticks;
    return ticks;
  };
  const bool first = w.counters.start_ticks == 0;
  const auto before = w.counters.cpu_ticks;
  w.counters.start_ticks = stat->start_ticks;
  w.counters.name = stat->name;
  w.counters.cpu_ticks = stat->ticks();
  const auto busy = std::exchange(w.busy, {});
  const auto threads_before = sum();
  for (const int tid : busy) read_thread(w, tid);
  w.unexplained_ticks += static_cast<std::int64_t>(stat->ticks() - before) - static_cast<std::int64_t>(sum() - threads_before);
  if (!first && stat->threads == w.thread_count && w.unexplained_ticks <= static_cast<std::int64_t>(kSlackTicks)) return true;
  w.thread_count = stat->threads;
  w.unexplained_ticks = 0;
  read_all_threads(w);
  return true;
}

void WatchSampler::look_closely(Watched& w, double now_s) {
  const int pid = w.counters.pid;
  const double start = world_.cpu();
  auto p = read_process(world_.tree, pid, {.threads = true, .memory = false});
  if (!p || p->start_ticks != w.counters.start_ticks) return;
  const bool dear = world_.estimate && p->resident_bytes.value_or(0) > kCountedBytes;
  if (const auto estimate = dear ? world_.estimate(pid) : std::nullopt) {
    p->memory = ProcessMemory{};
    p->memory->anon = p->memory->private_ = *estimate;
    w.counters.memory = MemoryPlace{*estimate, now_s, true};
  } else if (auto memory = sources::read_memory(world_.tree, pid)) {
    w.counters.memory = MemoryPlace{memory->own(), now_s, false};
    p->memory = std::move(*memory);
  } else {
    w.counters.memory = std::nullopt;
  }
  w.counters.command = p->command;
  w.counters.verdict = judge_placement(machine_, *p, w.counters.gpus);
  w.closely_s = now_s;
  close_budget_s_ -= world_.cpu() - start;
}

void WatchSampler::spend_on_close_looks(double now_s) {
  constexpr double kNotBefore_s = 2;
  std::vector<std::pair<double, int>> order;
  for (const auto& [pid, w] : watched_) order.emplace_back(wanted_.contains(pid) ? -1 : w.closely_s, pid);
  std::sort(order.begin(), order.end());
  for (const auto& [when, pid] : order) {
    if (when >= 0 && (close_budget_s_ <= 0 || now_s - when < kNotBefore_s)) break;
    look_closely(watched_.at(pid), now_s);
  }
  wanted_.clear();
}

void WatchSampler::watch(int pid, int user, const std::vector<int>& gpus) {
  auto& w = watched_[pid];
  if (w.present) return;  // met before: below itself and below another
  w.present = true;
  if (w.counters.gpus != gpus) w.closely_s = -1;
  w.counters.pid = pid;
  w.counters.user = user;
  w.counters.gpus = gpus;
  if (read_quickly(w)) return;
  w = Watched{};
  w.counters.pid = pid;
  w.counters.user = user;
  w.counters.gpus = gpus;
  w.present = read_quickly(w);
}

void WatchSampler::look_closely_at(int pid) { wanted_.insert(pid); }

WatchLook WatchSampler::look() {
  WatchLook look;
  look.time_s = world_.clock();
  const double passed = last_s_ < 0 ? 1 : look.time_s - last_s_;
  last_s_ = look.time_s;
  const auto found = finder_.look(look.time_s, kFindShare * passed);
  close_budget_s_ = std::min(close_budget_s_ + kCloseShare * passed, kMostSaved_s);
  for (auto& [pid, w] : watched_) w.present = false;
  std::map<int, const GpuUser*> users;
  for (const auto& user : found.users) users[user.pid] = &user;
  for (const auto& user : found.users) {
    std::vector<int> open = {user.pid};
    while (!open.empty()) {  // the user and what descends from it, but not what uses a GPU itself
      const int pid = open.back();
      open.pop_back();
      watch(pid, user.pid, user.gpus);
      for (auto [it, end] = found.children.equal_range(pid); it != end; ++it)
        if (!users.contains(it->second)) open.push_back(it->second);
    }
  }
  std::erase_if(watched_, [](const auto& entry) { return !entry.second.present; });
  spend_on_close_looks(look.time_s);
  look.nodes = read_nodes();
  look.gpus = meter_.look(look.time_s);
  for (const auto& [pid, w] : watched_) look.processes.push_back(w.counters);
  look.notes = found.notes;
  return look;
}

}  // namespace numapin
