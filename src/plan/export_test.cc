#include "numapin/plan_export.h"

#include <gmock/gmock.h>

#include "plan/export.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

using test::made_machine;
using test::MachineShape;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Planned {
  Machine machine;
  Plan plan;
};

Planned planned(std::vector<int> gpus, MemoryMode memory = MemoryMode::kPreferred, MachineShape shape = {}) {
  Job job;
  for (int g : gpus) job.gpus.push_back({g, "", {}});
  job.one_process_per_gpu = true;
  job.cpus = CpuScope::kExclusive;
  job.memory = memory;
  Planned p;
  p.machine = made_machine(shape);
  p.plan = *make_plan(p.machine, {}, job);
  return p;
}

std::string text(std::string_view format, const Planned& p) {
  const ExportRequest request{p.machine, p.plan, {"python", "train.py", "--name", "it's"}, "node7"};
  const auto exported = export_plan(format, request);
  EXPECT_TRUE(exported) << format << ": " << exported.error().message;
  return exported ? *exported : "";
}

TEST(ExportPlan, Numactl) {
  EXPECT_EQ(text("numactl", planned({0})),
            "# GPU 0\n"
            "CUDA_VISIBLE_DEVICES=GPU-10000000-0000-0000-0000-000000000000 numactl --physcpubind=0-2,24-26 --preferred=0 -- "
            "python train.py --name 'it'\\''s'\n");
  EXPECT_THAT(text("numactl", planned({0, 4})),
              AllOf(HasSubstr("# rank 1: GPU 4\n"), HasSubstr("--preferred=1"), HasSubstr(" &\nwait\n")));
  EXPECT_THAT(text("numactl", planned({0}, MemoryMode::kBind)), HasSubstr("--membind=0"));
}

TEST(ExportPlan, TasksetSaysWhatItCannot) {
  EXPECT_THAT(text("taskset", planned({0})), AllOf(HasSubstr("taskset --cpu-list 0-2,24-26 python"),
                                                   HasSubstr("# taskset sets no memory policy; wanted: preferred node 0")));
}

TEST(ExportPlan, ComposeHasAServiceARank) {
  const auto compose = text("compose", planned({0, 5}));
  EXPECT_THAT(compose, AllOf(HasSubstr("  rank1:  # rank 1: GPU 5\n"), HasSubstr("    cpuset: \"0-2,24-26\"\n"),
                             HasSubstr("capabilities: [gpu], device_ids: [\"GPU-10000005-"), HasSubstr("command: [\"python\", \"train.py\", \"--name\", \"it's\"]")));
  EXPECT_THAT(text("compose", planned({5}, MemoryMode::kBind)), HasSubstr("# annotations: {numapin.policy: strict}"));
  EXPECT_THAT(text("compose", planned({5}, MemoryMode::kPreferred, {.vendor = 0x1002})), HasSubstr("devices: [\"/dev/kfd\", \"/dev/dri\"]"));
}

TEST(ExportPlan, KubernetesGivesEachGpuItsShare) {
  const auto k8s = text("k8s", planned({0, 5}));
  EXPECT_THAT(k8s, AllOf(HasSubstr("reservedSystemCPUs: \"0,12,24,36\""), HasSubstr("topologyManagerPolicy: single-numa-node"),
                         HasSubstr("for ranks 0-1.\n"), HasSubstr("limits: {cpu: 4, memory: 31Gi, nvidia.com/gpu: 1}")))
      << "11 of 12 cores for 4 GPUs: 2 whole cores each";
  EXPECT_THAT(k8s, Not(HasSubstr("max-allowable")));
  Planned both = planned({0});
  Job job;
  job.gpus = {{0, "", {}}, {4, "", {}}};
  both.plan = *make_plan(both.machine, {}, job);
  EXPECT_THAT(text("k8s", both), AllOf(HasSubstr("topologyManagerPolicy: restricted"), HasSubstr("cpu: 10, memory: 63Gi, nvidia.com/gpu: 2")));
  EXPECT_THAT(text("k8s", planned({0}, MemoryMode::kPreferred, {.nodes = 12, .gpus_per_node = 1})), HasSubstr("max-allowable-numa-nodes: \"12\""));
  EXPECT_THAT(text("k8s", planned({0}, MemoryMode::kPreferred, {.threads = 4, .gpus_per_node = 1, .vendor = 0x1002})),
              AllOf(HasSubstr("cpu: 44, "), HasSubstr("amd.com/gpu: 1")));
}

