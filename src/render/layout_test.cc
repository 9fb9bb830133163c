#include "render/layout.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

TEST(Columns, CountsCharactersNotBytesNorColors) {
  EXPECT_EQ(columns("├─ GPU"), 6u);
  EXPECT_EQ(columns("\033[1;32mGPU\033[0m"), 3u);
  EXPECT_EQ(columns("\033[1"), 0u);  // an escape that never ends
  EXPECT_EQ(columns(""), 0u);
}

TEST(Clean, LetsNoControlCharacterThrough) {
  EXPECT_EQ(clean("NVIDIA\033[2J\nH100\x7f"), "NVIDIA?[2J?H100?");
  EXPECT_EQ(clean("\xc2\x9b" "31m"), "?31m");
  EXPECT_EQ(clean("Gr\xc3\xbc\xc3\x9f"), "Gr\xc3\xbc\xc3\x9f");
}

TEST(SizeText, KeepsTwoOrThreeDigits) {
  EXPECT_EQ(size_text(0), "0");
  EXPECT_EQ(size_text(512 << 10), "512 KiB");
  EXPECT_EQ(size_text(36 << 20), "36 MiB");
  EXPECT_EQ(size_text(std::uint64_t{4825} << 20), "4.7 GiB");
  EXPECT_EQ(size_text(std::uint64_t{128237} << 20), "125 GiB");
  EXPECT_EQ(size_text(std::uint64_t{2063772} << 20), "2015 GiB");
  EXPECT_EQ(size_text(std::uint64_t{3} << 40), "3.0 TiB");
}

TEST(ShortList, WritesAlternatingNumbersAsStrides) {
  EXPECT_EQ(short_list(CpuSet::range(0, 11) | CpuSet::range(24, 35)), "0-11,24-35");
  EXPECT_EQ(short_list(*CpuSet::parse("0-62:2")), "0-62:2");
  EXPECT_EQ(short_list(CpuSet{0, 2}), "0,2");
  EXPECT_EQ(short_list(CpuSet{0, 1, 5, 9, 10}), "0-1,5,9-10");
  EXPECT_EQ(short_list(CpuSet{}), "");
}

TEST(ShortList, CanBeReadBack) {
  for (const char* list : {"0-3,8", "0-30:2,64-94:2", "1,3,5,6,7,100", "0,4,8,9,10,12", "7", "0-1,3-4,6-7"}) {
    const auto set = CpuSet::parse(list);
    ASSERT_TRUE(set);
    const auto again = CpuSet::parse(short_list(*set));
    ASSERT_TRUE(again) << short_list(*set);
    EXPECT_EQ(*again, *set) << short_list(*set);
  }
}

TEST(Flow, BreaksBetweenWordsOnly) {
  EXPECT_EQ(flow("a: ", "   ", {"one", "two", "three"}, " ", 10), "a: one two\n   three\n");
  EXPECT_EQ(flow("", "  ", {"much-too-wide", "x"}, " ", 5), "much-too-wide\n  x\n");
  EXPECT_EQ(flow("label   ", "", {}, " ", 80), "label\n");
}

TEST(Table, WrapsTheWidestColumnThatCanGive) {
  const std::vector<std::vector<Cell>> rows = {{{{"0"}}, {{"0-11,", "24-35,", "48-59"}}, {{"125 GiB"}}}};
  EXPECT_EQ(table({"node", "CPUs", "memory"}, rows, 80), "node  CPUs              memory\n"
                                                            "0     0-11,24-35,48-59  125 GiB\n");
  EXPECT_EQ(table({"node", "CPUs", "memory"}, rows, 28), "node  CPUs           memory\n"
                                                            "0     0-11,24-35,    125 GiB\n"
                                                            "      48-59\n");
}

TEST(MatrixText, SplitsIntoBlocksThatFit) {
  const Matrix m{{"0", "1"}, {"0", "1"}, {{"10", "21"}, {"21", "10"}}};
  EXPECT_EQ(matrix_text(m, "", 80), "    0   1\n0  10  21\n1  21  10\n");
  EXPECT_EQ(matrix_text(m, "", 6), "    0\n0  10\n1  21\n\n    1\n0  21\n1  10\n");
}

}  // namespace
}  // namespace numapin
