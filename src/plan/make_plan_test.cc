#include <gmock/gmock.h>

#include "numapin/plan.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

using test::made_machine;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Job job_for(std::vector<int> gpus, bool each = false) {
  Job job;
  for (int g : gpus) job.gpus.push_back({g, "", {}});
  job.one_process_per_gpu = each;
  return job;
}

Allowance allowing(std::string_view cpus, std::string_view mems = "") {
  Allowance a;
  if (!cpus.empty()) a.cpus = {*CpuSet::parse(cpus), Source::kProcfs};
  if (!mems.empty()) a.mems = {*NodeSet::parse(mems), Source::kProcfs};
  return a;
}

Plan plan_for(const Machine& m, const Allowance& a, const Job& job) {
  auto plan = make_plan(m, a, job);
  if (!plan) ADD_FAILURE() << plan.error().message;
  return plan ? *plan : Plan{};
}

std::vector<std::string> cpu_lists(const Plan& plan) {
  std::vector<std::string> lists;
  for (const auto& p : plan.placements) lists.push_back(p.cpus.to_list());
  return lists;
}

// made_machine(): node 0 has CPUs 0-11,24-35 and GPUs 0-3, node 1 has 12-23,36-47 and GPUs 4-7.

TEST(MakePlan, BindsToTheGpusNode) {
  const auto plan = plan_for(made_machine(), {}, job_for({5}));
  ASSERT_EQ(plan.placements.size(), 1u);
  const auto& p = plan.placements[0];
  EXPECT_EQ(p.cpus.to_list(), "12-23,36-47");
  EXPECT_EQ(p.cores, 12);
  EXPECT_EQ(p.memory, (MemoryPolicy{MemoryMode::kPreferred, {1}, false}));
  EXPECT_THAT(p.warnings, IsEmpty());
  EXPECT_THAT(p.because, ElementsAre("CPUs 12-23,36-47: node 1 of GPU 5 (sysfs), all 24 allowed",
                                     "memory: preferred on node 1", HasSubstr("CUDA_VISIBLE_DEVICES=GPU-10000005")));
  EXPECT_THAT(p.env, ElementsAre(Pair("CUDA_VISIBLE_DEVICES", HasSubstr("GPU-10000005"))));
}

TEST(MakePlan, OneProcessOfManyGpusGetsTheUnion) {
  const auto p = plan_for(made_machine(), {}, job_for({0, 4})).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "0-47");
  EXPECT_EQ(p.memory.nodes, (NodeSet{0, 1}));
}

TEST(MakePlan, KeepsToWhatIsAllowedAndOnline) {
  auto m = made_machine();
  m.online = {*CpuSet::parse("0-46"), Source::kSysfs};
  const auto p = plan_for(m, allowing("20-60"), job_for({4})).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "20-23,36-46");
  EXPECT_THAT(p.because, Contains(HasSubstr("15 of 24 allowed")));
}

TEST(MakePlan, NoAllowedCpuNearTheGpuIsSaidWithNumbers) {
  const auto p = plan_for(made_machine(), allowing("0-3", "0"), job_for({4})).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "0-3");
  EXPECT_EQ(p.memory.nodes, (NodeSet{0}));
  EXPECT_THAT(p.warnings, ElementsAre(AllOf(HasSubstr("no allowed CPU near GPU 4"), HasSubstr("12-23,36-47"), HasSubstr("0-3")),
                                      HasSubstr("cpuset.mems")));
}

TEST(MakePlan, FallsBackToTheNearestNode) {
  auto m = made_machine({.nodes = 4, .cores_per_node = 4, .threads = 1, .gpus_per_node = 1});
  (*m.nodes[0].distances.value)[2] = 12;
  const auto p = plan_for(m, allowing("4-15"), job_for({0})).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "8-11");
  EXPECT_EQ(p.memory.nodes, (NodeSet{0}));  // the GPU's memory may still be used
}

