#include "diagnose/check_slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diagnose/slurm_explain.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

/// Two sockets of four cores with two threads, two GPUs each.
Machine machine(int nodes_per_package = 1) {
  auto m = test::made_machine({.nodes = 2 * nodes_per_package, .cores_per_node = 4 / nodes_per_package, .nodes_per_package = nodes_per_package, .gpus_per_node = 2 / nodes_per_package});
  for (auto& gpu : m.gpus) gpu.minor = {gpu.index, Source::kProcDriver};
  return m;
}

const std::string kGood =
    "TaskPlugin=task/cgroup,task/affinity\nSelectType=select/cons_tres\nGresTypes=gpu\n"
    "NodeName=n1 CPUs=16 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2 RealMemory=262144 Gres=gpu:a100:4\n";
const std::string kGres = "Name=gpu Type=a100 File=/dev/nvidia[0-1] Cores=0-3\nName=gpu Type=a100 File=/dev/nvidia[2-3] Cores=4-7\n";

SlurmSite site(const std::string& conf = kGood, std::optional<std::string> gres = kGres) {
  return {"n1", conf, "slurm.conf", std::move(gres), "ConstrainDevices=yes\n", "optional spank_numapin.so auto\n", "gres.conf"};
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_NE(text.find(from), text.npos) << from;
  return text.replace(text.find(from), from.size(), to);
}

/// What is found beside the two notes that every site with several GPUs gets.
std::vector<std::string> found(const SlurmSite& s, const Machine& m = machine()) {
  std::vector<std::string> out;
  for (const auto& f : check_slurm(m, s).findings)
    if (f.severity != Severity::kNote) out.push_back(f.is + " | " + f.should + " | " + f.mend);
  return out;
}

TEST(SlurmCheck, AGoodSiteHasNotesOnly) {
  const auto all = check_slurm(machine(), site());
  EXPECT_THAT(found(site()), IsEmpty());
  EXPECT_THAT(all.findings, ElementsAre(Field(&Finding::is, HasSubstr("may open its own GPU only")), Field(&Finding::is, HasSubstr("does not take --cpus-per-task"))));
  EXPECT_THAT(all.unknown, IsEmpty());
}

TEST(SlurmCheck, EachFaultIsFound) {
  const struct { const char* from; const char* to; const char* says; } kFaults[] = {
      {"TaskPlugin=task/cgroup,task/affinity\n", "TaskPlugin=task/cgroup\n", "without task/affinity"},
      {"TaskPlugin=task/cgroup,task/affinity\n", "", "no TaskPlugin"},
      {"GresTypes=gpu\n", "GresTypes=nic\n", "gpu among them"},
      {"GresTypes=gpu\n", "", "no GresTypes"},
      {"select/cons_tres", "select/linear", "SelectType=select/linear"},
      {"Sockets=2 CoresPerSocket=4", "Sockets=1 CoresPerSocket=8", "sockets 1 (the machine: 2), CoresPerSocket 8 (the machine: 4)"},
      {"ThreadsPerCore=2", "ThreadsPerCore=1", "ThreadsPerCore 1 (the machine: 2)"},
      {"RealMemory=262144", "RealMemory=999999999", "the machine has 262144 MiB"},
      {"Gres=gpu:a100:4", "Gres=gpu:a100:3", "3 GPUs | the 4 GPUs of the machine"},
      {"Gres=gpu:a100:4", "", "no Gres="},
  };
  for (const auto& fault : kFaults) EXPECT_THAT(found(site(replaced(kGood, fault.from, fault.to))), ElementsAre(HasSubstr(fault.says))) << fault.to;
}

TEST(SlurmCheck, WrongCoresAreSaidWithTheRightOnes) {
  EXPECT_THAT(found(site(kGood, replaced(kGres, "Cores=0-3", "Cores=0-7"))), ElementsAre(HasSubstr("Cores=0-7, and GPUs 0-1 are on node 0 | Cores=0-3")));
  EXPECT_THAT(found(site(kGood, replaced(kGres, " Cores=4-7", ""))), ElementsAre(HasSubstr("no Cores | Cores=4-7, in Slurm's count of cores")));
  EXPECT_THAT(found(site(kGood, "Name=gpu Type=a100 File=/dev/nvidia[0-3] Cores=0-7\n")),
              ElementsAre(testing::AllOf(HasSubstr("a line for the GPUs of each node"), HasSubstr("File=/dev/nvidia[0-1] Cores=0-3\n"), HasSubstr("File=/dev/nvidia[2-3] Cores=4-7"))))
      << "cores of both nodes are right for no GPU";
  EXPECT_THAT(found(site(kGood, std::nullopt)), ElementsAre(HasSubstr("no gres.conf")));
  EXPECT_THAT(found(site(kGood, "AutoDetect=nvml\n")), IsEmpty());
}

