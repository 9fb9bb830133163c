#include "diagnose/watch.h"

#include <algorithm>
#include <cmath>

#include "diagnose/near.h"

namespace numapin {
namespace {

template <class Row, class Key>
const Row* find_by(const std::vector<Row>& rows, Key Row::* key, Key value) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.*key == value; });
  return found == rows.end() ? nullptr : &*found;
}

/// Nothing where either is unknown, or the counter was set back: a device that was reset, a number that is another's.
std::optional<double> rate(std::optional<std::uint64_t> before, std::optional<std::uint64_t> now, double seconds) {
  if (!before || !now || *now < *before || seconds <= 0) return std::nullopt;
  return static_cast<double>(*now - *before) / seconds;
}

NodeRow node_row(const Machine& m, const NodeCounters* before, const NodeCounters& now, double seconds) {
  NodeRow row;
  row.id = number(now.id);
  if (const auto* node = find_node(m, now.id)) {
    if (node->cpus) row.cpulist = node->cpus->to_list();
    row.total_bytes = node->memory_total_bytes.value;
  }
  row.free_bytes = now.free_bytes;
  if (before == nullptr) return row;
  row.hit_per_s = rate(before->hit_pages, now.hit_pages, seconds);
  row.miss_per_s = rate(before->miss_pages, now.miss_pages, seconds);
  row.foreign_per_s = rate(before->foreign_pages, now.foreign_pages, seconds);
  return row;
}

GpuRow gpu_row(const Gpu& gpu, const GpuCounters* now) {
  GpuRow row;
  row.index = gpu.index;
  if (gpu.address) row.address = gpu.address->to_string();
  row.model = gpu.model.value_or("");
  if (gpu.numa_nodes) row.nodes = gpu.numa_nodes->to_list();
  if (now == nullptr) return row;
  row.busy_percent = now->busy_percent;
  row.rx_bytes_per_s = now->rx_bytes_per_s;
  row.tx_bytes_per_s = now->tx_bytes_per_s;
  return row;
}

struct ProcessRates {
  const NearPlace* home;  // null: the GPU's node is unknown
  double seconds, ticks_per_s;
  double local_ticks = 0, remote_ticks = 0, unplaced_ticks = 0;
  std::optional<std::uint64_t> migrations = {};

  std::optional<bool> is_local(int cpu) const {
    if (home == nullptr) return std::nullopt;
    return home->cpus.contains(static_cast<CpuId>(cpu));
  }
  std::optional<double> percent(double ticks) const {
    if (seconds <= 0) return std::nullopt;
    return 100.0 * ticks / ticks_per_s / seconds;
  }
  void place(double ticks, int cpu) {
    const auto local = is_local(cpu);
    (!local ? unplaced_ticks : *local ? local_ticks : remote_ticks) += ticks;
  }
  ThreadRow add(const ThreadCounters* before, const ThreadCounters& now);
};

ThreadRow ProcessRates::add(const ThreadCounters* before, const ThreadCounters& now) {
  ThreadRow row{now.tid, now.name, now.last_cpu, is_local(now.last_cpu), std::nullopt, std::nullopt};
  if (seconds <= 0) return row;
  // A thread without a before began since: all it has is of this interval.
  const std::uint64_t old = before != nullptr ? before->cpu_ticks : 0;
  const double ticks = now.cpu_ticks >= old ? static_cast<double>(now.cpu_ticks - old) : 0;
  place(ticks / 2, now.last_cpu);
  place(ticks / 2, before != nullptr ? before->last_cpu : now.last_cpu);
  row.cpu_percent = percent(ticks);
  const std::optional<std::uint64_t> zero = 0;
  row.migrations_per_s = rate(before != nullptr ? before->migrations : zero, now.migrations, seconds);
  if (row.migrations_per_s)
    migrations = migrations.value_or(0) + *now.migrations - (before != nullptr ? *before->migrations : 0);
  return row;
}