TEST(MakePlan, CpulessNodeTakesTheNearestCpus) {
  auto m = made_machine({.threads = 1, .gpus_per_node = 1});
  m.gpus[0].numa_nodes = {NodeSet{2}, Source::kSysfs};  // a CXL node with a GPU behind it
  NumaNode node;
  node.id = NodeId{2};
  node.cpus = {CpuSet{}, Source::kSysfs};
  node.memory_total_bytes = {std::uint64_t{0}, Source::kSysfs};
  node.distances = {std::map<int, int>{{0, 40}, {1, 20}, {2, 10}}, Source::kSysfs};
  m.nodes.push_back(node);
  const auto p = plan_for(m, {}, job_for({0})).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "12-23");
  EXPECT_EQ(p.memory.nodes, (NodeSet{1}));
}

TEST(MakePlan, MemorylessNodeTakesTheNearestMemory) {
  auto m = made_machine({.nodes = 4, .gpus_per_node = 1});
  m.nodes[1].memory_total_bytes = {std::uint64_t{0}, Source::kSysfs};
  (*m.nodes[1].distances.value)[3] = 15;
  const auto p = plan_for(m, {}, job_for({1})).placements.at(0);
  EXPECT_EQ(p.cpus, *m.nodes[1].cpus);
  EXPECT_EQ(p.memory.nodes, (NodeSet{3}));
  EXPECT_THAT(p.because, Contains(HasSubstr("node 1 has no DRAM")));
}

TEST(MakePlan, UnknownPlaceIsNotGuessed) {
  auto m = made_machine();
  m.gpus[2].numa_nodes = {};
  const auto p = plan_for(m, {}, job_for({2})).placements.at(0);
  EXPECT_TRUE(p.cpus.empty());
  EXPECT_EQ(p.memory.mode, MemoryMode::kNone);
  EXPECT_THAT(p.warnings, ElementsAre(AllOf(HasSubstr("GPU 2 is unknown"), HasSubstr("numapin topo"))));
  EXPECT_THAT(p.env, Contains(Pair("CUDA_VISIBLE_DEVICES", HasSubstr("GPU-10000002"))));
  // one unknown GPU of two: the union is unknown as well
  EXPECT_TRUE(plan_for(m, {}, job_for({1, 2})).placements.at(0).cpus.empty());
}

TEST(MakePlan, UnknownPlaceOnOneNodeIsThatNode) {
  auto m = made_machine({.nodes = 1, .gpus_per_node = 1});
  m.gpus[0].numa_nodes = {};
  const auto p = plan_for(m, {}, job_for({0})).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "0-23");
  EXPECT_EQ(p.memory.nodes, (NodeSet{0}));
}

TEST(MakePlan, SmtOffTakesTheFirstAllowedSibling) {
  auto job = job_for({0});
  job.smt = false;
  EXPECT_EQ(cpu_lists(plan_for(made_machine(), {}, job)), std::vector<std::string>{"0-11"});
  EXPECT_EQ(cpu_lists(plan_for(made_machine(), allowing("1-3,24-26"), job)), std::vector<std::string>{"1-3,24"});
}

TEST(MakePlan, ScopesOfOneGpu) {
  const auto m = made_machine({.nodes = 4, .cores_per_node = 8, .threads = 1, .cores_per_l3 = 4, .nodes_per_package = 2,
                               .gpus_per_node = 1});
  auto job = job_for({2});
  const auto cpus = [&](CpuScope scope) {
    job.cpus = scope;
    return cpu_lists(plan_for(m, {}, job)).at(0);
  };
  EXPECT_EQ(cpus(CpuScope::kNode), "16-23");
  EXPECT_EQ(cpus(CpuScope::kSocket), "16-31");
  EXPECT_EQ(cpus(CpuScope::kL3), "16-19");
  EXPECT_EQ(cpus(CpuScope::kExclusive), "16-23");
  EXPECT_EQ(cpus(CpuScope::kSpread), "0-31");
  EXPECT_EQ(cpus(CpuScope::kAll), "0-31");
  EXPECT_EQ(cpus(CpuScope::kNone), "");
}

