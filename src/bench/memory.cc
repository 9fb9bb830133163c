#include "bench/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <tuple>

#include "base/units.h"
#include "bench/chase.h"
#include "bench/sampling.h"
#include "bench/stream.h"
#include "bench/team.h"
#include "os/node_buffer.h"
#include "os/room.h"

namespace numapin {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kLeastBuffer = 8 * kMiB;  // below this every processor of today answers from its caches

/// One thread's part of the arrays, and how far it has walked: the next sample goes on there, so that a short one does
/// not read what the last one left in the caches.
struct Walk {
  char *a = nullptr, *b = nullptr, *c = nullptr;
  std::uint64_t bytes = 0, at = 0;
};

/// Cuts `bytes` at `data` into arrays, and each array into parts for `threads`.
std::vector<Walk> cut(char* data, std::uint64_t bytes, Metric metric, int threads) {
  const auto arrays = static_cast<std::uint64_t>(arrays_of(metric));
  const auto n = static_cast<std::uint64_t>(threads);
  const auto part = bytes / arrays / n / kStreamStep * kStreamStep;
  std::vector<Walk> walks(n);
  for (std::uint64_t i = 0; i < n; ++i) {
    char* at = data + i * part;
    walks[i] = {at, at + n * part, at + 2 * n * part, part, 0};
    if (arrays < 3) walks[i].c = at;
    if (arrays < 2) walks[i].b = at;
  }
  return walks;
}

/// Runs the loop over the walk for `seconds`; returns bytes of one array a second.
double stream_for(Walk& w, StreamLoop loop, double seconds) {
  constexpr std::uint64_t kPiece = 256 << 10;  // some 10 us: the clock is asked seldom, and all end together
  std::uint64_t moved = 0;
  const double start = now_seconds();
  double now = start;
  do {
    const auto piece = std::min(kPiece, w.bytes - w.at);
    loop(w.a + w.at, w.b + w.at, w.c + w.at, piece);
    w.at = w.at + piece < w.bytes ? w.at + piece : 0;
    moved += piece;
    now = now_seconds();
  } while (now - start < seconds);
  return static_cast<double>(moved) / (now - start);
}

Sample stream_sample(Team& team, std::vector<Walk>& walks, StreamLoop loop, Metric metric, double seconds) {
  std::vector<double> rates(walks.size());
  const int preempted = team.run([&](int i) { rates[static_cast<std::size_t>(i)] = stream_for(walks[static_cast<std::size_t>(i)], loop, seconds); });
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return {sum * arrays_of(metric) / 1e9, preempted != 0};
}

/// The fastest kernel for `metric` on this data with this team: wider vectors and stores around the caches help on most
/// processors and hurt on some, so the test says.
const StreamKernel& fastest(Team& team, const NodeBuffer& buffer, Metric metric, double seconds) {
  const StreamKernel* best = &stream_kernels().front();
  double best_rate = 0;
  for (const auto& kernel : stream_kernels()) {
    if (metric == Metric::kRead && kernel.non_temporal) continue;  // the same loop
    auto walks = cut(buffer.data(), buffer.bytes(), metric, team.size());
    double rate = 0;
    for (int i = 0; i < 3; ++i) rate = std::max(rate, stream_sample(team, walks, kernel.loop(metric), metric, seconds).value);
    if (rate > best_rate) best_rate = rate, best = &kernel;
  }
  return *best;
}

constexpr Metric kStreams[] = {Metric::kRead, Metric::kWrite, Metric::kCopy, Metric::kTriad};

class MemoryRun {
 public:
  MemoryRun(const System& s, const FileTree& tree, const MemoryBench& o, const BenchProgress& progress)
      : s_(s), tree_(tree), o_(o), progress_(progress), plan_(o.quick ? kQuick : kFull), seconds_(o.quick ? 0.005 : 0.02) {
    for (const NodeId node : wanted(cpu_nodes(s.machine)))
      if (auto cpus = cpus_to_measure(s, node); !cpus.empty()) cpus_.emplace(node, std::move(cpus));
    targets_ = memory_targets(s.machine, o);
    steps_ = static_cast<double>(cpus_.size()) * (targets_.own.size() * steps_of(false) + targets_.gpu.size() * steps_of(true));
  }

