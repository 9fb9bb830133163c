#include <gtest/gtest.h>

#include "numapin/process.h"

namespace numapin {
namespace {

constexpr const char* kNumaMaps =
    "1000 default anon=2 dirty=2 N0=1 N1=1 kernelpagesize_kB=4\n"
    "5000 default anon=1 dirty=1 N0=1 kernelpagesize_kB=4\n"
    "200000 default file=/anon_hugepage huge anon=1 dirty=1 N1=1 kernelpagesize_kB=2048\n"
    "700000 default file=/usr/lib/libc.so.6 mapped=9 N1=9 kernelpagesize_kB=4\n"
    "900000 default anon=1 N1=1 kernelpagesize_kB=4\n";
constexpr const char* kMaps =
    "1000-3000 rw-p 00000000 00:00 0\n"
    "5000-6000 rw-p 00000000 00:00 0 [heap]\n"
    "200000-400000 rw-p 00000000 00:0f 12 /anon_hugepage (deleted)\n"
    "700000-70a000 r-xp 00000000 08:01 7 /usr/lib/libc.so.6\n";  // 900000 went away between the reads

TEST(StrayRanges, AreTheOwnMappingsWithPagesThere) {
  MapTree tree({{"/proc/42/numa_maps", kNumaMaps}, {"/proc/42/maps", kMaps}});
  EXPECT_EQ(stray_ranges(tree, 42, {1}), (std::vector<StrayRange>{{0x1000, 0x3000, 4096}, {0x200000, 0x400000, 2 << 20}}));
  EXPECT_EQ(stray_ranges(tree, 42, {0}), (std::vector<StrayRange>{{0x1000, 0x3000, 4096}, {0x5000, 0x6000, 4096}}));
}

TEST(StrayRanges, AreNoneWhereNothingCanBeRead) {
  MapTree tree;
  EXPECT_TRUE(stray_ranges(tree, 42, {1}).empty());
  tree.add_file("/proc/42/numa_maps", kNumaMaps);
  EXPECT_TRUE(stray_ranges(tree, 42, {1}).empty());
}

}  // namespace
}  // namespace numapin