TEST(MakePlan, GpusOfANodeTakeDifferentL3Groups) {
  const auto m = made_machine({.nodes = 1, .cores_per_node = 12, .threads = 1, .cores_per_l3 = 4, .gpus_per_node = 4});
  auto job = job_for({0, 1, 2, 3}, true);
  job.cpus = CpuScope::kL3;
  EXPECT_THAT(cpu_lists(plan_for(m, {}, job)), ElementsAre("0-3", "4-7", "8-11", "0-3"));
}

TEST(MakePlan, MemoryModes) {
  auto job = job_for({4});
  const auto memory = [&](MemoryMode mode) {
    job.memory = mode;
    return plan_for(made_machine(), {}, job).placements.at(0).memory;
  };
  EXPECT_EQ(memory(MemoryMode::kBind), (MemoryPolicy{MemoryMode::kBind, {1}, false}));
  EXPECT_EQ(memory(MemoryMode::kInterleave), (MemoryPolicy{MemoryMode::kInterleave, {1}, false}));
  EXPECT_EQ(memory(MemoryMode::kLocal), (MemoryPolicy{MemoryMode::kLocal, {}, false}));
  EXPECT_EQ(memory(MemoryMode::kNone), MemoryPolicy{});
}

TEST(MakePlan, Profiles) {
  Job inference = job_for({4}), big = job_for({4});
  apply_profile(*parse_profile("inference"), inference);
  apply_profile(*parse_profile("big-memory"), big);
  const auto p = plan_for(made_machine(), {}, inference).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "12-23");
  EXPECT_EQ(p.memory, (MemoryPolicy{MemoryMode::kBind, {1}, false}));
  const auto b = plan_for(made_machine(), {}, big).placements.at(0);
  EXPECT_EQ(b.cpus.to_list(), "12-23,36-47");
  EXPECT_EQ(b.memory, (MemoryPolicy{MemoryMode::kInterleave, {0, 1}, false}));
}

TEST(MakePlan, BigMemoryLeavesGpuAndCxlMemoryAlone) {
  auto m = made_machine();
  for (const auto kind : {MemoryKind::kGpu, MemoryKind::kCxl}) {
    NumaNode node;
    node.id = NodeId{static_cast<int>(m.nodes.size())};
    node.cpus = {CpuSet{}, Source::kSysfs};
    node.memory_total_bytes = {std::uint64_t{1} << 36, Source::kSysfs};
    node.kind = {kind, Source::kSysfs};
    m.nodes.push_back(node);
  }
  Job job = job_for({0});
  apply_profile(Profile::kBigMemory, job);
  EXPECT_EQ(plan_for(m, {}, job).placements.at(0).memory.nodes, (NodeSet{0, 1}));
}

TEST(MakePlan, ReserveKeepsTheFirstCores) {
  auto job = job_for({0});
  job.reserve_cores_per_node = 2;
  EXPECT_EQ(cpu_lists(plan_for(made_machine(), {}, job)).at(0), "2-11,26-35");
  job.reserve_cores_per_node = 12;
  const auto refused = make_plan(made_machine(), {}, job);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "reserve 12 cores per node: node 0 has 12 allowed");
}