  Result<std::vector<Measurement>> run() {
    if (cpus_.empty()) return fail(Error::Kind::kUnsupported, "measure memory: no CPU of any node may be used");
    if (targets_.own.empty() && targets_.gpu.empty()) return fail(Error::Kind::kUnsupported, "measure memory: no node with memory may be used");
    for (const auto& [node, cpus] : cpus_) {
      NUMAPIN_TRY(auto team, Team::make(cpus));
      NUMAPIN_TRY(auto one, Team::make({cpus.front()}));
      teams_.emplace(node, std::move(team));
      alone_.emplace(node, std::move(one));
    }
    for (const NodeId memory : targets_.own) measure_node(memory, false);
    for (const NodeId memory : targets_.gpu) measure_node(memory, true);
    std::stable_sort(out_.begin(), out_.end(), [](const Measurement& a, const Measurement& b) {
      return std::tie(a.metric, a.cpu_node, a.memory_node) < std::tie(b.metric, b.cpu_node, b.memory_node);
    });
    return std::move(out_);
  }

 private:
  NodeSet wanted(NodeSet nodes) const { return o_.nodes ? nodes & *o_.nodes : nodes; }

  /// Bandwidths and latency; in full also those of one core, and of the machine's own memory the curve and small pages.
  int steps_of(bool gpu_memory) const { return o_.quick ? 5 : gpu_memory ? 9 : 11; }

  void step(NodeId cpu, NodeId memory, std::string_view what) {
    progress_(std::min(1.0, done_++ / std::max(1.0, steps_)), fmt::format("{}: node {} to memory of node {}", what, number(cpu), number(memory)));
  }

  Measurement measurement(Metric metric, NodeId cpu, NodeId memory) const {
    Measurement m;
    m.metric = metric;
    m.cpu_node = cpu;
    m.memory_node = memory;
    return m;
  }

  void skip_node(NodeId memory, bool gpu_memory, const std::string& why) {
    for (const auto& [cpu, cpus] : cpus_)
      for (const Metric metric : {Metric::kRead, Metric::kWrite, Metric::kCopy, Metric::kTriad, Metric::kLatency}) {
        auto m = measurement(metric, cpu, memory);
        m.skipped = why;
        out_.push_back(std::move(m));
      }
    done_ += static_cast<double>(cpus_.size()) * steps_of(gpu_memory);
  }

  void measure_node(NodeId memory, bool gpu_memory) {
    const auto skip = [&](const std::string& why) { skip_node(memory, gpu_memory, why); };
    if (s_.allowance.mems && !s_.allowance.mems->contains(memory)) return skip("this process may not use the node's memory");
    const auto bytes = buffer_size(s_, memory, o_, read_room_means(memory, tree_).cgroup_headroom);
    if (bytes < kLeastBuffer) return skip(fmt::format("only {} of the node may be taken", size_text(bytes)));
    auto huge = NodeBuffer::make(memory, bytes, NodeBuffer::Pages::kHuge);
    if (!huge) return skip(huge.error().message);
    for (const auto& [cpu, cpus] : cpus_) measure_streams(cpu, *huge);
    const auto chased = chase_bytes(huge->bytes());
    void* start = make_chase(huge->data(), chased);
    for (const auto& [cpu, cpus] : cpus_) {
      measure_latency(cpu, *huge, start, chased);
      if (!o_.quick && !gpu_memory) measure_loaded(cpu, *huge, start, chased);
    }
    const bool other_pages = huge->page_bytes() > 64 * 1024;
    if (o_.quick || !other_pages || gpu_memory) return;
    auto small = NodeBuffer::make(memory, chased, NodeBuffer::Pages::kBase);
    if (!small) return;
    start = make_chase(small->data(), chased);
    for (const auto& [cpu, cpus] : cpus_) measure_latency(cpu, *small, start, chased);
  }

  /// 4 x the L3 that one CPU reaches; the rest of the buffer is left to those who make load.
  std::uint64_t chase_bytes(std::uint64_t buffer) const {
    std::uint64_t l3 = 0;
    for (const auto& group : s_.machine.l3) l3 = std::max(l3, group.size_bytes.value_or(0));
    const auto wanted = o_.buffer_bytes ? buffer : std::max<std::uint64_t>(64 * kMiB, (o_.quick ? 2 : 4) * l3);
    return std::min(wanted, buffer / 3 * 2) / kLine * kLine;
  }

