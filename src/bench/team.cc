#include "bench/team.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "os/kernel.h"

namespace numapin {

double now_seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

long times_preempted() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

OnCpu::OnCpu(CpuId cpu) {
  RealKernel kernel;
  ok_ = kernel.get_affinity(0, before_) == 0 && kernel.set_affinity(0, CpuSet::of(cpu)) == 0;
}

OnCpu::~OnCpu() {
  if (ok_) RealKernel().set_affinity(0, before_);
}

struct Team::Shared {
  std::vector<CpuId> cpus;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake, finished;
  const std::function<void(int)>* work = nullptr;
  std::uint64_t round = 0;
  int done = 0;
  bool stop = false;
  std::atomic<int> ready{0}, preempted{0}, refused{0};

  /// All threads leave this together. They spin: a sleeping thread would start tens of microseconds late. Where more
  /// threads than CPUs are about (a shared machine), they let others run.
  void meet() {
    ready.fetch_add(1, std::memory_order_acq_rel);
    for (int spins = 0; ready.load(std::memory_order_acquire) < static_cast<int>(cpus.size()); ++spins)
      if (spins > 1000) std::this_thread::yield();
  }

  void serve(int me) {
    if (RealKernel().set_affinity(0, CpuSet::of(cpus[static_cast<std::size_t>(me)])) != 0) refused.fetch_add(1);
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    report_done();
    for (;;) {
      wake.wait(lock, [&] { return stop || round != seen; });
      if (stop) return;
      seen = round;
      lock.unlock();
      meet();
      const long before = times_preempted();
      (*work)(me);
      if (times_preempted() != before) preempted.fetch_add(1);
      lock.lock();
      report_done();
    }
  }

  void report_done() {
    if (++done == static_cast<int>(cpus.size())) finished.notify_all();
  }
  void wait_for_all(std::unique_lock<std::mutex>& lock) {
    finished.wait(lock, [&] { return done == static_cast<int>(cpus.size()); });
  }
};

Team::Team(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {}
Team::Team(Team&&) noexcept = default;
Team& Team::operator=(Team&&) noexcept = default;

Result<Team> Team::make(std::vector<CpuId> cpus) {
  auto shared = std::make_unique<Shared>();
  shared->cpus = std::move(cpus);
  Team team(std::move(shared));  // from here on its destructor ends the threads that there are
  try {
    for (int i = 0; i < team.size(); ++i) team.shared_->threads.emplace_back([s = team.shared_.get(), i] { s->serve(i); });
  } catch (const std::system_error& e) {
    return fail(Error::Kind::kSystem, fmt::format("start a thread on each of {} CPUs: {}", team.size(), e.code().message()),
                "the limit of processes (ulimit -u) or memory is reached");
  }
  std::unique_lock lock(team.shared_->mutex);
  team.shared_->wait_for_all(lock);
  lock.unlock();
  if (const int refused = team.shared_->refused.load(); refused != 0)
    return fail(Error::Kind::kDenied, fmt::format("put a thread on each CPU: refused for {} of {}", refused, team.size()),
                "the CPUs changed meanwhile, or a sandbox forbids sched_setaffinity");
  return team;
}

Team::~Team() {
  if (!shared_) return;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->wake.notify_all();
  for (auto& thread : shared_->threads) thread.join();
}

int Team::size() const { return static_cast<int>(shared_->cpus.size()); }

int Team::run(const std::function<void(int)>& work) {
  std::unique_lock lock(shared_->mutex);
  shared_->work = &work;
  shared_->done = 0;
  shared_->ready.store(0);
  shared_->preempted.store(0);
  ++shared_->round;
  shared_->wake.notify_all();
  shared_->wait_for_all(lock);
  return shared_->preempted.load();
}

}  // namespace numapin
