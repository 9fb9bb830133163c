#include "numapin/id_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace numapin {
namespace {

std::string list_of(std::string_view text) {
  auto s = CpuSet::parse(text);
  return s ? s->to_list() : "error: " + s.error().message;
}

TEST(CpuSetParse, ReadsTheKernelsLists) {
  EXPECT_EQ(list_of("0-11,24-35\n"), "0-11,24-35");
  EXPECT_EQ(list_of(""), "");
  EXPECT_EQ(list_of("\n"), "");
  EXPECT_EQ(list_of("5"), "5");
  EXPECT_EQ(list_of("3,1,2,2"), "1-3");
}

TEST(CpuSetParse, ReadsStrides) {
  EXPECT_EQ(list_of("0-7:2"), "0,2,4,6");
  EXPECT_EQ(list_of("0-15:2/8"), "0-1,8-9");
}

TEST(CpuSetParse, RejectsBackwardRange) {
  auto s = CpuSet::parse("0,7-3");
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error().kind, Error::Kind::kBadInput);
  EXPECT_EQ(s.error().message, "parse CPU list \"0,7-3\": column 3: the range runs backwards");
}

TEST(CpuSetParse, NamesTheColumn) {
  EXPECT_EQ(list_of("0-3;8"), "error: parse CPU list \"0-3;8\": column 4: ';' is not expected here");
  EXPECT_EQ(list_of("0,,1"), "error: parse CPU list \"0,,1\": column 3: not a number");
  EXPECT_EQ(list_of("1,"), "error: parse CPU list \"1,\": column 3: a number is missing");
  EXPECT_EQ(list_of("0-"), "error: parse CPU list \"0-\": column 3: the end of the range is missing");
  EXPECT_EQ(list_of("-1"), "error: parse CPU list \"-1\": column 1: not a number");
  EXPECT_EQ(list_of("99999999999"), "error: parse CPU list \"99999999999\": column 1: not a number");
  EXPECT_EQ(list_of("0-65536"), "error: parse CPU list \"0-65536\": column 1: 65536 is above the largest number, 65535");
  EXPECT_EQ(list_of("0-3:0"), "error: parse CPU list \"0-3:0\": column 6: the stride must be a number above 0");
}

std::string mask_of(std::string_view text) {
  auto s = CpuSet::parse_mask(text);
  return s ? s->to_list() : "error: " + s.error().message;
}

TEST(CpuSetParseMask, ReadsTheFormsInUse) {
  EXPECT_EQ(mask_of("0x0f"), "0-3");
  EXPECT_EQ(mask_of("f"), "0-3");
  EXPECT_EQ(mask_of("00000000,0000ffff,ff000000"), "24-47");
  EXPECT_EQ(mask_of("0003ff,f0003fff"), "0-13,28-41");          // NCCL, short first group
  EXPECT_EQ(mask_of("0x00000001,0x00000001"), "0,32");          // hwloc
  EXPECT_EQ(mask_of("0x0000ffff,,0x1"), "0,64-79");             // hwloc leaves a zero group empty
  EXPECT_EQ(mask_of("ffffffffffffffffffffffffffffffff"), "0-127");  // taskset, no commas
  EXPECT_EQ(mask_of("0"), "");
}

TEST(CpuSetParseMask, RejectsOthers) {
  EXPECT_EQ(mask_of("0x"), "error: parse CPU mask \"0x\": column 3: hexadecimal digits are missing");
  EXPECT_EQ(mask_of("fg"), "error: parse CPU mask \"fg\": column 2: 'g' is not a hexadecimal digit");
  EXPECT_EQ(mask_of(""), "error: parse CPU mask \"\": column 1: the mask is empty");
  EXPECT_EQ(mask_of("f,123456789"), "error: parse CPU mask \"f,123456789\": column 3: a group has at most 8 digits");
}

TEST(CpuSet, PrintAndParseAreInverse) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    CpuSet s;
    const int limit = 1 + static_cast<int>(random() % 600);
    for (int i = 0; i < 40; ++i) s.insert(static_cast<CpuId>(random() % static_cast<unsigned>(limit)));
    EXPECT_EQ(*CpuSet::parse(s.to_list()), s);
    EXPECT_EQ(*CpuSet::parse_mask(s.to_mask()), s);
  }
}

TEST(CpuSet, HasTheAlgebraOfSets) {
  const CpuSet a = {0, 1, 2, 64}, b = {2, 3, 64, 200};
  EXPECT_EQ((a | b).to_list(), "0-3,64,200");
  EXPECT_EQ((a & b).to_list(), "2,64");
  EXPECT_EQ((a - b).to_list(), "0-1");
  EXPECT_TRUE((a | b).contains(a));
  EXPECT_FALSE(a.contains(b));
  EXPECT_EQ((b - CpuSet{200}).words().size(), 2U) << "equal sets must be equal in memory too";
  EXPECT_EQ((a & CpuSet{5}), CpuSet{});
  EXPECT_LT((CpuSet{0, 5}), (CpuSet{1}));
  EXPECT_EQ(a.size(), 4);
  EXPECT_EQ(number(a.first()), 0);
  EXPECT_EQ(number(b.last()), 200);
}

TEST(CpuSet, IteratesUpwards) {
  std::vector<int> seen;
  for (CpuId id : CpuSet{130, 0, 63, 64}) seen.push_back(number(id));
  EXPECT_THAT(seen, testing::ElementsAre(0, 63, 64, 130));
}

}  // namespace
}  // namespace numapin