TEST(ExportPlan, ContainersGetDevicesAndStrictNodesOnly) {
  const auto docker = text("docker", planned({0, 5}));
  EXPECT_THAT(docker, AllOf(HasSubstr("docker run --rm --cpuset-cpus=0-2,24-26 '--gpus=\"device=GPU-10000000-"),
                            Not(HasSubstr("--cpuset-mems")), HasSubstr("# memory preferred node 0")));
  EXPECT_THAT(text("docker", planned({5}, MemoryMode::kBind)), HasSubstr("--cpuset-mems=1"));
  EXPECT_THAT(text("podman", planned({5})), HasSubstr("--device=nvidia.com/gpu=GPU-10000005-"));
  EXPECT_THAT(text("docker", planned({5}, MemoryMode::kPreferred, {.vendor = 0x1002})),
              AllOf(HasSubstr("--device=/dev/kfd --device=/dev/dri --env=ROCR_VISIBLE_DEVICES=GPU-000000000000ab05")));
}

TEST(ExportPlan, Slurm) {
  EXPECT_THAT(text("slurm", planned({0, 4})),
              AllOf(HasSubstr("--ntasks=2"), HasSubstr("--cpu-bind=mask_cpu:0x7000007,0x7000007000 "),
                    HasSubstr("--mem-bind=prefer,mask_mem:0x1,0x2 ")));
}

TEST(ExportPlan, RankfilesCountCoresInHwlocsOrder) {
  EXPECT_THAT(text("openmpi-rankfile", planned({0, 4})),
              AllOf(HasSubstr("rank 0=node7 slot=0-2\n"), HasSubstr("rank 1=node7 slot=12-14\n"), HasSubstr("--rankfile")));
  EXPECT_THAT(text("prrte", planned({0})), HasSubstr("--map-by rankfile:file="));
  // even CPUs on node 0, odd ones on node 1: core number is not CPU number
  auto p = planned({0}, MemoryMode::kPreferred, {.nodes = 2, .cores_per_node = 2, .threads = 1, .gpus_per_node = 1});
  const int cpu_of_core[] = {0, 2, 1, 3};
  for (std::size_t i = 0; i < 4; ++i) p.machine.cores[i].cpus = CpuSet{cpu_of_core[i]};
  for (std::size_t n = 0; n < 2; ++n) {
    const CpuSet cpus{static_cast<int>(n), static_cast<int>(n) + 2};
    p.machine.nodes[n].cpus = {cpus, Source::kSysfs};
    p.machine.packages[n].cpus = p.machine.l3[n].cpus = cpus;
  }
  p.plan.placements[0].cpus = {1, 3};
  EXPECT_THAT(text("prrte", p), HasSubstr("slot=2-3\n"));
}

TEST(ExportPlan, FrameworksThatTakeListsOfTheirOwn) {
  EXPECT_THAT(text("vllm", planned({0, 4})),
              HasSubstr("--tensor-parallel-size 2 --numa-bind --numa-bind-nodes 0 1 --numa-bind-cpus 0-2,24-26 12-14,36-38\n"));
  EXPECT_THAT(text("monarch", planned({0, 4}, MemoryMode::kBind)),
              HasSubstr("{\"physcpubind\": \"12-14,36-38\", \"membind\": \"1\"},  # rank 1: GPU 4\n"));
  EXPECT_THAT(text("torchrun", planned({0, 4})),
              AllOf(HasSubstr("torchrun --standalone --nproc-per-node=2 --no-python bash -c '"), HasSubstr("LOCAL_RANK")));
  auto unknown = planned({0});
  unknown.plan.placements[0].near_nodes = {};
  const ExportRequest request{unknown.machine, unknown.plan, {}, "h"};
  EXPECT_EQ(export_plan("vllm", request).error().kind, Error::Kind::kUnsupported);
}

TEST(ExportPlan, Json) {
  const auto p = planned({4}, MemoryMode::kBind);
  EXPECT_THAT(to_json(p.plan), AllOf(HasSubstr("\"schema\": \"numapin/plan/1\""), HasSubstr("\"cpulist\": \"12-14,36-38\"")));
  EXPECT_THAT(text("oci", p), AllOf(HasSubstr("\"cpus\": \"12-14,36-38\""), HasSubstr("\"mems\": \"1\""),
                                    HasSubstr("\"mode\": \"MPOL_BIND\""), HasSubstr("CUDA_VISIBLE_DEVICES=GPU-10000004-")));
  EXPECT_THAT(text("oci", planned({4})), AllOf(HasSubstr("MPOL_PREFERRED_MANY"), Not(HasSubstr("mems"))));
}

TEST(ExportPlan, UnknownFormatListsTheKnown) {
  const auto p = planned({0});
  const ExportRequest request{p.machine, p.plan, {}, "h"};
  const auto refused = export_plan("yaml", request);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().hint, HasSubstr("numactl taskset env docker"));
}

TEST(ShellWord, QuotesWhatTheShellWouldRead) {
  EXPECT_EQ(shell_word("a-b_c=1,2"), "a-b_c=1,2");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("~/x"), "'~/x'");
}

}  // namespace
}  // namespace numapin
