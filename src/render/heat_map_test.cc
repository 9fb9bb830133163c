#include "render/heat_map.h"

#include <gtest/gtest.h>

#include "machine/sample_machines.h"
#include "render/measured_maps.h"
#include "render/plan_tints.h"

namespace numapin {
namespace {

using sample::add_link;
using sample::gpu;
using sample::gpu_ref;
using sample::node;

TEST(DistanceMap, IsDarkestAtHome) {
  const auto map = distance_map(sample::with_nodes({node(0, "0-3", 8, {{0, 10}, {1, 32}}), node(1, "4-7", 8, {{0, 21}, {1, 10}})}));
  EXPECT_EQ(map.cells[0][0].heat, 5);
  EXPECT_EQ(map.cells[0][1].text, "32");
  EXPECT_EQ(map.cells[0][1].heat, 0);
  EXPECT_EQ(map.cells[1][0].heat, 3);  // asymmetric tables exist
}

TEST(DistanceMap, IsEmptyWhereNothingIsKnown) {
  EXPECT_TRUE(distance_map(sample::with_nodes({node(0, "0-3", 8, {{0, 10}})})).empty());
  EXPECT_TRUE(distance_map(sample::with_nodes({node(0, "0-3", 8), node(1, "4-7", 8)})).empty());
}

TEST(GpuLinkMap, TellsAFullBondFromAPartOfIt) {
  Machine m;
  m.gpus = {gpu(0, ""), gpu(1, ""), gpu(2, "")};
  add_link(m, gpu_ref(0), gpu_ref(1), LinkKind::kNvlink, 2, Source::kNvml);
  add_link(m, gpu_ref(1), gpu_ref(2), LinkKind::kNvlink, 1, Source::kNvml);
  const auto map = gpu_link_map(m);
  EXPECT_EQ(map.cells[0][1].heat, 5);
  EXPECT_EQ(map.cells[1][2].heat, 4);
  EXPECT_EQ(map.cells[0][2].text, "?");  // not stated: not guessed
  EXPECT_FALSE(map.cells[0][2].heat.has_value());
  ASSERT_EQ(map.legend.size(), 1u);
  EXPECT_EQ(map.legend[0].first, "NV#");
}

TEST(MeasuredMaps, ShowOnlyWhatWasMeasured) {
  Measured measured;
  measured.cpu_nodes = measured.memory_nodes = {NodeId{0}, NodeId{1}};
  Measurement one;
  one.metric = Metric::kLatency;
  one.cpu_node = one.memory_node = NodeId{0};
  one.samples = {90, 100, 110};
  measured.measurements = {one};
  const auto maps = measured_maps(measured);
  ASSERT_EQ(maps.size(), 1u);
  EXPECT_EQ(maps[0].cells[0][0].text, "100");
  EXPECT_EQ(maps[0].cells[0][0].heat, 5);
  EXPECT_EQ(maps[0].cells[0][1].remark, "not measured");
}

TEST(MeasuredMaps, HalfAsGoodHasNoColour) {
  Measured measured;
  measured.cpu_nodes = measured.memory_nodes = {NodeId{0}, NodeId{1}};
  for (const int memory : {0, 1}) {
    Measurement one;
    one.metric = Metric::kLatency;
    one.cpu_node = NodeId{0};
    one.memory_node = NodeId{memory};
    one.samples = {memory == 0 ? 100.0 : 200.0};
    measured.measurements.push_back(one);
  }
  EXPECT_EQ(measured_maps(measured)[0].cells[0][1].heat, 0);
}

Placement placed(int gpu_index, const CpuSet& cpus, const NodeSet& near) {
  Placement p;
  p.gpus = {gpu_index};
  p.cpus = cpus;
  p.near_nodes = near;
  return p;
}

TEST(PlanTints, NeighboursDifferAndSharedCpusHaveNone) {
  Plan plan;
  plan.placements = {placed(0, CpuSet::range(0, 2), {0}), placed(1, CpuSet::range(2, 4), {0}), placed(2, CpuSet::range(8, 9), {1})};
  const PlanTints tints(plan);
  EXPECT_EQ(tints.of_cpu(CpuId{0}), "tint0");
  EXPECT_EQ(tints.of_gpu(0), "tint0");
  EXPECT_EQ(tints.of_cpu(CpuId{3}), "tint1");
  EXPECT_EQ(tints.of_cpu(CpuId{2}), std::nullopt);  // both have it
  EXPECT_EQ(tints.of_cpu(CpuId{8}), "tint0");       // counted anew on another node
  EXPECT_EQ(tints.rank_of_cpu(CpuId{8}), 2);
  EXPECT_EQ(tints.of_cpu(CpuId{5}), std::nullopt);
}

TEST(PlanTints, ARankThatIsLeftAloneHasNone) {
  Plan plan;
  plan.placements = {placed(0, {}, {})};
  const PlanTints tints(plan);
  EXPECT_FALSE(tints.any());
  EXPECT_EQ(tints.of_gpu(0), std::nullopt);
}

}  // namespace
}  // namespace numapin