TEST(SlurmCheck, NodesThatArePartsOfSockets) {
  const auto halves = replaced(replaced(kGres, "[0-1] Cores=0-3", "0 Cores=0-1"), "[2-3] Cores=4-7", "3 Cores=6-7");
  auto bigger = replaced(kGood, "RealMemory=262144 ", "");
  EXPECT_THAT(found(site(bigger, halves), machine(2)), ElementsAre(HasSubstr("Slurm picks cores by socket"))) << "two sockets are what Slurm sees";
  bigger = "SlurmdParameters=numa_node_as_socket\n" + bigger;
  EXPECT_THAT(found(site(bigger, halves), machine(2)), ElementsAre(HasSubstr("sockets 2 (the machine: 4), CoresPerSocket 4 (the machine: 2)")));
  EXPECT_THAT(found(site(replaced(bigger, "Sockets=2 CoresPerSocket=4", "Sockets=4 CoresPerSocket=2"), halves), machine(2)), IsEmpty());
}

TEST(SlurmCheck, FilesOutOfOrderMatterWithoutAFence) {
  auto s = site(kGood, "Name=gpu File=/dev/nvidia[2-3] Cores=4-7\nName=gpu File=/dev/nvidia[0-1] Cores=0-3\n");
  EXPECT_THAT(found(s), IsEmpty()) << "a note, as ConstrainDevices leaves a job its own";
  s.cgroup_conf = "ConstrainDevices=no\n";
  EXPECT_THAT(found(s), ElementsAre(HasSubstr("not in the order of the GPUs' PCI addresses")));
}

TEST(SlurmCheck, ANodeThatNoLineNamesIsUnknown) {
  auto s = site();
  s.host = "n2";
  EXPECT_THAT(check_slurm(machine(), s).unknown, ElementsAre(HasSubstr("no NodeName line of slurm.conf names n2")));
  for (const char* odd : {"", "\\", "=\n=\n", "NodeName=n1 CPUs=99999999999999 Sockets=x Gres=gpu:::,(,\n", "NodeName=n[1- Gres=gpu\n"}) (void)check_slurm(machine(), site(odd, odd));
}

// ---- explain -----------------------------------------------------------------------------------------------------------

SlurmGiven task(const char* job, const char* cpus, std::vector<int> gpus, std::string policy = "default") {
  SlurmGiven g;
  g.what = "job 1 step 0 task 0";
  g.job_cpus = CpuSet::parse(job).value();
  g.task_cpus = CpuSet::parse(cpus).value();
  g.mems = NodeSet{0, 1};
  g.policy = std::move(policy);
  g.gpus = std::move(gpus);
  g.is_step = true;
  g.tasks = 2;
  return g;
}

TEST(SlurmExplain, BesideItsGpuThereIsNothingToMend) {
  const auto e = explain_slurm(machine(), task("0-15", "4-7,12-15", {2}, "prefer (many):1"));
  EXPECT_THAT(e.wrong, IsEmpty());
  EXPECT_EQ(e.line, "");
  EXPECT_EQ(e.near_cpus.to_list(), "4-7,12-15");
}

TEST(SlurmExplain, WrongCpusInTheRightJob) {
  const auto e = explain_slurm(machine(), task("0-15", "0-1", {2}));
  EXPECT_THAT(e.wrong, ElementsAre(HasSubstr("CPUs 0-1 (node 0), though the job has 4-7,12-15 beside the GPU")));
  EXPECT_EQ(e.line, "srun --ntasks-per-node=2 --cpu-bind=none numapin run -- COMMAND");
}