  /// The clocks of cores and memory rise over some tenths of a second of work: the first figure waits for that.
  void settle(NodeId cpu, const NodeBuffer& buffer) {
    auto& team = teams_.at(cpu);
    auto walks = cut(buffer.data(), buffer.bytes(), Metric::kRead, team.size());
    if (walks.front().bytes > 0) stream_sample(team, walks, stream_kernels().back().read, Metric::kRead, o_.quick ? 0.05 : 0.3);
  }

  void measure_streams(NodeId cpu, const NodeBuffer& buffer) {
    settle(cpu, buffer);
    for (const Metric metric : kStreams) {
      step(cpu, buffer.node(), to_string(metric));
      auto& team = teams_.at(cpu);
      if (!fastest_.contains(metric)) fastest_.emplace(metric, &fastest(team, buffer, metric, seconds_ / 2));
      out_.push_back(stream(metric, cpu, buffer, team, *fastest_.at(metric)));
      if (o_.quick || team.size() == 1) continue;
      auto& one = alone_.at(cpu);
      if (!fastest_alone_.contains(metric)) fastest_alone_.emplace(metric, &fastest(one, buffer, metric, seconds_ / 2));
      step(cpu, buffer.node(), fmt::format("{}, one core", to_string(metric)));
      out_.push_back(stream(metric, cpu, buffer, one, *fastest_alone_.at(metric)));
    }
  }

  Measurement stream(Metric metric, NodeId cpu, const NodeBuffer& buffer, Team& team, const StreamKernel& kernel) const {
    auto m = measurement(metric, cpu, buffer.node());
    m.threads = team.size();
    auto walks = cut(buffer.data(), buffer.bytes(), metric, team.size());
    m.bytes = walks.front().bytes * walks.size();
    m.page_bytes = buffer.page_bytes();
    m.how = kernel.name(metric);
    if (walks.front().bytes == 0) m.skipped = "the buffer is too small to share it out";
    else take_samples(m, plan_, [&] { return stream_sample(team, walks, kernel.loop(metric), metric, seconds_); });
    return m;
  }

  Measurement chase_measurement(Metric metric, NodeId cpu, const NodeBuffer& buffer, std::uint64_t chased) const {
    auto m = measurement(metric, cpu, buffer.node());
    m.cpu = cpus_.at(cpu).front();
    m.threads = 1;
    m.bytes = chased;
    m.page_bytes = buffer.page_bytes();
    return m;
  }

