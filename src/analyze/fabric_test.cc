#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/analyze.h"
#include "support/linked_machine.h"

namespace numapin {
namespace {

using testing::HasSubstr;

/// Eight rings over NV18 could carry 47 each: the NICs are what limits them.
constexpr int kMbit = 200000;

FabricTraffic run(const Fabric& f, bool aligned) {
  const auto m = test::rail_machine(kMbit);
  const auto t = run_fabric(m, make_link_graph(m), f, aligned);
  EXPECT_TRUE(t) << (t ? "" : t.error().message);
  return t ? *t : FabricTraffic{};
}

/// 16 machines, a leaf a rail, four spines at 50: 16 NICs of 25 on a leaf whose way up is 200.
Fabric tapered() {
  Fabric f;
  f.machines = 16;
  f.leaves = 8;
  f.spines = 4;
  f.leaf_spine_gb_per_s = 50;
  return f;
}

TEST(Fabric, RailsThatFitALeafNeverSeeASpine) {
  const auto t = run(tapered(), true);
  EXPECT_NEAR(t.slowest, 25, 1e-6);
  EXPECT_EQ(t.slowest_limited_by, "NIC ports");
  EXPECT_EQ(t.flows, 16u * 8 * 9);
}

// Crossing rails, all 16 NICs of a leaf send up at once: 200 / 16.
TEST(Fabric, CrossedRingsShareTheSpines) {
  const auto t = run(tapered(), false);
  EXPECT_NEAR(t.slowest, 4 * 50.0 / 16, 1e-6);
  EXPECT_THAT(t.slowest_limited_by, HasSubstr("spine"));
  EXPECT_NEAR(t.total, 8 * 200, 1e-4);
  EXPECT_THAT(t.sentence, HasSubstr("from 12.5 to 25.0 GB/s"));
}

TEST(Fabric, RailsOverTwoLeavesCrossOnlyAtTheirEnds) {
  auto f = tapered();
  f.leaves = 16;  // two a rail: 8 machines each, two of a rail's hops cross
  const auto t = run(f, true);
  EXPECT_NEAR(t.slowest, 25, 1e-6);
}

TEST(Fabric, AHashPutsFlowsOnOneSpine) {
  auto f = tapered();
  f.spread = false;
  const auto t = run(f, false);
  EXPECT_LT(t.slowest, 12.5);                 // some spine has more than its share
  EXPECT_GE(t.slowest, 50.0 / 16 - 1e-9);
}

TEST(Fabric, OneMachineHasNoNetwork) {
  auto f = tapered();
  f.machines = 1;
  const auto t = run(f, true);
  EXPECT_EQ(t.slowest_limited_by, "GPU links in the machines");
  EXPECT_NEAR(t.slowest, 18 * 20.9 / 8, 1e-4);  // eight rings through each GPU's links
}

TEST(Fabric, NeedsAsManyLeavesAsRails) {
  auto f = tapered();
  f.leaves = 4;
  const auto m = test::rail_machine();
  const auto t = run_fabric(m, make_link_graph(m), f, true);
  ASSERT_FALSE(t);
  EXPECT_THAT(t.error().message, HasSubstr("4 leaves for 8 rails"));
  f.rail_optimized = false;
  EXPECT_TRUE(run_fabric(m, make_link_graph(m), f, true));
}

// 100,000 leaves with a way of their own to each of 100,000 spines would be 10^10 links.
TEST(Fabric, RefusesMoreLinksThanMemoryHolds) {
  auto f = tapered();
  f.leaves = f.spines = 100000;
  f.spread = false;
  const auto m = test::rail_machine();
  const auto t = run_fabric(m, make_link_graph(m), f, true);
  ASSERT_FALSE(t);
  EXPECT_THAT(t.error().message, HasSubstr("100000 leaves with 100000 spines"));
}

TEST(Fabric, NeedsTheNicsRate) {
  auto m = test::rail_machine(0);
  auto f = tapered();
  EXPECT_FALSE(run_fabric(m, make_link_graph(m), f, true));
  f.nic_gb_per_s = 30;
  const auto t = run_fabric(m, make_link_graph(m), f, true);
  ASSERT_TRUE(t);
  EXPECT_NEAR(t->slowest, 30, 1e-6);
}

}  // namespace
}  // namespace numapin
