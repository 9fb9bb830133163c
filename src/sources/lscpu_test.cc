#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Machine read(std::string_view text) {
  auto m = from_lscpu(text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  return m ? *m : Machine{};
}

TEST(Lscpu, ReadsStrides) {
  const auto m = read("On-line CPU(s) list: 0-7\nNUMA node0 CPU(s): 0-6:2\nNUMA node1 CPU(s): 1-7:2\n");
  EXPECT_EQ(m.nodes[0].cpus->to_list(), "0,2,4,6");
  EXPECT_EQ(m.nodes[1].cpus->to_list(), "1,3,5,7");
}

TEST(Lscpu, KnowsMasksWithoutPrefixByTheNameOfAnotherLine) {
  EXPECT_EQ(read("On-line CPU(s) mask: 55\nNUMA node0 CPU(s): 55\n").nodes[0].cpus->to_list(), "0,2,4,6");
  EXPECT_EQ(read("On-line CPU(s) list: 55\nNUMA node0 CPU(s): 55\n").nodes[0].cpus->to_list(), "55");
}

TEST(Lscpu, LeavesASetInWhichTheTextStopsUnknown) {
  const auto m = read("NUMA node0 CPU(s): 0-3\nNUMA node1 CPU(s): 4-1");
  EXPECT_EQ(m.nodes[0].cpus->to_list(), "0-3");
  EXPECT_FALSE(m.nodes[1].cpus);
  EXPECT_THAT(m.notes, ElementsAre(HasSubstr("line 2")));
}

TEST(LscpuExtended, ReadsOfflineCpusAndCoresThatCountAgainInEachSocket) {
  const auto m = read(
      "CPU NODE SOCKET CORE L1d:L1i:L2:L3 ONLINE\n"
      "0 0 0 0 0:0:0:0 yes\n1 1 1 0 1:1:1:1 yes\n2 - - - - no\n3 0 0 0 0:0:0:0 yes\n");
  EXPECT_EQ(m.online->to_list(), "0-1,3");
  EXPECT_EQ(m.offline->to_list(), "2");
  ASSERT_EQ(m.cores.size(), 2u);
  EXPECT_EQ(m.cores[0].cpus.to_list(), "0,3");
  EXPECT_EQ(m.l3.size(), 2u);
  EXPECT_EQ(m.packages.size(), 2u);
}

TEST(LscpuExtended, SkipsRowsThatAreNotWhole) {
  const auto m = read("CPU NODE SOCKET CORE ONLINE\n0 0 0 0 yes\n1 0 0\n");
  EXPECT_EQ(m.online->to_list(), "0");
  EXPECT_THAT(m.notes, ElementsAre(HasSubstr("line 3")));
}

TEST(LscpuExtended, CountsACpuOnce) {
  const auto m = read("CPU NODE SOCKET CORE ONLINE\n0 0 0 0 yes\n0 1 1 1 yes\n");
  EXPECT_EQ(m.nodes.size(), 1u);
  EXPECT_EQ(check(m), std::vector<std::string>{});
}

}  // namespace
}  // namespace numapin