  void measure_latency(NodeId cpu, const NodeBuffer& buffer, void*& at, std::uint64_t chased) {
    step(cpu, buffer.node(), fmt::format("latency, {} pages", size_text(buffer.page_bytes())));
    auto m = chase_measurement(Metric::kLatency, cpu, buffer, chased);
    auto& one = alone_.at(cpu);
    take_samples(m, plan_, [&] {
      double ns = 0;
      const int preempted = one.run([&](int) { at = chase(at, loads(), ns); });
      return Sample{ns, preempted != 0};
    });
    out_.push_back(std::move(m));
  }
  std::uint64_t loads() const { return 20'000; }

  /// Latency while the node's other CPUs read memory of the same node, the slower the longer they pause between 4 KiB.
  void measure_loaded(NodeId cpu, const NodeBuffer& buffer, void*& at, std::uint64_t chased) {
    step(cpu, buffer.node(), "loaded latency");
    auto& team = teams_.at(cpu);
    const auto rest = buffer.bytes() - chased;
    if (team.size() < 2 || rest < kMiB) {
      auto m = chase_measurement(Metric::kLoadedLatency, cpu, buffer, chased);
      m.skipped = team.size() < 2 ? "one CPU: nobody is left to make load" : "the buffer is too small";
      return out_.push_back(std::move(m));
    }
    for (const int pause : {0, 50, 200, 1000, 5000}) {
      auto m = chase_measurement(Metric::kLoadedLatency, cpu, buffer, chased);
      m.threads = team.size();
      auto walks = cut(buffer.data() + chased, rest, Metric::kRead, team.size() - 1);
      std::vector<double> loads_seen;
      take_samples(m, plan_, [&] { return loaded_sample(team, walks, pause, at, loads_seen); });
      m.load_gb_per_s = median(loads_seen);
      out_.push_back(std::move(m));
    }
  }

  Sample loaded_sample(Team& team, std::vector<Walk>& walks, int pause, void*& at, std::vector<double>& load) {
    std::atomic<bool> stop{false};
    std::vector<double> rates(walks.size());
    double ns = 0;
    const StreamLoop read = fastest_.at(Metric::kRead)->read;
    const int preempted = team.run([&](int i) {
      if (i == 0) {
        at = chase(at, loads(), ns);
        stop.store(true, std::memory_order_relaxed);
      } else {
        rates[static_cast<std::size_t>(i) - 1] = read_with_pauses(walks[static_cast<std::size_t>(i) - 1], read, pause, stop);
      }
    });
    double sum = 0;
    for (const double rate : rates) sum += rate;
    load.push_back(sum / 1e9);
    return {ns, preempted != 0};
  }

  static double read_with_pauses(Walk& w, StreamLoop read, int pause, const std::atomic<bool>& stop) {
    constexpr std::uint64_t kPiece = 4096;
    std::uint64_t moved = 0;
    const double start = now_seconds();
    while (!stop.load(std::memory_order_relaxed)) {
      const auto piece = std::min(kPiece, w.bytes - w.at);
      read(w.a + w.at, w.a, w.a, piece);
      w.at = w.at + piece < w.bytes ? w.at + piece : 0;
      moved += piece;
      for (int i = 0; i < pause; ++i) asm volatile("");
    }
    return static_cast<double>(moved) / (now_seconds() - start);
  }

  const System& s_;
  const FileTree& tree_;
  const MemoryBench& o_;
  const BenchProgress& progress_;
  const SamplePlan& plan_;
  double seconds_;  ///< a sample
  std::map<NodeId, std::vector<CpuId>> cpus_;
  std::map<NodeId, Team> teams_, alone_;
  MemoryTargets targets_;
  std::map<Metric, const StreamKernel*> fastest_, fastest_alone_;
  std::vector<Measurement> out_;
  double steps_ = 1, done_ = 0;
};

}  // namespace

MemoryTargets memory_targets(const Machine& m, const MemoryBench& options) {
  MemoryTargets t{dram_nodes(m), {}};
  // Nodes kept for MIG instances have no memory; a size that nobody tells is none to be taken from a GPU.
  for (const auto& node : m.nodes)
    if (node.kind.value == MemoryKind::kGpu && node.memory_total_bytes.value_or(0) > 0) t.gpu.insert(node.id);
  if (options.nodes) t.own &= *options.nodes, t.gpu &= *options.nodes;
  return t;
}

std::vector<CpuId> cpus_to_measure(const System& s, NodeId node) {
  CpuSet allowed = cpus_of(s.machine, NodeSet::of(node));
  if (s.allowance.cpus) allowed &= *s.allowance.cpus;
  std::vector<CpuId> cpus;
  for (const auto& core : s.machine.cores) {
    const CpuSet mine = core.cpus & allowed;
    if (!mine.empty()) cpus.push_back(mine.first());
    allowed -= core.cpus;
  }
  cpus.insert(cpus.end(), allowed.begin(), allowed.end());  // CPUs whose core no source tells
  return cpus;
}

std::uint64_t buffer_size(const System& s, NodeId node, const MemoryBench& options, std::optional<std::uint64_t> headroom) {
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  if (const auto* n = find_node(s.machine, node); n && n->memory_free_bytes) most = *n->memory_free_bytes / 4;
  if (headroom) most = std::min(most, *headroom / 4);
  if (options.buffer_bytes) return std::min(most, *options.buffer_bytes);
  std::uint64_t l3 = 0;  // of the node with the most
  for (const NodeId with_cpus : cpu_nodes(s.machine)) {
    std::uint64_t sum = 0;
    for (const auto& group : s.machine.l3)
      if (group.cpus.intersects(cpus_of(s.machine, NodeSet::of(with_cpus)))) sum += group.size_bytes.value_or(0);
    l3 = std::max(l3, sum);
  }
  const std::uint64_t wanted = options.quick ? std::max(64 * kMiB, 2 * l3) : std::max(256 * kMiB, 6 * l3);
  return std::min(most, wanted);
}

Result<std::vector<Measurement>> bench_memory(const System& s, const FileTree& tree, const MemoryBench& options,
                                              const BenchProgress& progress) {
  return MemoryRun(s, tree, options, progress).run();
}

}  // namespace numapin