const ThreadCounters* same_thread(const ProcessCounters* before, const ThreadCounters& t) {
  if (before == nullptr) return nullptr;
  const auto at = std::lower_bound(before->threads.begin(), before->threads.end(), t.tid,
                                   [](const ThreadCounters& a, int tid) { return a.tid < tid; });
  return at != before->threads.end() && at->tid == t.tid && at->start_ticks == t.start_ticks ? &*at : nullptr;
}

void fill_memory(const MemoryPlace& memory, const NearPlace* home, double now_s, ProcessRow& row) {
  row.memory_age_s = std::max(0.0, now_s - memory.time_s);
  row.memory_sampled = memory.sampled;
  if (home == nullptr) return;
  row.memory_local_bytes = row.memory_remote_bytes = 0;
  for (const auto& [node, bytes] : memory.own)
    (home->memory.contains(static_cast<NodeId>(node)) ? *row.memory_local_bytes : *row.memory_remote_bytes) += bytes;
}

/// CPU time that no living thread accounts for. The kernel scales user and system time of a process and of its threads
/// apart, so that their sums differ by some ticks without meaning.
double ended_ticks(const ProcessCounters* before, const ProcessCounters& now, double placed) {
  if (before == nullptr || now.cpu_ticks < before->cpu_ticks) return 0;
  const double total = static_cast<double>(now.cpu_ticks - before->cpu_ticks);
  const double rest = total - placed;
  return rest > std::max(3.0, total * 0.05) ? rest : 0;
}

ProcessRow process_row(const Machine& m, const ProcessCounters* before, const ProcessCounters& now, double now_s,
                       double seconds, double ticks_per_s) {
  ProcessRow row;
  row.pid = now.pid;
  row.user = now.user;
  row.name = now.name;
  row.command = now.command;
  row.gpus = now.gpus;
  row.state = std::string(to_string(now.verdict.state));
  row.verdict = now.verdict.line;
  row.mend = now.verdict.mend;
  const auto home = place_near(m, now.gpus);
  const NearPlace* known = home ? &*home : nullptr;
  if (now.memory) fill_memory(*now.memory, known, now_s, row);
  // Of a process that was not there at the last look nothing is known of this interval alone.
  ProcessRates rates{known, before != nullptr ? seconds : 0, ticks_per_s};
  for (const auto& t : now.threads) row.threads.push_back(rates.add(same_thread(before, t), t));
  std::stable_sort(row.threads.begin(), row.threads.end(),
                   [](const auto& a, const auto& b) { return a.cpu_percent.value_or(0) > b.cpu_percent.value_or(0); });
  if (before == nullptr) return row;
  rates.unplaced_ticks += ended_ticks(before, now, rates.local_ticks + rates.remote_ticks + rates.unplaced_ticks);
  row.cpu_local_percent = known != nullptr ? rates.percent(rates.local_ticks) : std::nullopt;
  row.cpu_remote_percent = known != nullptr ? rates.percent(rates.remote_ticks) : std::nullopt;
  row.cpu_unplaced_percent = rates.percent(rates.unplaced_ticks);
  if (rates.migrations) row.migrations_per_s = static_cast<double>(*rates.migrations) / seconds;
  return row;
}

}  // namespace

WatchFrame make_frame(const Machine& m, const WatchLook* before, const WatchLook& now, double ticks_per_s) {
  WatchFrame frame;
  frame.hostname = m.hostname.value_or("");
  frame.seconds = before != nullptr ? now.time_s - before->time_s : 0;
  frame.notes = now.notes;
  for (const auto& node : now.nodes)
    frame.nodes.push_back(node_row(m, before ? find_by(before->nodes, &NodeCounters::id, node.id) : nullptr, node, frame.seconds));
  for (const auto& gpu : m.gpus) frame.gpus.push_back(gpu_row(gpu, find_by(now.gpus, &GpuCounters::index, gpu.index)));
  for (const auto& p : now.processes) {
    const auto* old = before ? find_by(before->processes, &ProcessCounters::pid, p.pid) : nullptr;
    if (old != nullptr && old->start_ticks != p.start_ticks) old = nullptr;
    frame.processes.push_back(process_row(m, old, p, now.time_s, frame.seconds, ticks_per_s));
  }
  std::sort(frame.processes.begin(), frame.processes.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return frame;
}

}  // namespace numapin
