#include "sources/memory_estimate.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

const char* const kMaps =
    "00400000-00401000 r-xp 00000000 08:01 12 /usr/bin/python3\n"
    "00600000-00602000 rw-p 00200000 08:01 12 /usr/bin/python3\n"
    "01000000-01400000 rw-p 00000000 00:00 0 [heap]\n"
    "7f0000000000-7f1000000000 ---p 00000000 00:00 0 \n"
    "7f2000000000-7f2040000000 rw-p 00000000 00:00 0 \n"
    "7f3000000000-7f3000200000 rw-s 00000000 00:05 7 /dev/shm/ring (deleted)\n"
    "7f4000000000-7f4000100000 rw-s 00000000 00:05 8 /dev/nvidia0\n"
    "7f5000000000-7f5000001000 rw-s 00000000 08:01 9 /data/set.bin\n"
    "7ffc00000000-7ffc00100000 rw-p 00000000 00:00 0 [stack]\n"
    "7ffd00000000-7ffd00004000 r--p 00000000 00:00 0 [vvar]\n"
    "no mapping\n";

TEST(OwnRanges, AreWhereAProcessHasMemoryOfItsOwn) {
  EXPECT_EQ(sources::own_ranges(kMaps), (std::vector<AddressRange>{{0x600000, 0x602000}, {0x1000000, 0x1400000}, {0x7f2000000000, 0x7f2040000000},
                                                                   {0x7f3000000000, 0x7f3000200000}, {0x7ffc00000000, 0x7ffc00100000}}));
  EXPECT_EQ(sources::device_mapped_bytes(kMaps), 0x100000U);
}

TEST(EstimateMemory, SharesOutTheKernelsOwnCount) {
  MapTree tree;
  tree.add_file("/proc/7/maps", kMaps);
  tree.add_file("/proc/7/status", "VmLck:\t      12 kB\nRssAnon:\t 1000000 kB\nRssFile:\t 500 kB\nRssShmem:\t 24 kB\n");
  const auto m = sources::estimate_memory(tree, 7, 2000, 1, [](const std::vector<std::uint64_t>& addresses) {
    std::vector<int> nodes;
    for (const auto a : addresses) nodes.push_back(a % 8192 == 0 ? 1 : 0);
    return std::optional(nodes);
  });
  ASSERT_TRUE(m);
  EXPECT_NEAR(static_cast<double>(total_bytes(m->own())), 1000024.0 * 1024, 4);
  EXPECT_NEAR(static_cast<double>(m->own().at(1)), 500012.0 * 1024, 0.04 * 1000024 * 1024);
  EXPECT_LT(m->sample_shares.at(1).first, 0.5);
  EXPECT_GT(m->sample_shares.at(1).second, 0.5);
  EXPECT_EQ(m->locked_bytes, 12U * 1024);
  EXPECT_GE(m->sample_pages, 1500U);
  EXPECT_FALSE(sources::estimate_memory(tree, 8, 2000, 1, {})) << "there is none";
}

}  // namespace
}  // namespace numapin
