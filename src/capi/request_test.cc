#include "capi/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/made_machine.h"

namespace numapin::capi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Two nodes of four cores and two GPUs each: CPUs 0-3,8-11 and 4-7,12-15.
System two_nodes(int gpus_per_node = 2) {
  System s;
  s.machine = test::made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = gpus_per_node});
  s.allowance.cpus = {CpuSet::range(0, 15), Source::kProcfs};
  return s;
}

Request self(std::string_view json) { return parse_request(json, Call::kBind).value(); }

Placement placed(const System& s, std::string_view json) {
  const auto p = place_self(s, self(json));
  EXPECT_TRUE(p) << p.error().message;
  return p ? *p : Placement{};
}

TEST(ParseRequest, TakesGpusInEveryForm) {
  EXPECT_EQ(self(R"({"gpu": 3})").gpu, "3");
  EXPECT_EQ(self(R"({"gpu": "0-3"})").gpu, "0-3");
  EXPECT_EQ(self(R"({"gpu": [1, "GPU-8932f937"]})").gpu, "1,GPU-8932f937");
  EXPECT_EQ(self(R"({"gpu": []})").gpu, "none");
  EXPECT_EQ(self(R"({"gpu": null})").gpu, std::nullopt);
}

TEST(ParseRequest, NamesWhatItDoesNotTake) {
  for (const char* wrong : {R"({"gpu": -1})", R"({"gpu": 1.5})", R"({"gpu": [[1]]})", R"({"local_rank": "first"})", R"({"smt": 1})",
                            R"({"reserve": 99999999999})", R"({"env": {"A": 1}})", R"({"cpulist": ""})", R"({"allowed_cpulist": "3-1"})",
                            R"({"memory": true})", R"({"pid": 1})", R"({"processes": 2})", "", "{", "[]", "7"}) {
    const auto request = parse_request(wrong, Call::kBind);
    ASSERT_FALSE(request) << wrong;
    EXPECT_EQ(request.error().kind, Error::Kind::kBadInput) << wrong;
    EXPECT_FALSE(request.error().hint.empty()) << wrong;
  }
  EXPECT_TRUE(parse_request(R"({"memory": false, "pid": 1})", Call::kInspect)) << "the same word, another call";
}

TEST(PlaceSelf, TakesTheNodeAndWithWorkersAShareOfIt) {
  EXPECT_EQ(placed(two_nodes(), R"({"gpu": 2, "env": {}})").cpus, *CpuSet::parse("4-7,12-15"));
  const auto split = placed(two_nodes(), R"({"gpu": 2, "worker_cores": 1, "env": {}})");
  EXPECT_EQ(split.cpus, *CpuSet::parse("4-5,12-13")) << "GPU 3 is on that node too";
  EXPECT_EQ(split.main_cpus.size(), 2);
  EXPECT_EQ(split.worker_cpus.size(), 2);
  EXPECT_EQ(split.main_cpus | split.worker_cpus, split.cpus);
}

TEST(PlaceSelf, CountsTheRankAmongTheVisibleGpus) {
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": 3, "env": {}})").gpus, ElementsAre(3));
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": 0, "env": {"CUDA_VISIBLE_DEVICES": "2,3"}})").gpus, ElementsAre(2));
  const auto none = place_self(two_nodes(), self(R"({"local_rank": 4, "env": {}})"));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("local rank 4"));
}

TEST(PlaceSelf, TakesTheGpuThatTheLauncherLeft) {  // srun --gpus-per-task=1, numapin launch
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": "auto", "env": {"CUDA_VISIBLE_DEVICES": "3", "LOCAL_RANK": "1"}})").gpus, ElementsAre(3));
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": "auto", "env": {"CUDA_VISIBLE_DEVICES": "3", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "4"}})").gpus,
              ElementsAre(3));
}

TEST(PlaceSelf, TakesAllVisibleGpusWhereThereIsNoRank) {
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": "auto", "env": {"CUDA_VISIBLE_DEVICES": "0,1"}})").gpus, ElementsAre(0, 1));
  // a batch script is no step: its 0 means nothing
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": "auto", "env": {"SLURM_LOCALID": "0"}})").gpus, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(placed(two_nodes(), R"({"local_rank": "auto", "env": {"SLURM_LOCALID": "1", "SLURM_STEP_ID": "0"}})").gpus, ElementsAre(1));
}

TEST(PlaceSelf, SharesTheNodesOutWithoutGpus) {
  const auto first = placed(two_nodes(0), R"({"local_rank": 0, "local_size": 2, "env": {}})");
  const auto second = placed(two_nodes(0), R"({"local_rank": "auto", "env": {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}})");
  EXPECT_EQ(first.cpus, *CpuSet::parse("0-3,8-11"));
  EXPECT_EQ(second.cpus, *CpuSet::parse("4-7,12-15"));
  const auto beyond = place_self(two_nodes(0), self(R"({"local_rank": 2, "local_size": 2, "env": {}})"));
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().kind, Error::Kind::kBadInput);
}

TEST(PlaceSelf, TakesWhatSlurmGave) {
  auto request = self(R"({"slurm": true, "local_rank": 0, "env": {"CUDA_VISIBLE_DEVICES": "0", "SLURM_STEP_GPUS": "3"}})");
  request.may_open = {{0, false}, {1, false}, {2, false}, {3, true}};
  EXPECT_THAT(place_self(two_nodes(), request)->gpus, ElementsAre(3)) << "counted among what the task may open";
  const auto none = placed(two_nodes(), R"({"slurm": true, "env": {"SLURM_LOCALID": "1", "SLURM_STEP_ID": "0"}})");
  EXPECT_THAT(none.gpus, IsEmpty());
  EXPECT_TRUE(none.cpus.empty()) << "a job without GPUs stays as Slurm made it";
  EXPECT_EQ(none.memory.mode, MemoryMode::kNone);
}

TEST(PlaceSelf, KeepsToTheCpusThatAreAllowed) {
  auto s = two_nodes();
  s.allowance.cpus = {CpuSet{0, 4}, Source::kProcfs};  // what bind() left before
  EXPECT_EQ(placed(s, R"({"gpu": 2, "env": {}})").cpus, (CpuSet{4}));
  EXPECT_EQ(placed(s, R"({"gpu": 2, "env": {}, "allowed_cpulist": "0-15"})").cpus, *CpuSet::parse("4-7,12-15"));
}

TEST(NamedPlace, NeedsNoMachine) {
  const auto p = named_place(self(R"({"cpulist": "3,5", "nodes": "1", "memory": "bind"})"));
  EXPECT_EQ(p.cpus, (CpuSet{3, 5}));
  EXPECT_EQ(p.memory, (MemoryPolicy{MemoryMode::kBind, {1}, false}));
  EXPECT_EQ(named_place(self(R"({"cpulist": "3"})")).memory.mode, MemoryMode::kNone);
}

}  // namespace
}  // namespace numapin::capi
