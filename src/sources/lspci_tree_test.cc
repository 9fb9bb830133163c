#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> gpus(const Machine& m) {
  std::vector<std::string> out;
  for (const auto& gpu : m.gpus) out.push_back(gpu.address->to_string());
  return out;
}

constexpr std::string_view kTree = R"(-+-[0000:80]-+-00.0  Intel Corporation Device 09a2
 |           \-01.0-[81-83]----00.0-[82-83]--+-00.0-[83]--+-00.0  NVIDIA Corporation GA102 [GeForce RTX 3090]
 |                                           |            \-00.1  NVIDIA Corporation GA102 High Definition Audio Controller
 |                                           \-04.0-[84]----00.0  NVIDIA Corporation Device 22a3
 \-[0001:00]-+-00.0  Advanced Micro Devices, Inc. [AMD] Root Complex
             +-01.0-[01]----00.0  Mellanox Technologies MT2910 Family [ConnectX-7]
             \-02.0-[02]--
)";

TEST(LspciTree, FindsAddressesByTheShapeAndGpusByTheirNames) {
  const auto m = from_lspci_tree(kTree);
  ASSERT_TRUE(m);
  EXPECT_THAT(check(*m), IsEmpty());
  EXPECT_THAT(m->notes, IsEmpty());
  EXPECT_THAT(gpus(*m), ElementsAre("0000:83:00.0"));
  ASSERT_EQ(m->nics.size(), 1u);
  EXPECT_EQ(m->nics[0].address->to_string(), "0001:01:00.0");
  const auto above = upstream(*m, *find_pci(*m, *m->gpus[0].address));
  ASSERT_EQ(above.size(), 3u);
  EXPECT_EQ(above[0]->address.to_string(), "0000:82:00.0");
  EXPECT_EQ(above[2]->address.to_string(), "0000:80:01.0");
  EXPECT_EQ(find_pci(*m, {1, 0, 0, 0})->host_bridge, "pci0001:00");
}

TEST(LspciTree, RefusesOtherText) { EXPECT_FALSE(from_lspci_tree("18:00.0 3D controller: NVIDIA Corporation\n")); }

}  // namespace
}  // namespace numapin
