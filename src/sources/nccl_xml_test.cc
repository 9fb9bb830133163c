#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Machine read(std::string_view text) {
  auto m = from_nccl_xml(text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  if (m) {
    EXPECT_THAT(check(*m), IsEmpty());
  }
  return m ? *m : Machine{};
}

std::string gpu(std::string_view address, std::string_view links) {
  return "<pci busid=\"" + std::string(address) + "\" class=\"0x030200\" vendor=\"0x10de\" device=\"0x2330\" link_speed=\"32.0 GT/s PCIe\" "
         "link_width=\"16\"><gpu dev=\"0\">" + std::string(links) + "</gpu></pci>";
}

TEST(NcclXml, JoinsGpusThatShareNvSwitches) {
  constexpr std::string_view kLinks = "<nvlink target=\"0000:f3:00.0\" count=\"4\" tclass=\"0x068000\"/>"
                                      "<nvlink target=\"0000:f4:00.0\" count=\"5\" tclass=\"0x068000\"/>";
  const auto m = read("<system version=\"1\"><cpu numaid=\"0\" affinity=\"ff\">" + gpu("0000:01:00.0", kLinks) +
                      gpu("0000:02:00.0", kLinks) + "</cpu></system>");
  ASSERT_EQ(m.links.size(), 2u);
  EXPECT_EQ(to_string(m.links[0]), "NV9");
  EXPECT_EQ(find_pci(m, {0, 1, 0, 0})->link_max->gt_per_s, 32.0);
}

TEST(NcclXml, TakesMinusOneAsUnknown) {
  const auto m = read("<system version=\"1\"><cpu numaid=\"-1\" affinity=\"\">" + gpu("0000:01:00.0", "") + "</cpu></system>");
  EXPECT_FALSE(m.gpus[0].numa_nodes);
  EXPECT_THAT(m.nodes, IsEmpty());
}

TEST(NcclXml, ReadsTheWholeElementsOfACutFile) {
  const auto m = read("<system version=\"1\"><cpu numaid=\"1\" affinity=\"f0\">" + gpu("0000:01:00.0", "") +
                      "<pci busid=\"0000:02:00.0\" class=\"0x03");
  ASSERT_EQ(m.gpus.size(), 1u);
  EXPECT_EQ(m.gpus[0].numa_nodes->to_list(), "1");
  EXPECT_THAT(m.notes, ElementsAre(HasSubstr("not whole")));
}

TEST(NcclXml, ReadsOneHostOfSeveral) {
  const auto m = read("<system version=\"1\"><cpu host_hash=\"0x1\" numaid=\"0\" affinity=\"f\">" + gpu("0000:01:00.0", "") +
                      "</cpu><cpu host_hash=\"0x2\" numaid=\"0\" affinity=\"f\">" + gpu("0000:01:00.0", "") + "</cpu></system>");
  EXPECT_EQ(m.gpus.size(), 1u);
  EXPECT_THAT(m.notes, ElementsAre(HasSubstr("several hosts")));
}

}  // namespace
}  // namespace numapin
