// What `bench memory` sets out to measure, on machines that are not here; and that it does it.
#include "bench/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"
#include "os/node_buffer.h"

namespace numapin {
namespace {

using testing::HasSubstr;

TEST(MemoryTargets, AGpusMemoryApartFromTheMachines) {
  const auto grace = memory_targets(sample::gh200(), {});
  EXPECT_EQ(grace.own.to_list(), "0");
  EXPECT_EQ(grace.gpu.to_list(), "1") << "2 to 8, for MIG instances, have no memory";
  const auto epyc = memory_targets(sample::nps4(), {});
  EXPECT_EQ(epyc.own.to_list(), "0-7");
  EXPECT_TRUE(epyc.gpu.empty());
}

TEST(MemoryTargets, OnlyTheNodesAskedFor) {
  MemoryBench only;
  only.nodes = NodeSet{1};
  const auto t = memory_targets(sample::gh200(), only);
  EXPECT_TRUE(t.own.empty());
  EXPECT_EQ(t.gpu.to_list(), "1");
}

/// No cgroup, so no limit of one.
struct NoFiles final : FileTree {
  Result<std::string> read(std::string_view) const override { return fail(Error::Kind::kNotFound, "none"); }
  Result<std::vector<std::string>> list(std::string_view) const override { return fail(Error::Kind::kNotFound, "none"); }
  Result<std::string> resolve(std::string_view) const override { return fail(Error::Kind::kNotFound, "none"); }
};

/// This machine's first CPU as node 1's, its node 0 as the memory of a GPU.
System as_if_a_gpus_memory() {
  System s;
  s.machine.nodes = {sample::node(0, "", 1, {}), sample::node(1, "0", 0, {})};
  s.machine.nodes[0].kind = {MemoryKind::kGpu, Source::kProcDriver};
  s.machine.nodes[0].memory_free_bytes = {std::uint64_t{256} << 20, Source::kSysfs};
  s.machine.online = {CpuSet{0}, Source::kSysfs};
  return s;
}

MemoryBench small() {
  MemoryBench o;
  o.quick = true;
  o.buffer_bytes = 16 << 20;
  return o;
}

TEST(BenchMemory, CpusReadAndWriteTheMemoryOfAGpu) {
  if (!NodeBuffer::make(NodeId{0}, 4096, NodeBuffer::Pages::kBase)) GTEST_SKIP() << "memory cannot be bound to node 0 here";
  double last = 0;
  const auto done = bench_memory(as_if_a_gpus_memory(), NoFiles(), small(), [&](double part, std::string_view) { last = part; });
  ASSERT_TRUE(done) << done.error().message;
  std::set<Metric> measured;
  for (const auto& m : *done) {
    EXPECT_EQ(m.cpu_node, NodeId{1});
    EXPECT_EQ(m.memory_node, NodeId{0});
    if (!m.samples.empty()) measured.insert(m.metric);
  }
  EXPECT_THAT(measured, testing::ElementsAre(Metric::kRead, Metric::kWrite, Metric::kCopy, Metric::kTriad, Metric::kLatency));
  EXPECT_GT(last, 0.7);
}

TEST(BenchMemory, SaysWhyAGpusMemoryWasLeftOut) {
  auto s = as_if_a_gpus_memory();
  s.allowance.mems = {NodeSet{1}, Source::kProcfs};
  const auto done = bench_memory(s, NoFiles(), small(), [](double, std::string_view) {});
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_EQ(done->size(), 5u);
  EXPECT_EQ(done->front().skipped, "this process may not use the node's memory");
  s.allowance = {};
  s.machine.nodes[0].memory_free_bytes = {std::uint64_t{4} << 20, Source::kSysfs};  // CUDA has the rest
  EXPECT_THAT(bench_memory(s, NoFiles(), small(), [](double, std::string_view) {})->front().skipped, HasSubstr("of the node may be taken"));
}

}  // namespace
}  // namespace numapin
