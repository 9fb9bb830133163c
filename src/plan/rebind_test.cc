#include "plan/rebind.h"

#include <gtest/gtest.h>

#include "support/made_machine.h"

namespace numapin {
namespace {

using test::made_machine;

/// CPUs 0-3,8-11 on node 0 and 4-7,12-15 on node 1; siblings are 8 apart.
Machine two_nodes() { return made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = 1}); }
const RebindTarget kNode0{{0, 1, 2, 3, 8, 9, 10, 11}, {0}};
constexpr std::uint64_t kMiB = 1 << 20;

ProcessInfo process(const std::vector<std::string>& masks, const NodeBytes& anon = {}) {
  ProcessInfo p;
  p.pid = 100;
  p.start_ticks = 7;
  for (const auto& mask : masks) {
    ThreadInfo t;
    t.tid = 100 + static_cast<int>(p.threads.size());
    t.allowed_cpus = *CpuSet::parse(mask);
    p.threads.push_back(t);
  }
  p.memory = ProcessMemory{};
  p.memory->policy = "default";
  p.memory->anon = p.memory->private_ = anon;
  return p;
}

std::vector<std::string> masks_after(const Machine& m, const ProcessInfo& p, const RebindTarget& target) {
  std::vector<std::string> out;
  for (const auto& t : change_process(m, p, whole_mask({&p, 1}), target).threads) out.push_back(t.after.to_list());
  return out;
}

using Masks = std::vector<std::string>;

TEST(RebindMasks, ThreadsWithoutAMaskOfTheirOwnGetTheTarget) {
  EXPECT_EQ(masks_after(two_nodes(), process({"0-15", "0-15"}), kNode0), (Masks{"0-3,8-11", "0-3,8-11"}));
  EXPECT_EQ(masks_after(two_nodes(), process({"4-7,12-15", "4-7,12-15"}), kNode0), (Masks{"0-3,8-11", "0-3,8-11"}));
}

TEST(RebindMasks, PinnedThreadsStayOnCoresOfTheirOwn) {
  EXPECT_EQ(masks_after(two_nodes(), process({"4-7,12-15", "4", "13", "6,14"}), kNode0), (Masks{"0-3,8-11", "0", "9", "2,10"}));
  // The main thread may be pinned as well (OMP_PROC_BIND): then no thread has the whole mask.
  EXPECT_EQ(masks_after(two_nodes(), process({"4", "5", "6", "7"}), kNode0), (Masks{"0", "1", "2", "3"}));
}

TEST(RebindMasks, TwoNodesFoldOntoOne) {
  EXPECT_EQ(masks_after(two_nodes(), process({"0-15", "1", "5"}), kNode0), (Masks{"0-3,8-11", "1", "1"}));
  EXPECT_EQ(masks_after(two_nodes(), process({"4-7,12-15", "7"}), {{0, 1}, {}}), (Masks{"0-1", "1"}));
}

TEST(RebindMasks, OneStrayThreadGoesHome) {
  EXPECT_EQ(masks_after(two_nodes(), process({"0-3,8-11", "4-7,12-15", "0-3,8-11"}), kNode0), Masks(3, "0-3,8-11"));
}

TEST(RebindMasks, WhatIsInsideStaysUnlessTheCpusWereNamed) {
  EXPECT_EQ(masks_after(two_nodes(), process({"0-1", "0-1"}), kNode0), (Masks{"0-1", "0-1"}));
  RebindTarget named = kNode0;
  named.named = true;
  EXPECT_EQ(masks_after(two_nodes(), process({"0-1", "0-1"}), named), (Masks{"0-3,8-11", "0-3,8-11"}));
  EXPECT_EQ(masks_after(two_nodes(), process({"0-1", "0"}), named), (Masks{"0-3,8-11", "0"}));
}

TEST(RebindMasks, ForceGivesEveryThreadAll) {
  RebindTarget force = kNode0;
  force.force = true;
  EXPECT_EQ(masks_after(two_nodes(), process({"4-7,12-15", "4"}), force), (Masks{"0-3,8-11", "0-3,8-11"}));
}

TEST(RebindMasks, CpusThatDoNotExistAreNoShape) {
  // A kernel with more possible than present CPUs lists them all in Cpus_allowed_list.
  EXPECT_EQ(masks_after(two_nodes(), process({"0-127", "0-127"}), kNode0), (Masks{"0-3,8-11", "0-3,8-11"}));
  // Thread 2 is allowed on offline CPUs only: nothing to carry over.
  EXPECT_EQ(masks_after(two_nodes(), process({"4-7,12-15", "99"}), kNode0), (Masks{"0-3,8-11", "0-3,8-11"}));
}

TEST(RebindMasks, ASecondLookChangesNothing) {
  const Machine m = two_nodes();
  auto p = process({"4-7,12-15", "4", "6,14"});
  const CpuSet whole = whole_mask({&p, 1});
  const auto first = change_process(m, p, whole, kNode0);
  for (std::size_t i = 0; i < p.threads.size(); ++i) p.threads[i].allowed_cpus = first.threads[i].after;
  EXPECT_FALSE(changes_anything(change_process(m, p, whole, kNode0)));
}

TEST(RebindMasks, WithoutTargetCpusNothingChanges) {
  EXPECT_EQ(masks_after(two_nodes(), process({"4"}), {{}, {0}}), Masks{"4"});
}

TEST(RebindMemory, MovesOnlyWhatIsElsewhere) {
  const auto change = change_process(two_nodes(), process({"0"}, {{0, 5 * kMiB}, {1, 64 * kMiB}}), {0}, kNode0);
  EXPECT_EQ(change.moves, (std::vector<PageMove>{{1, 0, 64 * kMiB}}));
}