TEST(SlurmExplain, AJobWithoutCpusBesideItsGpuNeedsAnotherAllocation) {
  const auto e = explain_slurm(machine(), task("0-3", "0-1", {2}));
  EXPECT_THAT(e.wrong, ElementsAre(HasSubstr("none beside its GPUs: GPU 2 is on node 1, CPUs 4-7,12-15")));
  EXPECT_EQ(e.line, "sbatch --gres-flags=enforce-binding ...");
}

TEST(SlurmExplain, TooWide) {
  EXPECT_THAT(explain_slurm(machine(), task("0-15", "0-15", {0})).line, "srun --ntasks-per-node=2 numapin run -- COMMAND");
}

TEST(SlurmExplain, CpusPerTaskIsNotInherited) {
  auto g = task("0-15", "4", {2});
  g.cpus_per_task = 4;
  const auto e = explain_slurm(machine(), g);
  EXPECT_THAT(e.wrong, ElementsAre(HasSubstr("asked for 4 CPUs a task, this task has 1")));
  EXPECT_EQ(e.line, "srun --ntasks-per-node=2 --cpus-per-task=4 numapin run -- COMMAND");
  g.is_step = false;
  EXPECT_THAT(explain_slurm(machine(), g).wrong, IsEmpty()) << "a batch script";
}

TEST(SlurmExplain, MemoryElsewhere) {
  EXPECT_THAT(explain_slurm(machine(), task("0-15", "4-7", {2}, "bind:0")).wrong, ElementsAre(HasSubstr("memory policy bind:0: away from node 1 of GPU 2")));
  auto g = task("0-15", "4-7", {2});
  g.mems = NodeSet{0};
  EXPECT_THAT(explain_slurm(machine(), g).wrong, ElementsAre(HasSubstr("memory may come from node 0 only")));
}

TEST(SlurmExplain, ClosedPeersAreANote) {
  auto g = task("0-15", "4-7", {2});
  g.may_open_others = false;
  EXPECT_THAT(explain_slurm(machine(), g).notes, Contains(HasSubstr("no peer access")));
}

TEST(SlurmExplain, UnknownIsSaid) {
  auto m = machine();
  m.gpus[2].numa_nodes = {};
  EXPECT_THAT(explain_slurm(m, task("0-15", "0", {2})).notes, ElementsAre(HasSubstr("the node of GPU 2 is not known")));
  EXPECT_THAT(explain_slurm(m, task("0-15", "0", {})).notes, ElementsAre(HasSubstr("no GPU")));
}

constexpr const char* kScontrol =  // of 22.05.8, shortened
    "JobId=17 JobName=t\n   UserId=root(0) GroupId=root(0) MCS_label=N/A\n   NumNodes=2 NumCPUs=8 NumTasks=2 CPUs/Task=4 ReqB:S:C:T=0:0:*:*\n"
    "   JOB_GRES=gpu:a100:3\n     Nodes=n1 CPU_IDs=8-11 Mem=0 GRES=gpu:a100:2(IDX:1-2)\n     Nodes=n[2-3] CPU_IDs=0-3 Mem=0 GRES=gpu:a100:1(IDX:0)\n"
    "   MinCPUsNode=4 MinMemoryNode=0 MinTmpDiskNode=0\n   Command=sleep\n";

TEST(SlurmExplain, ScontrolCountsThreadsOfCores) {
  const auto g = parse_scontrol_job(kScontrol, machine(), "n1");
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->what, "job 17");
  EXPECT_EQ(g->job_cpus.to_list(), "4-5,12-13") << "cores 4 and 5, both threads";
  EXPECT_THAT(g->gpus, ElementsAre(1, 2));
  EXPECT_EQ(g->cpus_per_task, 4);
  EXPECT_EQ(parse_scontrol_job(kScontrol, machine(), "n3")->gpus, std::vector{0});
  EXPECT_THAT(parse_scontrol_job(kScontrol, machine(), "n9").error().message, HasSubstr("find job 17 on node n9: scontrol names n1, n[2-3]"));
  for (const char* odd : {"", "Nodes=n1 CPU_IDs=", "Nodes=n1 CPU_IDs=x GRES=gpu(IDX:", "Nodes=n1 CPU_IDs=0-65535 GRES=gpugpu(IDX:0-65000)"}) (void)parse_scontrol_job(odd, machine(), "n1");
}

}  // namespace
}  // namespace numapin
