#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Machine read(std::string_view text) {
  auto m = from_numactl_hardware(text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  return m ? *m : Machine{};
}

constexpr std::string_view kTwoNodes =
    "available: 2 nodes (0,2)\nnode 0 cpus: 0 1 2\n3\nnode 0 size: 100 MB\nnode 0 free: 50 MB\n"
    "node 2 cpus:\nnode 2 size: 7 MB\nnode 2 free: 7 MB\n"
    "node distances:\nnode   0   2 \n  0:  10  21 \n  2:  21  10 \n";

TEST(NumactlHardware, ReadsNodesWithWrappedListsAndDistances) {
  const auto m = read(kTwoNodes);
  ASSERT_EQ(m.nodes.size(), 2u);
  EXPECT_EQ(m.nodes[0].cpus->to_list(), "0-3");
  EXPECT_EQ(m.nodes[0].memory_total_bytes.value, 100u << 20);
  EXPECT_EQ(m.nodes[1].kind.value, MemoryKind::kUnspecified);
  EXPECT_EQ(distance(m, NodeId{0}, NodeId{2}), 21);
  EXPECT_THAT(m.notes, ElementsAre());
}

TEST(NumactlHardware, LeavesAShortenedListUnknown) {
  const auto m = read("available: 1 nodes (0)\nnode 0 cpus: 0 1 ... 63\nnode 0 size: 1 MB\nnode 0 free: 1 MB\n");
  EXPECT_FALSE(m.nodes[0].cpus);
  EXPECT_THAT(m.notes, ElementsAre(HasSubstr("line 2")));
}

TEST(NumactlHardware, LeavesAListAtTheEndUnknown) {
  const auto m = read("available: 1 nodes (0)\nnode 0 cpus: 0 1 2 3\n");
  EXPECT_FALSE(m.nodes[0].cpus);
}

TEST(NumactlHardware, SaysWhichAnnouncedNodesAreNotListed) {
  const auto m = read("available: 2 nodes (0-1)\nnode 0 cpus: 0\nnode 0 size: 1 MB\nnode 0 free: 1 MB\n");
  EXPECT_THAT(m.notes, ElementsAre("the text announces nodes 0-1 and lists nodes 0"));
}

TEST(NumactlHardware, TakesNoNumberInWhichTheTextStops) {
  const auto m = read("node 0 cpus: 0\nnode 0 size: 100 MB\nnode distances:\nnode   0   1\n  0:  10  2");
  EXPECT_EQ(distance(m, NodeId{0}, NodeId{1}), std::nullopt);
}

TEST(NumactlHardware, SaysWhatIsMissing) {
  const auto m = from_numactl_hardware("No NUMA support available on this system.\n");
  ASSERT_FALSE(m);
  EXPECT_EQ(m.error().kind, Error::Kind::kBadInput);
}

}  // namespace
}  // namespace numapin
