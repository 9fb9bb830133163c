// Core against core: a cache line that goes to and fro; a thread that moves.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "bench/memory.h"
#include "bench/sampling.h"
#include "bench/stream.h"
#include "bench/team.h"
#include "os/kernel.h"

namespace numapin {
namespace {

/// Both threads of the pair write the one line in turn; returns ns one way.
Sample bounce(Team& pair, int rounds) {
  struct alignas(128) Line {  // two lines: the neighbour is prefetched with it on some processors
    std::atomic<int> turn{0};
  } line;
  double seconds = 0;
  const int preempted = pair.run([&](int me) {
    const double start = now_seconds();
    for (int i = 0; i < rounds; ++i) {
      const int mine = 2 * i + me;
      // A partner without a CPU (a shared machine) would have us spin for a whole time slice: let others run, seldom.
      for (int spins = 0; line.turn.load(std::memory_order_acquire) != mine;)
        if (++spins > 100'000) std::this_thread::yield(), spins = 0;
      line.turn.store(mine + 1, std::memory_order_release);
    }
    if (me == 0) seconds = now_seconds() - start;
  });
  return {seconds * 1e9 / (2.0 * rounds), preempted != 0};
}

std::vector<CpuId> cores_of_all(const System& s) {
  std::vector<CpuId> all;
  for (const NodeId node : cpu_nodes(s.machine))
    for (const CpuId cpu : cpus_to_measure(s, node)) all.push_back(cpu);
  return all;
}

constexpr std::size_t kWorkingSet = 128 << 10;  // fits every L2 of today's servers

double read_ns(char* data) {
  const double start = now_seconds();
  stream_kernels().front().read(data, data, data, kWorkingSet);
  return (now_seconds() - start) * 1e9;
}

Sample move_once(char* data, CpuId from, CpuId to) {
  RealKernel kernel;
  const OnCpu here(from);
  double hot = 0;
  for (int i = 0; i < 3; ++i) hot = read_ns(data);
  const long before = times_preempted();
  const double start = now_seconds();
  kernel.set_affinity(0, CpuSet::of(to));
  read_ns(data);
  const double cold = (now_seconds() - start) * 1e9;
  // The move itself counts as one switch.
  return {cold - hot, times_preempted() > before + 1};
}

}  // namespace

Result<std::vector<Measurement>> bench_cores(const System& s, bool quick, const BenchProgress& progress) {
  const auto cpus = cores_of_all(s);
  if (cpus.size() < 2) return fail(Error::Kind::kUnsupported, "measure core to core: only one core may be used");
  const SamplePlan plan{quick ? 2 : 3, 2, 0.05, 4};
  const double pairs = static_cast<double>(cpus.size() * (cpus.size() - 1)) / 2;
  double done = 0;
  std::vector<Measurement> out;
  for (std::size_t i = 0; i < cpus.size(); ++i)
    for (std::size_t j = i + 1; j < cpus.size(); ++j) {
      progress(done++ / pairs, fmt::format("cache line from CPU {} to CPU {}", number(cpus[i]), number(cpus[j])));
      NUMAPIN_TRY(auto pair, Team::make({cpus[i], cpus[j]}));
      Measurement m;
      m.metric = Metric::kCoreBounce;
      m.cpu = cpus[i];
      m.peer_cpu = cpus[j];
      m.threads = 2;
      take_samples(m, plan, [&] { return bounce(pair, quick ? 300 : 1000); });
      out.push_back(std::move(m));
    }
  return out;
}

std::vector<Measurement> bench_migration(const System& s, bool quick) {
  std::vector<Measurement> out;
  std::vector<char> memory(kWorkingSet + 64, 1);
  char* data = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
  for (const NodeId from : cpu_nodes(s.machine))
    for (const NodeId to : cpu_nodes(s.machine)) {
      const auto leaving = cpus_to_measure(s, from), arriving = cpus_to_measure(s, to);
      if (from == to || leaving.empty() || arriving.empty()) continue;
      Measurement m;
      m.metric = Metric::kMigration;
      m.cpu = leaving.front();
      m.peer_cpu = arriving.front();
      m.bytes = kWorkingSet;
      take_samples(m, quick ? kQuick : SamplePlan{15, 5, 0.1, 2}, [&] { return move_once(data, *m.cpu, *m.peer_cpu); });
      out.push_back(std::move(m));
    }
  return out;
}

}  // namespace numapin
