#include "sources/watch_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"
#include "sources/proc_tree.h"

namespace numapin {
namespace {

Machine two_nodes() {
  auto m = sample::with_nodes({sample::node(0, "0-3", 64), sample::node(1, "4-7", 64)});
  for (int i = 0; i < 2; ++i) {
    m.gpus.push_back(sample::gpu(i, i == 0 ? "0000:17:00.0" : "0000:97:00.0"));
    m.gpus.back().numa_nodes = {NodeSet{i}, Source::kSysfs};
    m.gpus.back().minor = {i, Source::kProcDriver};
  }
  return m;
}

class Sampler : public ::testing::Test {
 protected:
  Sampler() {
    proc.files["/sys/devices/system/node/node0/meminfo"] = "Node 0 MemTotal: 64 kB\nNode 0 MemFree: 32 kB\n";
    proc.files["/sys/devices/system/node/node0/numastat"] = "numa_hit 10\nnuma_miss 2\nnuma_foreign 3\n";
    proc.processes[50] = {.pid = 50, .threads = {{50, 10, 0, 1}, {51, 20, 4, 2}, {52, 0, 1, 0}}, .numa_maps = "7f00 default anon=3 N0=3 kernelpagesize_kB=4\n", .opens = "/dev/nvidia0"};
    proc.processes[60] = {.pid = 60, .threads = {{60, 10, 0}}};
  }
  WatchLook look(double seconds = 1) {
    now += seconds;
    return sampler.look();
  }
  int reads(const std::string& path) { return std::exchange(tree.reads[path], 0); }