TEST(MakePlan, WorkersAreSplitOffAndPreferredCoresStay) {
  auto m = made_machine();
  m.cores[2].highest_perf = 200;
  auto job = job_for({0});
  job.cpus = CpuScope::kExclusive;  // 3 cores: 0, 1, 2
  job.worker_cores = 2;
  const auto p = plan_for(m, {}, job).placements.at(0);
  EXPECT_EQ(p.main_cpus.to_list(), "2,26");
  EXPECT_EQ(p.worker_cpus.to_list(), "0-1,24-25");
  EXPECT_THAT(p.env, AllOf(Contains(Pair("NUMAPIN_MAIN_CPUS", "2,26")), Contains(Pair("NUMAPIN_WORKER_CPUS", "0-1,24-25"))));
  job.worker_cores = 3;
  EXPECT_THAT(make_plan(m, {}, job).error().hint, HasSubstr("--worker-cores 2"));
  job.worker_cores = {};
  job.auto_worker_cores = true;
  job.cpus = CpuScope::kNode;
  EXPECT_EQ(plan_for(m, {}, job).placements.at(0).main_cpus.to_list(), "0-2,24-26");
}

TEST(MakePlan, UnknownGpuIsRefused) {
  const auto refused = make_plan(made_machine(), {}, job_for({9}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kNotFound);
  EXPECT_EQ(refused.error().hint, "this machine has GPUs 0-7");
}

TEST(MakePlan, WithoutGpusOneProcessKeepsTheMachine) {
  const auto p = plan_for(made_machine(), {}, {}).placements.at(0);
  EXPECT_EQ(p.cpus.to_list(), "0-47");
  EXPECT_EQ(p.memory.mode, MemoryMode::kNone);
  EXPECT_THAT(p.env, IsEmpty());
}

TEST(MakePlan, WithoutGpusProcessesShareTheNodes) {
  Job job;
  job.processes = 4;
  job.cpus = CpuScope::kExclusive;
  const auto plan = plan_for(made_machine(), {}, job);
  EXPECT_THAT(cpu_lists(plan), ElementsAre("0-5,24-29", "6-11,30-35", "12-17,36-41", "18-23,42-47"));
  EXPECT_EQ(plan.placements[3].memory.nodes, (NodeSet{1}));
  job.cpus = CpuScope::kNode;
  EXPECT_THAT(cpu_lists(plan_for(made_machine(), {}, job)), ElementsAre("0-11,24-35", "0-11,24-35", "12-23,36-47", "12-23,36-47"));
}

TEST(MakePlan, MachineThatTellsNothing) {
  const auto plan = plan_for({}, {}, {});
  ASSERT_EQ(plan.placements.size(), 1u);
  EXPECT_TRUE(plan.placements[0].cpus.empty());
  EXPECT_THAT(actions(plan.placements[0]), IsEmpty());
}

TEST(MakePlan, CpusInNoNodeBelongToAllOfThem) {
  auto m = made_machine({.threads = 1, .gpus_per_node = 1});  // a table that ended before node 1's CPUs
  m.nodes[1].cpus = {CpuSet{}, Source::kNumactl};
  auto job = job_for({0});
  job.cpus = CpuScope::kAll;
  const auto all = plan_for(m, {}, job).placements.at(0);
  EXPECT_EQ(all.cpus.to_list(), "0-23");
  EXPECT_EQ(all.cores, 24);
  job.cpus = CpuScope::kNode;
  EXPECT_EQ(cpu_lists(plan_for(m, {}, job)).at(0), "0-11");
}

TEST(MakePlan, NodeWhoseCpusNobodyTellsIsSaid) {
  auto m = made_machine();
  for (auto& node : m.nodes) node.cpus = {};
  const auto p = plan_for(m, {}, job_for({0})).placements.at(0);
  EXPECT_TRUE(p.cpus.empty());
  EXPECT_THAT(p.warnings, Contains(HasSubstr("node 0 of GPU 0 is known, but no allowed CPU")));
}

TEST(MakePlan, MaskOfAnotherMachineIsSaid) {
  const auto plan = plan_for(made_machine(), allowing("64-71"), job_for({0}));
  EXPECT_TRUE(plan.placements.at(0).cpus.empty());
  EXPECT_THAT(plan.notes, Contains(HasSubstr("64-71")));
}

TEST(Exclusive, CountsAllGpusOfTheNode) {
  auto job = job_for({1}, true);
  job.cpus = CpuScope::kExclusive;
  const auto one = plan_for(made_machine(), {}, job);
  EXPECT_THAT(cpu_lists(one), ElementsAre("3-5,27-29"));
  EXPECT_THAT(one.placements[0].because, Contains(HasSubstr("share 2 of 4, 3 of 12 cores of node 0, counted over GPUs 0-3")));
  job.gpus = job_for({0, 1, 2, 3, 4, 5, 6, 7}).gpus;
  EXPECT_THAT(cpu_lists(plan_for(made_machine(), {}, job)),
              ElementsAre("0-2,24-26", "3-5,27-29", "6-8,30-32", "9-11,33-35", "12-14,36-38", "15-17,39-41",
                          "18-20,42-44", "21-23,45-47"));
}

TEST(Exclusive, ProcessesOfAGpuDivideItsShare) {
  auto job = job_for({0, 4}, true);
  job.cpus = CpuScope::kExclusive;
  job.processes_per_gpu = 3;
  EXPECT_THAT(cpu_lists(plan_for(made_machine(), {}, job)), ElementsAre("0,24", "1,25", "2,26", "12,36", "13,37", "14,38"));
}

TEST(Exclusive, EndsSharesAtL3WhereBalanceAllows) {
  // 9 cores in L3 groups of 5 and 4 for 2 GPUs: 5 + 4 cuts none, 4 + 5 would
  auto m = made_machine({.nodes = 1, .cores_per_node = 9, .threads = 1, .cores_per_l3 = 5, .gpus_per_node = 2});
  auto job = job_for({0, 1}, true);
  job.cpus = CpuScope::kExclusive;
  EXPECT_THAT(cpu_lists(plan_for(m, {}, job)), ElementsAre("0-4", "5-8"));
  // CPU 0 is not allowed: groups of 4 and 4
  EXPECT_THAT(cpu_lists(plan_for(m, allowing("1-8"), job)), ElementsAre("1-4", "5-8"));
  // groups of 3 and 4
  EXPECT_THAT(cpu_lists(plan_for(m, allowing("0-1,4-8"), job)), ElementsAre("0-1,4", "5-8"));
}

TEST(Exclusive, GpusOfSeveralNodesAreBalancedOverThem) {
  auto m = made_machine();  // SNC off in NVML's eyes: every GPU is near both nodes
  for (auto& gpu : m.gpus) gpu.numa_nodes = {NodeSet{0, 1}, Source::kNvml};
  auto job = job_for({0, 1, 2, 3, 4, 5, 6, 7}, true);
  job.cpus = CpuScope::kExclusive;
  const auto plan = plan_for(m, {}, job);
  EXPECT_EQ(plan.placements[0].cpus.to_list(), "0-2,24-26");
  EXPECT_EQ(plan.placements[7].cpus.to_list(), "21-23,45-47");
  EXPECT_EQ(plan.placements[0].memory.nodes, (NodeSet{0}));
  EXPECT_EQ(plan.placements[7].memory.nodes, (NodeSet{1}));
  job.cpus = CpuScope::kNode;
  EXPECT_EQ(plan_for(m, {}, job).placements[3].cpus.to_list(), "0-11,24-35");
  EXPECT_EQ(plan_for(m, {}, job).placements[4].cpus.to_list(), "12-23,36-47");
  EXPECT_EQ(plan_for(m, {}, job_for({3})).placements[0].cpus.to_list(), "0-47");  // run: the union
}

TEST(Exclusive, NodesOfFewGpusAreDealtOut) {
  auto m = made_machine({.nodes = 4, .cores_per_node = 4, .threads = 1, .gpus_per_node = 0});
  for (int i = 0; i < 2; ++i) {
    Gpu gpu;
    gpu.index = i;
    gpu.vendor = 0x10de;
    gpu.numa_nodes = {NodeSet{0, 1, 2, 3}, Source::kNvml};
    m.gpus.push_back(gpu);
  }
  auto job = job_for({0, 1}, true);
  job.cpus = CpuScope::kExclusive;
  EXPECT_THAT(cpu_lists(plan_for(m, {}, job)), ElementsAre("0-7", "8-15"));
  job.cpus = CpuScope::kNode;
  EXPECT_THAT(cpu_lists(plan_for(m, {}, job)), ElementsAre("0-7", "8-15"));
}

TEST(Exclusive, OverlapIsAnnounced) {
  auto job = job_for({0, 1, 2}, true);
  job.cpus = CpuScope::kExclusive;
  const auto two = plan_for(made_machine(), allowing("0-1"), job);
  for (const auto& p : two.placements) {
    EXPECT_EQ(p.cores, 1);
    EXPECT_THAT(p.warnings, Contains(HasSubstr("2 allowed cores on node 0 for GPUs 0-2: they overlap")));
  }
  // enough for this job's GPU, not for all four of the node
  job.gpus = job_for({2}).gpus;
  const auto one = plan_for(made_machine(), allowing("0-1"), job);
  EXPECT_THAT(cpu_lists(one), ElementsAre("0-1"));
  EXPECT_THAT(one.placements[0].warnings, Contains(HasSubstr("another job there would overlap")));
  job.processes_per_gpu = 4;
  EXPECT_THAT(plan_for(made_machine(), {}, job).placements[0].warnings,
              Contains(HasSubstr("3 cores for 4 processes of GPU 2: they overlap")));
}

TEST(Exclusive, ProcessorGraphicsIsNoCompetitor) {
  auto m = made_machine({.nodes = 1, .gpus_per_node = 1});
  Gpu igpu = m.gpus[0];
  igpu.vendor = 0x8086;
  igpu.address = PciAddress{0, 0, 2, 0};
  m.gpus[0].index = 1;
  m.gpus.insert(m.gpus.begin(), igpu);
  auto job = job_for({1}, true);
  job.cpus = CpuScope::kExclusive;
  EXPECT_EQ(cpu_lists(plan_for(m, {}, job)).at(0), "0-23");
}

TEST(Exclusive, VirtualFunctionsAreNoCompetitors) {
  auto m = made_machine({.nodes = 1, .gpus_per_node = 4});
  for (std::size_t i = 1; i < 4; ++i) {
    PciDevice vf;
    vf.address = *m.gpus[i].address;
    vf.physfn = *m.gpus[0].address;
    m.pci.push_back(vf);
  }
  auto job = job_for({0}, true);
  job.cpus = CpuScope::kExclusive;
  EXPECT_EQ(cpu_lists(plan_for(m, {}, job)).at(0), "0-23");
}

TEST(Spread, EveryProcessHasCoresOfEveryNode) {
  auto job = job_for({0, 1, 2, 3, 4}, true);
  job.cpus = CpuScope::kSpread;
  const auto m = made_machine({.threads = 1});
  const auto plan = plan_for(m, {}, job);
  CpuSet seen;
  for (const auto& p : plan.placements) {
    EXPECT_TRUE(p.cores == 4 || p.cores == 5);
    EXPECT_FALSE(p.cpus.intersects(seen));
    seen |= p.cpus;
    for (const auto& node : m.nodes) EXPECT_TRUE(p.cpus.intersects(*node.cpus));
  }
  EXPECT_EQ(seen.size(), 24);
}

TEST(Actions, BindThenPolicyThenEnvironment) {
  const auto steps = actions(plan_for(made_machine(), {}, job_for({0})).placements.at(0));
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<SetAffinity>(steps[0]));
  EXPECT_TRUE(std::holds_alternative<SetMemoryPolicy>(steps[1]));
  EXPECT_TRUE(std::holds_alternative<SetEnv>(steps[2]));
}

}  // namespace
}  // namespace numapin
