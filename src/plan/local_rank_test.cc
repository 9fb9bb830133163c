#include "plan/local_rank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

TEST(FindLocalRank, KnowsEveryLauncher) {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID",
                           "JSM_NAMESPACE_LOCAL_RANK", "FLUX_TASK_LOCAL_ID", "LOCAL_RANK", "SLURM_LOCALID"}) {
    const auto r = find_local_rank({{name, "3"}});
    ASSERT_TRUE(r) << name;
    EXPECT_EQ(r->rank, 3);
    EXPECT_EQ(r->variable, name);
    EXPECT_TRUE(r->differing.empty());
  }
}

TEST(FindLocalRank, TrustsMpiBeforeSlurm) {
  const auto r = find_local_rank({{"SLURM_LOCALID", "0"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "5"}});
  ASSERT_TRUE(r);
  EXPECT_EQ(r->rank, 5);
  EXPECT_THAT(r->differing, testing::ElementsAre("SLURM_LOCALID=0"));
}

TEST(FindLocalRank, TrustsTorchrunInsideMpirun) {
  const auto r = find_local_rank({{"OMPI_COMM_WORLD_LOCAL_RANK", "0"}, {"LOCAL_RANK", "2"}, {"TORCHELASTIC_RUN_ID", "none"}});
  ASSERT_TRUE(r);
  EXPECT_EQ(r->rank, 2);
  EXPECT_THAT(r->differing, testing::ElementsAre("OMPI_COMM_WORLD_LOCAL_RANK=0"));
}

TEST(FindLocalRank, IsNothingWithoutALauncherOrWithNonsense) {
  EXPECT_FALSE(find_local_rank({}));
  EXPECT_FALSE(find_local_rank({{"LOCAL_RANK", "two"}, {"SLURM_LOCALID", "-1"}}));
}

TEST(FindLocalSize, ReadsTheLaunchersCount) {
  EXPECT_EQ(find_local_size({{"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}), 4);
  EXPECT_FALSE(find_local_size({{"LOCAL_WORLD_SIZE", "0"}}));
  EXPECT_EQ(find_local_size({{"SLURM_STEP_TASKS_PER_NODE", "8"}}), 8);
  EXPECT_EQ(find_local_size({{"SLURM_STEP_TASKS_PER_NODE", "8(x2)"}}), 8);
  EXPECT_FALSE(find_local_size({{"SLURM_STEP_TASKS_PER_NODE", "8(x2),4"}})) << "which of them is this host?";
}

}  // namespace
}  // namespace numapin
