#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Machine read(std::string_view text) {
  auto m = from_rocm_smi(text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  return m ? *m : Machine{};
}

TEST(RocmSmi, SettlesNoDisagreement) {
  const auto m = read(
      "GPU[0]\t\t: (Topology) Numa Node: 0\nGPU[0]\t\t: (Topology) Numa Affinity: 1\n"
      "GPU[1]\t\t: (Topology) Numa Node: 1\nGPU[1]\t\t: (Topology) Numa Affinity: 1\n");
  EXPECT_FALSE(m.gpus[0].numa_nodes);
  EXPECT_EQ(m.gpus[1].numa_nodes->to_list(), "1");
  EXPECT_THAT(m.notes, ElementsAre(HasSubstr("GPU0")));
}

TEST(RocmSmi, TakesMinusOneAsUnknown) {
  const auto m = read("GPU[0] : (Topology) Numa Node: -1\nGPU[0] : (Topology) Numa Affinity: -1\n");
  EXPECT_FALSE(m.gpus[0].numa_nodes);
  EXPECT_TRUE(m.notes.empty());
}

TEST(RocmSmi, JoinsWeightsAndLinkTypes) {
  const auto m = read(
      "===== Weight between two GPUs =====\n       GPU0  GPU1  GPU2\nGPU0   0     15    40\nGPU1   15    0     40\n"
      "GPU2   40    40    0\n===== Hops between two GPUs =====\n       GPU0  GPU1\nGPU0   0     1\nGPU1   1     0\n"
      "===== Link Type between two GPUs =====\n       GPU0  GPU1  GPU2\nGPU0   0     XGMI  PCIE\n"
      "GPU1   XGMI  0     PCIE\nGPU2   PCIE  PCIE  0\n");
  ASSERT_EQ(m.gpus.size(), 3u);
  ASSERT_EQ(m.links.size(), 2u);  // which path a PCIE link takes, the text does not say
  EXPECT_EQ(m.links[0].kind, LinkKind::kXgmi);
  EXPECT_EQ(m.links[0].weight, 15);
}

}  // namespace
}  // namespace numapin
