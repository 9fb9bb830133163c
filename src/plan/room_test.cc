#include "plan/room.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

/// The node of DESIGN's measurement: 44 MB free, 897 MB page cache.
NodeMemory full_node() {
  NodeMemory m;
  m.total = 1024 * kMiB;
  m.free = 44 * kMiB;
  m.file_inactive = 880 * kMiB;
  m.file_active = 17 * kMiB;
  m.dirty = 2 * kMiB;
  m.mapped = 10 * kMiB;
  return m;
}
const RoomWish kAuto, kOff{RoomWish::Mode::kOff, 0};
RoomWish size(std::uint64_t bytes) { return {RoomWish::Mode::kSize, bytes}; }
RoomMeans means(bool file) { return {.reclaim_file = file, .cgroup_headroom = {}, .swap_on = false, .panic_on_oom = false}; }

TEST(NodeMemory, ReadsTheKernelsFile) {
  const auto m = parse_node_memory(
      "Node 1 MemTotal:  1000 kB\nNode 1 MemFree: 44 kB\nNode 1 Active(file): 7 kB\nNode 1 Inactive(file): 9 kB\n"
      "Node 1 Dirty: 1 kB\nNode 1 HugePages_Total: 0\n");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->free, 44u * 1024);
  EXPECT_EQ(m->clean(), 15u * 1024);
  EXPECT_EQ(m->clean_inactive(), 8u * 1024);
  EXPECT_FALSE(parse_node_memory(""));
  EXPECT_FALSE(parse_node_memory("Node 0 MemTotal: x kB\n"));
}

TEST(NodeMemory, NeverCountsBelowZero) {
  NodeMemory m;
  m.file_inactive = 5;
  m.dirty = 9;
  EXPECT_EQ(m.clean(), 0u);
  EXPECT_EQ(m.clean_inactive(), 0u);
}

TEST(RoomWish, ReadsSizes) {
  EXPECT_EQ(parse_room_wish("8G")->bytes, 8 * kGiB);
  EXPECT_EQ(parse_room_wish("512m")->bytes, 512 * kMiB);
  EXPECT_EQ(parse_room_wish("4096")->bytes, 4096u);
  EXPECT_EQ(parse_room_wish("auto")->mode, RoomWish::Mode::kAuto);
  EXPECT_EQ(parse_room_wish("off")->mode, RoomWish::Mode::kOff);
  for (const char* bad : {"", "G", "-1", "8GB", "0", "99999999999G", "much"}) EXPECT_FALSE(parse_room_wish(bad)) << bad;
}

TEST(DecideRoom, LeavesANodeWithFreeMemoryAlone) {
  NodeMemory m = full_node();
  m.free = 200 * kMiB;
  const auto d = decide_room(NodeId{0}, m, kAuto, means(false));
  EXPECT_EQ(d.method, RoomMethod::kNone);
  EXPECT_EQ(d.shortage, "");
}

TEST(DecideRoom, FreesAnEighthOfTheNodeByItself) {
  const auto d = decide_room(NodeId{0}, full_node(), kAuto, means(false));
  EXPECT_EQ(d.method, RoomMethod::kFiller);
  EXPECT_EQ(d.wanted_free, 128 * kMiB);
  EXPECT_EQ(d.reclaim, 84 * kMiB);
}

TEST(DecideRoom, PrefersTheKernelsOwnFile) {
  EXPECT_EQ(decide_room(NodeId{0}, full_node(), kAuto, means(true)).method, RoomMethod::kReclaimFile);
}

TEST(DecideRoom, TakesAtMost16GiBByItself) {
  NodeMemory m;
  m.total = 1024 * kGiB;
  m.free = kGiB;
  m.file_inactive = 900 * kGiB;
  EXPECT_EQ(decide_room(NodeId{0}, m, kAuto, means(true)).wanted_free, 16 * kGiB);
}

TEST(DecideRoom, ByItselfWantsTheCacheTwiceAsLargeAsWhatIsMissing) {
  NodeMemory m = full_node();
  m.file_inactive = 150 * kMiB;  // 84 missing
  m.file_active = 0;
  const auto d = decide_room(NodeId{3}, m, kAuto, means(true));
  EXPECT_EQ(d.method, RoomMethod::kNone);
  EXPECT_EQ(d.shortage.find("node 3 is short of memory: 44 MiB free of the 128 MiB wanted, 980 MiB used, 138 MiB reclaimable"), 0u)
      << d.shortage;
}

TEST(DecideRoom, NeverTakesMoreThanHalfOfTheCleanInactiveCache) {
  const auto d = decide_room(NodeId{0}, full_node(), size(900 * kMiB), means(false));
  EXPECT_EQ(d.method, RoomMethod::kFiller);
  EXPECT_EQ(d.reclaim, 439 * kMiB);
  EXPECT_EQ(d.wanted_free, 483 * kMiB);
  EXPECT_NE(d.shortage, "");
}

TEST(DecideRoom, RefusesMoreThanTheNodeHas) {
  const auto d = decide_room(NodeId{0}, full_node(), size(2 * kGiB), means(true));
  EXPECT_EQ(d.method, RoomMethod::kNone);
  EXPECT_NE(d.shortage, "");
}

TEST(DecideRoom, DoesNotFillWhereThatCouldHurtOthers) {
  RoomMeans m = means(false);
  m.swap_on = true;
  EXPECT_EQ(decide_room(NodeId{0}, full_node(), kAuto, m).method, RoomMethod::kNone);
  m.reclaim_file = true;  // can be told to leave programs' memory alone
  EXPECT_EQ(decide_room(NodeId{0}, full_node(), kAuto, m).method, RoomMethod::kReclaimFile);
  m = means(false);
  m.panic_on_oom = true;
  EXPECT_EQ(decide_room(NodeId{0}, full_node(), kAuto, m).method, RoomMethod::kNone);
  m = means(false);
  m.cgroup_headroom = 100 * kMiB;
  EXPECT_EQ(decide_room(NodeId{0}, full_node(), kAuto, m).method, RoomMethod::kNone);
  m.cgroup_headroom = 400 * kMiB;
  EXPECT_EQ(decide_room(NodeId{0}, full_node(), kAuto, m).method, RoomMethod::kFiller);
}

TEST(DecideRoom, OffIsOff) {
  const auto d = decide_room(NodeId{0}, full_node(), kOff, means(true));
  EXPECT_EQ(d.method, RoomMethod::kNone);
  EXPECT_EQ(d.shortage, "");
}

TEST(RoomStop, WatchesTimeSwapAndCache) {
  RoomProgress p;
  p.before = p.now = full_node();
  const auto d = decide_room(NodeId{0}, p.before, kAuto, means(false));
  EXPECT_EQ(room_stop(p, d, kAuto), std::nullopt);
  p.elapsed = std::chrono::milliseconds(3000);
  EXPECT_EQ(room_stop(p, d, kAuto), RoomStop::kTime);
  EXPECT_EQ(room_stop(p, d, size(128 * kMiB)), std::nullopt);
  p.now.file_inactive = 400 * kMiB;
  EXPECT_EQ(room_stop(p, d, kAuto), RoomStop::kHalfOfCache);
  p.swapped_out_now = 1;
  EXPECT_EQ(room_stop(p, d, kAuto), RoomStop::kSwapping);
}

}  // namespace
}  // namespace numapin
