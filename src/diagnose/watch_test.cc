#include "diagnose/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"

namespace numapin {
namespace {

constexpr double kTicks = 100;  // a second

/// Two nodes of four CPUs; GPU 0 on node 0, GPU 1 on node 1.
Machine two_nodes() {
  auto m = sample::with_nodes({sample::node(0, "0-3", 64), sample::node(1, "4-7", 64)});
  for (int i = 0; i < 2; ++i) {
    m.gpus.push_back(sample::gpu(i, i == 0 ? "0000:17:00.0" : "0000:97:00.0"));
    m.gpus.back().numa_nodes = {NodeSet{i}, Source::kSysfs};
  }
  return m;
}

ThreadCounters thread(int tid, std::uint64_t ticks, int cpu, std::optional<std::uint64_t> migrations = std::nullopt) {
  return {tid, 500, "worker", ticks, cpu, migrations};
}

ProcessCounters process(std::vector<ThreadCounters> threads, std::vector<int> gpus = {0}) {
  ProcessCounters p;
  p.pid = p.user = 42;
  p.start_ticks = 500;
  p.name = "python3";
  p.gpus = std::move(gpus);
  for (const auto& t : threads) p.cpu_ticks += t.cpu_ticks;
  p.threads = std::move(threads);
  return p;
}

WatchLook look(double time_s, ProcessCounters p) {
  WatchLook l;
  l.time_s = time_s;
  l.processes = {std::move(p)};
  return l;
}

TEST(WatchFrame, SplitsCpuTimeByTheNodeOfEachThread) {
  const auto before = look(10, process({thread(42, 100, 0), thread(43, 100, 4)}));
  const auto now = look(12, process({thread(42, 300, 1), thread(43, 200, 5)}));
  const auto frame = make_frame(two_nodes(), &before, now, kTicks);
  ASSERT_EQ(frame.processes.size(), 1U);
  EXPECT_DOUBLE_EQ(frame.seconds, 2);
  EXPECT_DOUBLE_EQ(*frame.processes[0].cpu_local_percent, 100);
  EXPECT_DOUBLE_EQ(*frame.processes[0].cpu_remote_percent, 50);
  EXPECT_DOUBLE_EQ(*frame.processes[0].cpu_unplaced_percent, 0);
  EXPECT_EQ(frame.processes[0].threads[0].tid, 42) << "the busiest first";
  EXPECT_EQ(frame.processes[0].threads[1].local, false);
}

TEST(WatchFrame, AThreadThatChangedSidesCountsHalfToEach) {
  const auto before = look(0, process({thread(42, 0, 0)}));
  const auto now = look(1, process({thread(42, 100, 7)}));
  const auto p = make_frame(two_nodes(), &before, now, kTicks).processes.at(0);
  EXPECT_DOUBLE_EQ(*p.cpu_local_percent, 50);
  EXPECT_DOUBLE_EQ(*p.cpu_remote_percent, 50);
}

TEST(WatchFrame, WithoutASecondLookNoRateIsKnown) {
  const auto now = look(5, process({thread(42, 100, 0, 7)}));
  const auto p = make_frame(two_nodes(), nullptr, now, kTicks).processes.at(0);
  EXPECT_FALSE(p.cpu_local_percent || p.cpu_remote_percent || p.migrations_per_s || p.threads.at(0).cpu_percent);
}

TEST(WatchFrame, AProcessThatIsNewOrHasAnothersNumberHasNoRates) {
  auto old = process({thread(42, 100000, 0)});
  old.start_ticks = 400;
  const auto before = look(0, old);
  const auto now = look(1, process({thread(42, 100, 0)}));
  EXPECT_FALSE(make_frame(two_nodes(), &before, now, kTicks).processes.at(0).cpu_local_percent);
}

TEST(WatchFrame, AThreadThatBeganMeanwhileCountsWhole) {
  const auto before = look(0, process({thread(42, 100, 0)}));
  const auto now = look(1, process({thread(42, 100, 0), thread(43, 50, 4, 3)}));
  const auto p = make_frame(two_nodes(), &before, now, kTicks).processes.at(0);
  EXPECT_DOUBLE_EQ(*p.cpu_remote_percent, 50);
  EXPECT_DOUBLE_EQ(*p.migrations_per_s, 3);
}

TEST(WatchFrame, TimeOfThreadsThatEndedHasNoPlace) {
  const auto before = look(0, process({thread(42, 0, 0)}));
  auto after = process({thread(42, 10, 0)});
  after.cpu_ticks = 60;
  const auto p = make_frame(two_nodes(), &before, look(1, after), kTicks).processes.at(0);
  EXPECT_DOUBLE_EQ(*p.cpu_local_percent, 10);
  EXPECT_DOUBLE_EQ(*p.cpu_unplaced_percent, 50);
}

TEST(WatchFrame, RoundingOfTheKernelIsNoTime) {
  const auto before = look(0, process({thread(42, 0, 0)}));
  auto after = process({thread(42, 97, 0)});
  after.cpu_ticks = 100;
  EXPECT_DOUBLE_EQ(*make_frame(two_nodes(), &before, look(1, after), kTicks).processes.at(0).cpu_unplaced_percent, 0);
}

TEST(WatchFrame, SumsMigrationsOfTheThreadsWhoseCountIsKnown) {
  const auto before = look(0, process({thread(42, 0, 0, 10), thread(43, 0, 0)}));
  const auto now = look(2, process({thread(42, 0, 0, 16), thread(43, 0, 0)}));
  EXPECT_DOUBLE_EQ(*make_frame(two_nodes(), &before, now, kTicks).processes.at(0).migrations_per_s, 3);
}

TEST(WatchFrame, MemoryIsLocalToAllNodesOfTheGpus) {
  auto p = process({thread(42, 0, 0)});
  p.memory = MemoryPlace{{{0, 300}, {1, 100}}, 7, true};
  auto both = p;
  both.gpus = {0, 1};
  const auto one = make_frame(two_nodes(), nullptr, look(9, p), kTicks).processes.at(0);
  EXPECT_EQ(one.memory_local_bytes, 300U);
  EXPECT_EQ(one.memory_remote_bytes, 100U);
  EXPECT_DOUBLE_EQ(*one.memory_age_s, 2);
  EXPECT_TRUE(one.memory_sampled);
  EXPECT_EQ(make_frame(two_nodes(), nullptr, look(9, both), kTicks).processes.at(0).memory_remote_bytes, 0U);
}

TEST(WatchFrame, WhereTheNodeOfTheGpuIsUnknownNothingIsLocalOrRemote) {
  auto m = two_nodes();
  m.gpus[0].numa_nodes = {};
  auto p = process({thread(42, 0, 0)});
  p.memory = MemoryPlace{{{0, 300}}, 0, false};
  const auto before = look(0, p);
  p.threads[0].cpu_ticks = p.cpu_ticks = 100;
  const auto row = make_frame(m, &before, look(1, p), kTicks).processes.at(0);
  EXPECT_FALSE(row.cpu_local_percent || row.memory_local_bytes || row.threads.at(0).local);
  EXPECT_DOUBLE_EQ(*row.cpu_unplaced_percent, 100);
}

TEST(WatchFrame, ACounterThatWasSetBackHasNoRate) {
  WatchLook before, now;
  now.time_s = 2;
  before.nodes = {{NodeId{0}, 5, 100, 100, 100}, {NodeId{1}, 5, 0, 0, std::nullopt}};
  now.nodes = {{NodeId{0}, 6, 300, 50, 100}, {NodeId{1}, 5, 0, 0, 0}};
  const auto frame = make_frame(two_nodes(), &before, now, kTicks);
  EXPECT_DOUBLE_EQ(*frame.nodes[0].hit_per_s, 100);
  EXPECT_FALSE(frame.nodes[0].miss_per_s);
  EXPECT_DOUBLE_EQ(*frame.nodes[0].foreign_per_s, 0);
  EXPECT_FALSE(frame.nodes[1].foreign_per_s);
  EXPECT_EQ(frame.nodes[0].free_bytes, 6U);
  EXPECT_EQ(frame.nodes[0].cpulist, "0-3");
}

TEST(WatchFrame, AGpuOfANodeWithoutMemoryIsAtHomeOnTheNearest) {
  auto m = two_nodes();
  m.nodes[0].memory_total_bytes = {0, Source::kSysfs};
  m.nodes[0].distances = {{{0, 10}, {1, 20}}, Source::kSysfs};
  auto p = process({thread(42, 0, 0)});
  p.memory = MemoryPlace{{{1, 300}}, 0, false};
  EXPECT_EQ(make_frame(m, nullptr, look(1, p), kTicks).processes.at(0).memory_remote_bytes, 0U);
}

}  // namespace
}  // namespace numapin
