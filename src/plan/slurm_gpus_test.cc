// The rows of docs/slurm.md, "Which GPUs a task has": each was seen on Slurm 22.05.8.
#include "plan/slurm_gpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Env = std::map<std::string, std::string>;

Machine four_gpus(std::uint16_t vendor = 0x10de) {
  auto m = sample::with_nodes({sample::node(0, "0-3", 8), sample::node(1, "4-7", 8)});
  for (int i = 0; i < 4; ++i) {
    m.gpus.push_back(sample::gpu(i, "0000:" + std::to_string(10 + i) + ":00.0"));
    m.gpus.back().vendor = vendor;
    m.gpus.back().numa_nodes = {NodeSet::of(static_cast<NodeId>(i / 2)), Source::kSysfs};
  }
  return m;
}

const std::map<int, bool> kOnlyGpu1 = {{0, false}, {1, true}, {2, false}, {3, false}};
const std::map<int, bool> kAll = {{0, true}, {1, true}, {2, true}, {3, true}};

std::vector<int> found(const Machine& m, const SlurmTask& task, std::string_view says = "") {
  const auto choice = slurm_gpus(m, task);
  EXPECT_TRUE(choice);
  if (!choice) return {-1};
  std::string all;
  for (const auto& list : {choice->because, choice->warnings})
    for (const auto& line : list) all += line + "\n";
  EXPECT_THAT(all, HasSubstr(std::string(says)));
  std::vector<int> gpus;
  for (const auto& gpu : choice->gpus) gpus.push_back(gpu.gpu);
  return gpus;
}

TEST(SlurmGpus, WithoutConstrainDevicesTheNumberCountsOverTheNode) {
  EXPECT_THAT(found(four_gpus(), {kAll, {{"CUDA_VISIBLE_DEVICES", "1"}, {"SLURM_STEP_GPUS", "1"}}}, "SLURM_STEP_GPUS=1 agrees"), ElementsAre(1));
  EXPECT_THAT(found(four_gpus(), {{}, {{"CUDA_VISIBLE_DEVICES", "2,3"}, {"SLURM_STEP_GPUS", "2,3"}}}), ElementsAre(2, 3)) << "no file seen";
}

TEST(SlurmGpus, UnderConstrainDevicesTheNumberCountsAmongTheOpenFiles) {
  EXPECT_THAT(found(four_gpus(), {kOnlyGpu1, {{"CUDA_VISIBLE_DEVICES", "0"}, {"SLURM_STEP_GPUS", "1"}}}), ElementsAre(1));
}

TEST(SlurmGpus, TheDeviceFileWinsOverAWrongStepVariable) {  // srun --gpus-per-task=1, task 1
  EXPECT_THAT(found(four_gpus(), {kOnlyGpu1, {{"CUDA_VISIBLE_DEVICES", "0"}, {"SLURM_STEP_GPUS", "0"}}}, "says GPU 0, but the task may open GPU 1"),
              ElementsAre(1));
}

TEST(SlurmGpus, GpuBindNoneLeavesNoVariable) {
  EXPECT_THAT(found(four_gpus(), {kAll, {{"SLURM_GPUS_ON_NODE", "4"}}}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(found(four_gpus(), {kAll, {{"SLURM_JOB_GPUS", "2,3"}, {"SLURM_GPUS_ON_NODE", "2"}}}), ElementsAre(2, 3));
  EXPECT_THAT(found(four_gpus(), {kOnlyGpu1, {}}), ElementsAre(1));
}

TEST(SlurmGpus, ABatchStepHasTheJobsVariable) {
  EXPECT_THAT(found(four_gpus(), {kAll, {{"CUDA_VISIBLE_DEVICES", "0"}, {"SLURM_JOB_GPUS", "0"}}}, "SLURM_JOB_GPUS=0 agrees"), ElementsAre(0));
}

TEST(SlurmGpus, ATaskWithoutAnySignHasNone) {
  EXPECT_THAT(found(four_gpus(), {kAll, {}}, "gave this task no GPU"), IsEmpty());
  EXPECT_THAT(found(four_gpus(), {{{0, false}, {1, false}, {2, false}, {3, false}}, {}}, "may open no GPU"), IsEmpty());
  EXPECT_THAT(found(four_gpus(), {kAll, {{"CUDA_VISIBLE_DEVICES", "NoDevFiles"}}}), IsEmpty());
  EXPECT_THAT(found(sample::with_nodes({sample::node(0, "0-3", 8)}), {{}, {{"CUDA_VISIBLE_DEVICES", "0"}}}, "no GPU"), IsEmpty());
}

TEST(SlurmGpus, ANumberBeyondTheOpenFilesIsNotBelieved) {
  EXPECT_THAT(found(four_gpus(), {kOnlyGpu1, {{"CUDA_VISIBLE_DEVICES", "3"}}}, "taken to be GPU 1"), ElementsAre(1));
}

TEST(SlurmGpus, ContradictionWithoutAFenceIsSaid) {  // a wrapper changed the variable
  const auto choice = slurm_gpus(four_gpus(), {kAll, {{"CUDA_VISIBLE_DEVICES", "3"}, {"SLURM_STEP_GPUS", "0"}}});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->gpus[0].gpu, 3);
  EXPECT_THAT(choice->warnings, ElementsAre(HasSubstr("SLURM_STEP_GPUS=0 says GPU 0, but the other variables leave GPU 3")));
}

TEST(SlurmGpus, AListThatIsNoListAgreesWithNothing) {
  EXPECT_THAT(found(four_gpus(), {kAll, {{"CUDA_VISIBLE_DEVICES", "1"}, {"SLURM_STEP_GPUS", "9999999999999,x"}}}), ElementsAre(1));
  EXPECT_THAT(found(four_gpus(), {kAll, {{"CUDA_VISIBLE_DEVICES", "1"}, {"SLURM_STEP_GPUS", "17"}}}, "says no GPU"), ElementsAre(1));
}

TEST(SlurmGpus, SlurmSetsEveryVendorsVariable) {
  const Env all = {{"CUDA_VISIBLE_DEVICES", "2"}, {"ROCR_VISIBLE_DEVICES", "2"}, {"ZE_AFFINITY_MASK", "2"}, {"GPU_DEVICE_ORDINAL", "2"}, {"SLURM_STEP_GPUS", "2"}};
  EXPECT_THAT(found(four_gpus(0x10de), {kAll, all}), ElementsAre(2));
  EXPECT_THAT(found(four_gpus(0x1002), {kAll, all}), ElementsAre(2));
}

}  // namespace
}  // namespace numapin