TEST(RebindMemory, PairsNodesOfTwoSockets) {
  const Machine m = made_machine({.nodes = 4, .cores_per_node = 2, .nodes_per_package = 2, .gpus_per_node = 1});
  const auto change = change_process(m, process({"0"}, {{2, kMiB}, {3, 2 * kMiB}}), {0}, {{0}, {0, 1}});
  EXPECT_EQ(change.moves, (std::vector<PageMove>{{2, 0, kMiB}, {3, 1, 2 * kMiB}}));
  const auto one = change_process(m, process({"0"}, {{3, kMiB}}), {0}, {{0}, {0, 1}});
  EXPECT_EQ(one.moves, (std::vector<PageMove>{{3, 1, kMiB}}));
}

TEST(RebindMemory, LeavesWhatIsInAGpusOwnMemory) {
  Machine m = two_nodes();
  m.nodes[1].kind = {MemoryKind::kGpu, Source::kSysfs};  // as on Grace Hopper
  EXPECT_TRUE(change_process(m, process({"0"}, {{1, 64 * kMiB}}), {0}, kNode0).moves.empty());
}

TEST(RebindMemory, SaysWhenItCannotBeSeen) {
  auto p = process({"4"});
  p.memory.reset();
  EXPECT_TRUE(change_process(two_nodes(), p, {4}, kNode0).warnings.empty());  // not asked for
  p.denied = {"numa_maps: Permission denied"};
  EXPECT_EQ(change_process(two_nodes(), p, {4}, kNode0).warnings.size(), 1u);
}

TEST(RebindMemory, StaysInsideTheCpuset) {
  auto p = process({"4"}, {{1, kMiB}});
  p.allowed_mems = {1};
  const auto change = change_process(two_nodes(), p, {4}, kNode0);
  EXPECT_TRUE(change.moves.empty());
  ASSERT_EQ(change.warnings.size(), 1u);
  EXPECT_NE(change.warnings[0].find("node 1 only"), std::string::npos) << change.warnings[0];
}

TEST(RebindMemory, SaysThatAPolicyKeepsPullingElsewhere) {
  auto p = process({"4"}, {{1, kMiB}});
  for (const char* policy : {"bind:1", "interleave:0-1", "prefer (many):1", "bind=static:1"}) {
    p.memory->policy = policy;
    EXPECT_EQ(change_process(two_nodes(), p, {4}, kNode0).warnings.size(), 1u) << policy;
  }
  for (const char* policy : {"default", "local", "prefer:0", "bind:0"}) {
    p.memory->policy = policy;
    EXPECT_EQ(change_process(two_nodes(), p, {4}, kNode0).warnings.size(), 0u) << policy;
  }
}

TEST(RebindMemory, SaysWhenThereIsNoRoom) {
  Machine m = two_nodes();
  m.nodes[0].memory_free_bytes = {10 * kMiB, Source::kSysfs};
  EXPECT_EQ(change_process(m, process({"4"}, {{1, 11 * kMiB}}), {4}, kNode0).warnings.size(), 1u);
  EXPECT_EQ(change_process(m, process({"4"}, {{1, 9 * kMiB}}), {4}, kNode0).warnings.size(), 0u);
}

TEST(RebindState, ReadsBackWhatItWrote) {
  RebindState state{"boot", {{100, 7, "py\"th\xff", {{100, {0, 1}, {4}, false}, {101, {1}, {5}, false}}, {}, {}}}};
  const auto back = parse_rebind_state(to_json(state), "f");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->boot_id, "boot");
  ASSERT_EQ(back->processes.size(), 1u);
  EXPECT_EQ(back->processes[0].threads, state.processes[0].threads);
  EXPECT_EQ(back->processes[0].start_ticks, 7u);
}

TEST(RebindState, RefusesWhatIsNone) {
  for (const char* text : {"", "{}", "[]", "{\"schema\":\"numapin/topo/1\"}",
                           R"({"schema":"numapin/rebind-state/1","boot_id":"b","processes":[{"pid":"x"}]})",
                           R"({"schema":"numapin/rebind-state/1","boot_id":"b","processes":[{"pid":1,"start_ticks":1,"name":"n",)"
                           R"("threads":[{"tid":1,"before":"0-","after":"1"}]}]})"}) {
    const auto state = parse_rebind_state(text, "state.json");
    ASSERT_FALSE(state) << text;
    EXPECT_EQ(state.error().kind, Error::Kind::kBadInput);
    EXPECT_NE(state.error().message.find("state.json"), std::string::npos);
  }
}

TEST(RebindUndo, RestoresListedThreadsAndHeirsOfTheirMasks) {
  const RebindState state{"b", {{100, 7, "p", {{100, {4, 5}, {0, 1}, false}, {101, {2}, {2}, false}}, {}, {}}}};
  auto p = process({"0-1", "2", "0-1", "3"});  // 102 was made since by 100; 103 pinned itself
  const auto changes = undo_changes(state, {&p, 1});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].threads, (std::vector<ThreadChange>{{100, {0, 1}, {4, 5}, false}, {101, {2}, {2}, false}, {102, {0, 1}, {4, 5}, false}}));
}

TEST(RebindUndo, LeavesAnotherProcessOfThatNumberAlone) {
  const RebindState state{"b", {{100, 7, "p", {{100, {4, 5}, {0, 1}, false}}, {}, {}}}};
  auto p = process({"6"});
  p.start_ticks = 8;
  EXPECT_TRUE(undo_changes(state, {&p, 1}).empty());
}

}  // namespace
}  // namespace numapin
