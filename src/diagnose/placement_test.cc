#include <gtest/gtest.h>

#include "numapin/findings.h"

namespace numapin {
namespace {

constexpr Source kFrom = Source::kSysfs;
constexpr std::uint64_t kGb = 1 << 30;

/// Two nodes (CPUs 0-3,8-11 and 4-7,12-15; siblings are 8 apart), GPU 0 on node 0, GPU 1 on node 1, GPU 2 unknown.
Machine two_nodes() {
  Machine m;
  m.online = {CpuSet::range(0, 15), kFrom};
  for (int n = 0; n < 2; ++n) {
    NumaNode node;
    node.id = static_cast<NodeId>(n);
    node.cpus = {CpuSet::range(4 * n, 4 * n + 3) | CpuSet::range(8 + 4 * n, 11 + 4 * n), kFrom};
    node.memory_total_bytes = {64 * kGb, kFrom};
    node.distances = {{{n, 10}, {1 - n, 21}}, kFrom};
    m.nodes.push_back(node);
  }
  for (int c = 0; c < 8; ++c) m.cores.push_back(Core{CpuSet{c, c + 8}, c / 4, static_cast<NodeId>(c / 4), {}, {}, ""});
  for (int g = 0; g < 3; ++g) {
    Gpu gpu;
    gpu.index = g;
    if (g < 2) gpu.numa_nodes = {NodeSet{g}, kFrom};
    m.gpus.push_back(gpu);
  }
  return m;
}

ProcessInfo process(const std::vector<std::string>& masks, const NodeBytes& anon) {
  ProcessInfo p;
  p.pid = 4242;
  for (const auto& mask : masks) {
    ThreadInfo t;
    t.tid = 4242 + static_cast<int>(p.threads.size());
    t.name = "t" + std::to_string(p.threads.size());
    t.allowed_cpus = *CpuSet::parse(mask);
    p.threads.push_back(t);
  }
  p.memory = ProcessMemory{};
  p.memory->anon = p.memory->private_ = anon;
  return p;
}

TEST(JudgePlacement, IsOkBesideTheGpu) {
  const auto v = judge_placement(two_nodes(), process({"0-3,8-11", "1"}, {{0, kGb}}), {0});
  EXPECT_EQ(v.state, PlacementState::kOk);
  EXPECT_EQ(v.line, "ok: cpus and memory on node 0");
  EXPECT_EQ(v.mend, "");
}

TEST(JudgePlacement, NamesCpusOnTheWrongNode) {
  const auto v = judge_placement(two_nodes(), process({"4-7,12-15"}, {{0, kGb}}), {0});
  EXPECT_EQ(v.state, PlacementState::kWrong);
  EXPECT_EQ(v.line, "cpus on node 1, GPU 0 on node 0");
  EXPECT_EQ(v.mend, "numapin rebind 4242 --cpus-only");
}

TEST(JudgePlacement, NamesMemoryOnTheWrongNode) {
  const auto v = judge_placement(two_nodes(), process({"0-3"}, {{0, 63 * kGb}, {1, 37 * kGb}}), {0});
  EXPECT_EQ(v.state, PlacementState::kWrong);
  EXPECT_EQ(v.line, "37 % of 100 GiB on node 1");
  EXPECT_EQ(v.mend, "numapin rebind 4242");
}

TEST(JudgePlacement, IsLooseWhenAllowedEverywhere) {
  const auto v = judge_placement(two_nodes(), process({"0-63", "0-63"}, {{0, kGb}}), {0});
  EXPECT_EQ(v.state, PlacementState::kLoose) << "0-63 on 16 CPUs is everywhere: offline numbers do not count (trap 26)";
  EXPECT_EQ(v.line, "allowed everywhere: free to migrate");
}

TEST(JudgePlacement, FindsOneStrayThread) {
  const auto v = judge_placement(two_nodes(), process({"0-3", "0-3", "4"}, {{0, kGb}}), {0});
  EXPECT_EQ(v.state, PlacementState::kWrong);
  EXPECT_EQ(v.line, "1 of 3 threads may run off node 0 (t2)");
}

TEST(JudgePlacement, ForgivesStartUpPages) {
  EXPECT_EQ(judge_placement(two_nodes(), process({"0-3"}, {{0, kGb}, {1, 50000000}}), {0}).state, PlacementState::kOk);
  EXPECT_EQ(judge_placement(two_nodes(), process({"0-3"}, {{0, 1000000}, {1, 5000000}}), {0}).state, PlacementState::kOk);
}

TEST(JudgePlacement, TakesTheUnionOfSeveralGpus) {
  EXPECT_EQ(judge_placement(two_nodes(), process({"0-15"}, {{0, kGb}, {1, kGb}}), {0, 1}).state, PlacementState::kOk);
}

TEST(JudgePlacement, DoesNotGuessAnUnknownNode) {
  EXPECT_EQ(judge_placement(two_nodes(), process({"0-15"}, {{0, kGb}}), {2}).state, PlacementState::kUnknown);
}

TEST(JudgePlacement, HasNothingToSayOnOneNode) {
  auto m = two_nodes();
  m.nodes.pop_back();
  EXPECT_EQ(judge_placement(m, process({"0-15"}, {{0, kGb}}), {0}).state, PlacementState::kOneNode);
}

TEST(JudgePlacement, TakesTheNearestMemoryOfAMemorylessNode) {
  auto m = two_nodes();
  m.nodes[0].memory_total_bytes = {0, kFrom};
  EXPECT_EQ(judge_placement(m, process({"0-3"}, {{1, kGb}}), {0}).state, PlacementState::kOk);
}

TEST(JudgePlacement, CountsTheGpusOwnMemoryAsHome) {
  auto m = two_nodes();
  m.gpus[0].memory_node = {static_cast<NodeId>(1), kFrom};
  EXPECT_EQ(judge_placement(m, process({"0-3"}, {{0, kGb}, {1, kGb}}), {0}).state, PlacementState::kOk);
}

TEST(SharedCores, FindsHalvesOfOneCore) {
  const auto m = two_nodes();
  EXPECT_EQ(shared_cores(m, CpuSet{0, 1}, CpuSet{8, 2}).to_list(), "0");
  EXPECT_EQ(shared_cores(m, CpuSet{0, 8}, CpuSet{1, 9}).to_list(), "");
  EXPECT_EQ(shared_cores(m, CpuSet::range(0, 7), CpuSet::range(8, 15)).to_list(), "") << "wide masks share by intention";
}

TEST(Siblings, AWorkerOnTheSecondThreadsOfItsParentsCoresIsNamed) {
  Machine m;
  m.online = {CpuSet::range(0, 31), Source::kSysfs};
  for (int core = 0; core < 16; ++core) m.cores.push_back({CpuSet{core, core + 16}, {}, {}, {}, {}, ""});
  const auto bound = [](int pid, CpuSet cpus) {
    ProcessInfo p;
    p.pid = pid;
    p.threads.emplace_back().allowed_cpus = std::move(cpus);
    return p;
  };
  const PlacementVerdict ok{PlacementState::kOk, "ok: cpus and memory on node 0", ""};
  const auto met = judge_siblings(m, bound(7, CpuSet{0, 1}), bound(8, CpuSet{16, 17}), ok);
  EXPECT_EQ(met.state, PlacementState::kWrong);
  EXPECT_EQ(met.line, "main and worker share SMT siblings (0-1 of process 7)");
  EXPECT_EQ(judge_siblings(m, bound(7, CpuSet{0, 1}), bound(8, CpuSet{2, 18}), ok), ok);
  EXPECT_EQ(judge_siblings(m, bound(7, CpuSet{0, 1}), bound(8, CpuSet{0, 1}), ok), ok) << "the same CPUs: they were meant to";
  EXPECT_EQ(judge_siblings(m, bound(7, CpuSet::range(0, 15)), bound(8, CpuSet{16}), ok), ok) << "a wide mask shares cores by intention";
}

TEST(Placement, WhatHasEndedOrBelongsToTheKernelHasNoPlace) {
  ProcessInfo p;
  p.threads.emplace_back().state = 'Z';
  EXPECT_EQ(judge_without_gpu(Machine{}, p).state, PlacementState::kUnknown);
  EXPECT_NE(judge_without_gpu(Machine{}, p).line.find("zombie"), std::string::npos);
  p.threads[0].state = 'S';
  p.kernel_thread = true;
  EXPECT_NE(judge_placement(Machine{}, p, {0}).line.find("thread of the kernel"), std::string::npos);
}

}  // namespace
}  // namespace numapin
