#include "plan/ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

using testing::Contains;
using testing::Key;
using testing::Not;
using testing::Pair;

Plan two_ranks(const CpuSet& a, const CpuSet& b) {
  Plan plan;
  for (const auto& cpus : {a, b}) {
    Placement p;
    p.cpus = cpus;
    p.cores = cpus.size() / 2;  // two threads a core
    p.gpus = {static_cast<int>(plan.placements.size()) + 4};
    plan.placements.push_back(p);
  }
  return plan;
}

TEST(RankEnvironment, NumbersRanksOverHosts) {
  World world;
  world.nodes = 3;
  world.node_rank = 2;
  world.master_address = "10.0.0.1";
  world.master_port = 29500;
  const auto env = rank_environment(two_ranks(CpuSet::range(0, 15), CpuSet::range(16, 31)), 1, world, {});
  EXPECT_THAT(env, Contains(Pair("RANK", "5")));
  EXPECT_THAT(env, Contains(Pair("LOCAL_RANK", "1")));
  EXPECT_THAT(env, Contains(Pair("WORLD_SIZE", "6")));
  EXPECT_THAT(env, Contains(Pair("GROUP_RANK", "2")));
  EXPECT_THAT(env, Contains(Pair("MASTER_ADDR", "10.0.0.1")));
  EXPECT_THAT(env, Contains(Pair("MASTER_PORT", "29500")));
  EXPECT_THAT(env, Contains(Pair("NUMAPIN_RANK_GPU", "5")));
}

// set_device(LOCAL_RANK), in every script for torchrun, must find the rank's GPU.
TEST(RankEnvironment, ARankThatSeesItsGpuAloneIsAloneOnItsHost) {
  World world;
  world.own_gpu = true;
  const auto plan = two_ranks(CpuSet::range(0, 15), CpuSet::range(16, 31));
  const auto env = rank_environment(plan, 1, world, {});
  EXPECT_THAT(env, Contains(Pair("RANK", "1")));
  EXPECT_THAT(env, Contains(Pair("WORLD_SIZE", "2")));
  EXPECT_THAT(env, Contains(Pair("LOCAL_RANK", "0")));
  EXPECT_THAT(env, Contains(Pair("LOCAL_WORLD_SIZE", "1")));
  EXPECT_THAT(env, Contains(Pair("GROUP_RANK", "1")));
  EXPECT_THAT(env, Contains(Pair("GROUP_WORLD_SIZE", "2")));
  EXPECT_THAT(env, Contains(Pair("NUMAPIN_LOCAL_RANK", "1")));
  auto without_gpus = plan;
  for (auto& p : without_gpus.placements) p.gpus = {};
  EXPECT_THAT(rank_environment(without_gpus, 1, world, {}), Contains(Pair("LOCAL_RANK", "1"))) << "there is no GPU to see alone";
}

TEST(RankEnvironment, GivesEachRankTheThreadsOfItsCores) {
  const auto own = rank_environment(two_ranks(CpuSet::range(0, 15), CpuSet::range(16, 31)), 0, {}, {});
  EXPECT_THAT(own, Contains(Pair("OMP_NUM_THREADS", "8")));
  const auto shared = rank_environment(two_ranks(CpuSet::range(0, 15), CpuSet::range(0, 15)), 0, {}, {});
  EXPECT_THAT(shared, Contains(Pair("OMP_NUM_THREADS", "4"))) << "two ranks on the same cores take half each";
}

TEST(RankEnvironment, LeavesTheUsersThreadCountAlone) {
  const auto env = rank_environment(two_ranks({0, 1}, {2, 3}), 0, {}, {{"OMP_NUM_THREADS", "3"}});
  EXPECT_THAT(env, Not(Contains(Key("OMP_NUM_THREADS"))));
}

}  // namespace
}  // namespace numapin
