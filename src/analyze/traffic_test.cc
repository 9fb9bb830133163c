#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/analyze.h"
#include "support/linked_machine.h"

namespace numapin {
namespace {

using test::LinkedMachine;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kRome = "AMD EPYC 7742 64-Core Processor";
constexpr auto kGold5120 = "Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz";
constexpr double kGen4 = 31.5077 * 256 / 280 * 0.96, kGen3 = kGen4 / 2;
constexpr double kMemory = 6 * 2400 * 8 * 0.85 / 1000, kUpi = 2 * 10.4 * 2 * 0.83;

DeviceRef gpu(int i) { return {DeviceRef::Type::kGpu, i}; }
DeviceRef node(int i) { return {DeviceRef::Type::kNode, i}; }

/// Two sockets, four GPUs each on Gen4 of its own.
Machine eight_gpus(const char* cpu = kGold5120) {
  LinkedMachine made(cpu);
  for (int i = 0; i < 8; ++i) made.add_gpu(i / 4, {}, test::kGen4x16, test::kA100Pcie);
  return made.machine();
}
const std::vector<int> kAll{0, 1, 2, 3, 4, 5, 6, 7};

struct Ran {
  LinkGraph graph;
  FlowSet flows;
  Traffic traffic;
  Advice advice;
};
Ran run(const Machine& m, Pattern p, const std::vector<int>& gpus, Binding b = {}) {
  Ran r{make_link_graph(m), {}, {}, {}};
  r.flows = flows_of(m, r.graph, p, gpus, b);
  r.traffic = run_traffic(r.graph, r.flows);
  r.advice = advise(r.graph, r.flows, r.traffic);
  return r;
}

TEST(Traffic, FourLoadsShareTheirNodesMemory) {
  const auto r = run(eight_gpus(), Pattern::kLoad, kAll);
  ASSERT_EQ(r.traffic.flows.size(), 8u);
  for (const auto& f : r.traffic.flows) EXPECT_NEAR(*f.gb_per_s, std::min(kGen4, kMemory / 4), 1e-3);
  EXPECT_NEAR(*r.traffic.total, 2 * kMemory, 1e-3);
}

// From node 0 alone: memory gives 97.9, UPI lets 34.5 through; by max-min each gets an eighth of the memory until UPI is full.
TEST(Traffic, LoadsFromOneNodeShareItsMemoryAndTheInterconnect) {
  const auto r = run(eight_gpus(), Pattern::kLoad, kAll, {Binding::Kind::kNode, NodeId{0}});
  const double far = kUpi / 4, near = (kMemory - kUpi) / 4;
  ASSERT_LT(far, kMemory / 8);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(*r.traffic.flows[static_cast<std::size_t>(i)].gb_per_s, near, 1e-3);
  for (int i = 4; i < 8; ++i) EXPECT_NEAR(*r.traffic.flows[static_cast<std::size_t>(i)].gb_per_s, far, 1e-3);
  EXPECT_THAT(r.advice.sentence, HasSubstr("UPI between node 0 and node 1"));
  EXPECT_NEAR(*r.advice.slowest_after, kMemory / 8, 1e-3);
}

TEST(Traffic, InterleavedLoadsMoveAsAWhole) {
  const auto r = run(eight_gpus(), Pattern::kLoad, kAll, {Binding::Kind::kInterleave, {}});
  ASSERT_EQ(r.traffic.flows.size(), 16u);
  // Half of each load crosses UPI, four loads each way: the whole moves at 2 * UPI / 4.
  const double half = std::min({kUpi / 4, kGen4 / 2, kMemory * 2 / 16});
  for (const auto& f : r.traffic.flows) EXPECT_NEAR(*f.gb_per_s, half, 1e-3);
}

TEST(Traffic, AFlowThatAsksForLessLeavesTheRest) {
  const auto m = eight_gpus();
  const auto g = make_link_graph(m);
  const FlowSet set{{{node(0), gpu(0), 5.0}, {node(0), gpu(0), {}}}, {}};
  const auto t = run_traffic(g, set);
  EXPECT_NEAR(*t.flows[0].gb_per_s, 5, 1e-9);
  EXPECT_EQ(t.flows[0].why, "asks for no more");
  EXPECT_NEAR(*t.flows[1].gb_per_s, kGen4 - 5, 1e-3);
}

TEST(Traffic, TheHostsOwnLimitIsNoLinksFault) {
  const auto m = eight_gpus(kRome);
  const auto g = make_link_graph(m);
  const FlowSet set{{{gpu(0), gpu(4), {}}}, {}};
  const auto t = run_traffic(g, set);
  EXPECT_NEAR(*t.slowest, 20, 1e-9);
  EXPECT_THAT(t.flows[0].why, HasSubstr("nccl-tests#74"));
  EXPECT_THAT(advise(g, set, t).sentence, HasSubstr("No link is the limit"));
}

TEST(Traffic, SaysWhenNobodyKnows) {
  LinkedMachine made("Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz");
  made.add_gpu(0, {}, test::kGen3x16, test::kP100Pcie);
  made.add_gpu(1, {}, test::kGen3x16, test::kP100Pcie);
  const auto r = run(made.machine(), Pattern::kPipeline, {0, 1});
  EXPECT_FALSE(r.traffic.slowest);
  EXPECT_THAT(r.advice.sentence, HasSubstr("cannot be said"));
}

TEST(Traffic, FindsTheOneBadLink) {
  auto m = eight_gpus();
  ASSERT_TRUE(apply_what_if(m, "gpu5=gen3x8"));
  const auto r = run(m, Pattern::kRing, {4, 5, 6, 7});
  EXPECT_NEAR(*r.traffic.slowest, kGen3 / 2 / 1.2, 1e-3);
  EXPECT_THAT(r.advice.sentence, HasSubstr("PCIe Gen3 x8 between node 1 and GPU 5"));
  EXPECT_NEAR(*r.advice.slowest_after, kGen3 / 1.2, 1e-3);
}

TEST(Patterns, HaveTheFlowsTheyAreNamedFor) {
  const auto m = eight_gpus();
  const auto g = make_link_graph(m);
  const std::vector<int> four{3, 1, 0, 2};
  EXPECT_THAT(flows_of(m, g, Pattern::kRing, four).flows,
              ElementsAre(Flow{gpu(3), gpu(1), {}}, Flow{gpu(1), gpu(0), {}}, Flow{gpu(0), gpu(2), {}}, Flow{gpu(2), gpu(3), {}}));
  EXPECT_THAT(flows_of(m, g, Pattern::kPipeline, four).flows, ElementsAre(Flow{gpu(3), gpu(1), {}}, Flow{gpu(1), gpu(0), {}}, Flow{gpu(0), gpu(2), {}}));
  EXPECT_EQ(flows_of(m, g, Pattern::kAllToAll, four).flows.size(), 12u);
  EXPECT_EQ(flows_of(m, g, Pattern::kTree, four).flows.size(), 6u);
  EXPECT_TRUE(flows_of(m, g, Pattern::kRing, std::vector{0}).flows.empty());
  EXPECT_TRUE(flows_of(m, g, Pattern::kRdma, four).flows.empty());  // no NIC
  const auto rail = test::rail_machine();
  EXPECT_EQ(flows_of(rail, make_link_graph(rail), Pattern::kRdma, kAll).flows.size(), 16u);
}

TEST(WhatIf, MovesASwitchWithAllThatHangsOnIt) {
  auto m = test::rail_machine();
  ASSERT_TRUE(apply_what_if(m, "move:gpu2=node1"));
  EXPECT_EQ(m.gpus[2].numa_nodes->to_list(), "1");
  EXPECT_EQ(m.nics[2].numa_nodes->to_list(), "1");
  EXPECT_EQ(m.gpus[1].numa_nodes->to_list(), "0");
  const auto g = make_link_graph(m);
  EXPECT_EQ(find_route(g, node(1), gpu(2))->reach, Reach::kHost);
}

TEST(WhatIf, RefusesWhatItDoesNotUnderstand) {
  auto m = test::rail_machine();
  for (const auto* spec : {"", "gpu3", "gpu9=gen3x8", "gpu3=gen9x8", "gpu3=gen3x0", "move:gpu3=node7", "nvme0=gen3x4", "gpu3=x8"})
    EXPECT_FALSE(apply_what_if(m, spec)) << spec;
  EXPECT_EQ(m, test::rail_machine());
}

TEST(Files, FlowsAndFabricsAreCheckedByTheirPlace) {
  const auto flows = flows_from_json(R"({"schema": "numapin/flows/1", "flows": [{"from": "gpu0", "to": "node1", "gb_per_s": 3}]})");
  ASSERT_TRUE(flows);
  EXPECT_EQ(flows->flows[0], (Flow{gpu(0), node(1), 3.0}));
  const auto bad = flows_from_json(R"({"schema": "numapin/flows/1", "flows": [{"from": "gpu0", "to": "cpu1"}]})");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("/flows/0/to"));
  EXPECT_FALSE(fabric_from_json(R"({"schema": "numapin/fabric/1", "machines": 0, "leaves": 1, "spines": 1, "leaf_spine_gb_per_s": 50})"));
  EXPECT_FALSE(fabric_from_json("{}"));
}

}  // namespace
}  // namespace numapin
