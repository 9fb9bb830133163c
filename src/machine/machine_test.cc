#include <gtest/gtest.h>

#include <set>

#include "numapin/machine.h"

namespace numapin {
namespace {

std::string address(std::string_view text) {
  const auto a = PciAddress::parse(text);
  return a ? a->to_string() : "none";
}

TEST(PciAddressParse, ReadsTheFormsInUse) {
  EXPECT_EQ(address("0000:18:00.0"), "0000:18:00.0");
  EXPECT_EQ(address("00000000:18:00.0\n"), "0000:18:00.0") << "NVML";
  EXPECT_EQ(address("18:00.0"), "0000:18:00.0") << "lspci";
  EXPECT_EQ(address("000A:BC:1F.7"), "000a:bc:1f.7");
  EXPECT_EQ(address("10000:e1:00.0"), "10000:e1:00.0") << "VMD";
  EXPECT_EQ(address("dc4b1a6f:00:02.0"), "dc4b1a6f:00:02.0") << "Hyper-V, 32 bits";
}

TEST(PciAddressParse, RejectsOthers) {
  for (auto text : {"", "0000:18:00", "0000:18:00.8", "0000:18:20.0", "0000:118:00.0", "000000000:18:00.0", "0000:18:00.",
                    ":18:00.0", "0:0:18:00.0", "0x0000:18:00.0", "-1:18:00.0", "0000:18:00.0x", "GPU-18:00.0"})
    EXPECT_EQ(address(text), "none") << text;
}

TEST(PciLink, KnowsItsGeneration) {
  EXPECT_EQ((PciLink{2.5, 16}.generation()), 1);
  EXPECT_EQ((PciLink{16, 16}.generation()), 4);
  EXPECT_EQ((PciLink{128, 16}.generation()), 7);
  EXPECT_EQ((PciLink{12, 16}.generation()), 0);
}

TEST(ParseLink, ReadsWhatToStringPrints) {
  for (auto cell : {"X", "NV1", "NV12", "XGMI", "C2C", "PIX", "PXB", "PHB", "NODE", "SYS", "SOC", "DIS"}) {
    const auto link = parse_link(cell);
    ASSERT_TRUE(link) << cell;
    EXPECT_EQ(to_string(*link), cell);
  }
  EXPECT_EQ(parse_link(" NV18 ")->count, 18);
  EXPECT_EQ(parse_link("NV")->count, std::nullopt) << "a bond of unknown width";
  for (auto cell : {"", "N/A", "NV0", "NV#", "NVx", "nv1", "0-11", "GPU0"}) EXPECT_FALSE(parse_link(cell)) << cell;
}

TEST(Names, AreDistinct) {
  std::set<std::string_view> sources, kinds;
  for (int i = 0; i <= static_cast<int>(Source::kUser); ++i) sources.insert(to_string(static_cast<Source>(i)));
  for (int i = 0; i <= static_cast<int>(LinkKind::kDisconnected); ++i) kinds.insert(to_string(static_cast<LinkKind>(i)));
  EXPECT_EQ(sources.size(), static_cast<std::size_t>(Source::kUser) + 1);
  EXPECT_EQ(kinds.size(), static_cast<std::size_t>(LinkKind::kDisconnected) + 1);
}

}  // namespace
}  // namespace numapin