  Machine machine = two_nodes();
  sample::FakeProc proc;
  sample::ChangingTree tree{proc};
  double now = 100, cpu = 0;
  std::optional<NodeBytes> estimated;
  WatchSampler sampler{machine, {tree, tree, nullptr, [this] { return now; }, [this] { return cpu += 1e-6; }, [this](int) { return estimated; }}};
};

TEST_F(Sampler, ReadsGpuProcessesWithThreadsMemoryAndVerdict) {
  const auto l = look();
  ASSERT_EQ(l.processes.size(), 1U);
  const auto& p = l.processes[0];
  EXPECT_EQ(p.pid, 50);
  EXPECT_EQ(p.gpus, std::vector<int>{0});
  EXPECT_EQ(p.command, "python3 train.py");
  EXPECT_EQ(p.cpu_ticks, 30U);
  ASSERT_EQ(p.threads.size(), 3U);
  EXPECT_EQ(p.threads[1].last_cpu, 4);
  EXPECT_EQ(p.threads[1].migrations, 2U);
  EXPECT_EQ(p.memory->own, (NodeBytes{{0, 3 * 4096}}));
  EXPECT_EQ(p.verdict.state, PlacementState::kLoose);
  EXPECT_EQ(l.nodes[0].free_bytes, 32U * 1024);
  EXPECT_EQ(l.nodes[0].miss_pages, 2U);
  EXPECT_FALSE(l.nodes[1].free_bytes) << "node 1 has no files here";
}

TEST_F(Sampler, OfThreadsReadsThoseThatRan) {
  auto& threads = proc.processes[50].threads;
  (void)look(0.1);
  threads[1].ticks += 50;
  (void)look(0.1);  // not accounted for: all are read
  (void)reads("/proc/50/task/51/stat"), (void)reads("/proc/50/task/52/stat");
  threads[1].ticks += 50;
  threads[1].migrations = 9;
  const auto l = look(0.1);
  EXPECT_EQ(l.processes[0].threads[1].cpu_ticks, 120U);
  EXPECT_EQ(l.processes[0].threads[1].migrations, 9U);
  EXPECT_EQ(reads("/proc/50/task/51/stat"), 1);
  EXPECT_EQ(reads("/proc/50/task/52/stat"), 0) << "it did not run";
  (void)look(0.1);
  EXPECT_EQ(reads("/proc/50/stat"), 4 + 2) << "once a look; and for the finder and the close look at the start";
}

TEST_F(Sampler, AThreadThatWakesUpIsFoundByTheProcessTime) {
  auto& threads = proc.processes[50].threads;
  for (int i = 0; i < 3; ++i) (void)look();
  threads[2].ticks += 80;
  EXPECT_EQ(look().processes[0].threads[2].cpu_ticks, 80U);
}

TEST_F(Sampler, ThreadsComeAndGo) {
  auto& threads = proc.processes[50].threads;
  (void)look();
  threads.push_back({53, 5, 2, 0});
  EXPECT_EQ(look().processes[0].threads.size(), 4U);
  threads.erase(threads.begin() + 1);
  const auto l = look();
  ASSERT_EQ(l.processes[0].threads.size(), 3U);
  EXPECT_EQ(l.processes[0].threads[1].tid, 52);
}

TEST_F(Sampler, AnotherProcessWithTheSameNumberIsReadAnew) {
  (void)look();
  proc.processes[50].start = 2000;
  proc.processes[50].threads = {{50, 1, 6, 0}};
  proc.processes[50].cpus = "4-7";
  const auto l = look();
  ASSERT_EQ(l.processes.size(), 1U);
  EXPECT_EQ(l.processes[0].start_ticks, 2000U);
  EXPECT_EQ(l.processes[0].threads.size(), 1U);
  EXPECT_EQ(l.processes[0].verdict.state, PlacementState::kWrong);
}

TEST_F(Sampler, WorkersBelongToTheProcessAboveThem) {
  proc.processes[70] = {.pid = 70, .parent = 50, .threads = {{70, 0, 5}}};
  proc.processes[71] = {.pid = 71, .parent = 70, .threads = {{71, 0, 5}}};
  proc.processes[72] = {.pid = 72, .parent = 50, .threads = {{72, 0, 5}}, .opens = "/dev/nvidia1"};
  const auto l = look();
  std::map<int, std::pair<int, std::vector<int>>> seen;
  for (const auto& p : l.processes) seen[p.pid] = {p.user, p.gpus};
  EXPECT_EQ(seen, (decltype(seen){{50, {50, {0}}}, {70, {50, {0}}}, {71, {50, {0}}}, {72, {72, {1}}}}));
}

TEST_F(Sampler, AProcessThatOpensItsGpuLaterIsFound) {
  (void)look();
  proc.processes[60].opens = "/dev/nvidia1";
  std::size_t found = 1;
  for (int i = 0; i < 4 && found == 1; ++i) found = look().processes.size();
  EXPECT_EQ(found, 2U);
}

TEST_F(Sampler, IdleProcessesAreLookedIntoLessAndLess) {
  for (int i = 0; i < 100; ++i) (void)look();
  EXPECT_LE(reads("/proc/60/stat"), 9) << "at 0, 1, 3, 7, 15, 31, 63, 95 seconds";
  EXPECT_GE(reads("/proc/50/stat"), 100);
}

TEST_F(Sampler, CloseLooksKeepToTheirBudget) {
  (void)look();
  const auto seen = [&] { return reads("/proc/50/numa_maps"); };
  EXPECT_EQ(seen(), 1);
  for (int i = 0; i < 60; ++i) (void)look();
  const int cheap = seen();
  EXPECT_GE(cheap, 25) << "every second look or so where it costs nothing";
  // From now on it costs 0.3 s of CPU: a hundred seconds' worth.
  tree.before_read = [&](std::string_view path) {
    if (path.ends_with("numa_maps")) cpu += 0.3;
  };
  for (int i = 0; i < 300; ++i) (void)look();
  const int dear = seen();
  EXPECT_GE(dear, 2);
  EXPECT_LE(dear, 4);
  sampler.look_closely_at(50);
  (void)look();
  EXPECT_EQ(seen(), 1) << "asked for";
}

TEST_F(Sampler, TheMemoryOfALargeProcessIsEstimated) {
  proc.processes[50].resident_kb = 8 << 20;
  estimated = NodeBytes{{0, std::uint64_t{1} << 30}, {1, std::uint64_t{7} << 30}};
  const auto p = look().processes.at(0);
  EXPECT_TRUE(p.memory->sampled);
  EXPECT_EQ(p.memory->own, *estimated);
  EXPECT_THAT(p.verdict.line, ::testing::HasSubstr("88 % of 8.0 GiB on node 1"));
  EXPECT_EQ(reads("/proc/50/numa_maps"), 0);
  estimated = std::nullopt;  // move_pages is refused: counted after all
  sampler.look_closely_at(50);
  EXPECT_FALSE(look().processes.at(0).memory->sampled);
}

/// The process goes away just before the N-th read, for every N.
TEST_F(Sampler, AProcessMayEndBetweenAnyTwoReads) {
  for (int last = 1; last < 60; ++last) {
    const auto kept = proc.processes[50];
    WatchSampler fresh{machine, {tree, tree, nullptr, [this] { return now; }, [this] { return cpu; }, {}}};
    int count = 0;
    tree.before_read = [&](std::string_view) {
      if (++count == last) proc.processes.erase(50);
    };
    (void)fresh.look();
    now += 1;
    (void)fresh.look();
    now += 1;
    tree.before_read = nullptr;
    const bool gone = !proc.processes.contains(50);
    EXPECT_EQ(fresh.look().processes.size(), gone ? 0U : 1U) << "after " << last << " reads";
    proc.processes[50] = kept;
  }
}

TEST_F(Sampler, SaysWhatItMayNotSee) {
  proc.processes[61] = {.pid = 61, .threads = {{61, 0, 0}}, .closed = true};
  EXPECT_THAT(look().notes, ::testing::ElementsAre(::testing::HasSubstr("1 process(es) cannot be looked into")));
}

}  // namespace
}  // namespace numapin
