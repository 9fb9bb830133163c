// What holds for every plan, on machines that nobody has recorded.
#include <gmock/gmock.h>

#include <functional>

#include "numapin/plan.h"
#include "support/made_machine.h"
#include "support/random_machine.h"

namespace numapin {
namespace {

using testing::IsEmpty;

std::string describe(const Machine& m, const Allowance& a, const Job& job) {
  std::string text = fmt::format("allowed {} mems {} gpus {} each {} x{} processes {} scope {} smt {} reserve {}\n",
                                 a.cpus ? a.cpus->to_list() : "all", a.mems ? a.mems->to_list() : "all", job.gpus.size(),
                                 job.one_process_per_gpu, job.processes_per_gpu, job.processes, to_string(job.cpus), job.smt,
                                 job.reserve_cores_per_node);
  for (const auto& node : m.nodes) text += fmt::format("node {} cpus {}\n", number(node.id), node.cpus->to_list());
  for (const auto& core : m.cores) text += "core " + core.cpus.to_list() + "\n";
  for (const auto& gpu : m.gpus)
    text += fmt::format("gpu {} nodes {}\n", gpu.index, gpu.numa_nodes ? gpu.numa_nodes->to_list() : "unknown");
  return text;
}

TEST(PlanProperties, HoldOnRandomMachines) {
  int planned = 0, refused = 0;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    test::Dice dice(seed);
    const auto m = test::random_machine(dice);
    ASSERT_THAT(check(m), IsEmpty()) << "seed " << seed;
    const auto a = test::random_allowance(dice, m);
    const auto job = test::random_job(dice, m);
    const auto plan = make_plan(m, a, job);
    const auto again = make_plan(m, a, job);
    ASSERT_EQ(plan.has_value(), again.has_value());
    if (!plan) {
      ++refused;
      EXPECT_EQ(plan.error().kind, Error::Kind::kBadInput);
      EXPECT_FALSE(plan.error().hint.empty()) << plan.error().message;
      continue;
    }
    ++planned;
    EXPECT_EQ(*plan, *again) << "seed " << seed;
    ASSERT_THAT(check(m, a, job, *plan), IsEmpty()) << "seed " << seed << "\n" << describe(m, a, job);
  }
  EXPECT_GT(planned, 1500);
  EXPECT_GT(refused, 50);
}

// Two jobs started one after the other, each knowing only its own GPU, do not meet.
TEST(PlanProperties, SeparateExclusiveJobsDoNotMeet) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    test::Dice dice(seed);
    const auto m = test::random_machine(dice);
    const auto a = test::random_allowance(dice, m);
    Job together;
    together.cpus = CpuScope::kExclusive;
    together.one_process_per_gpu = true;
    for (const auto& gpu : m.gpus) together.gpus.push_back({gpu.index, "", {}});
    if (together.gpus.empty()) continue;
    const auto all = make_plan(m, a, together);
    ASSERT_TRUE(all);
    for (std::size_t i = 0; i < m.gpus.size(); ++i) {
      Job alone = together;
      alone.gpus = {together.gpus[i]};
      const auto one = make_plan(m, a, alone);
      ASSERT_TRUE(one);
      const auto& p = one->placements[0];
      if (!p.warnings.empty()) continue;
      EXPECT_EQ(p.cpus, all->placements[i].cpus) << "seed " << seed << " GPU " << i;
    }
  }
}

TEST(PlanProperties, BrokenPlansAreFound) {
  test::Dice dice(1);
  const auto m = test::random_machine(dice);
  Job job;
  job.processes = 2;
  job.cpus = CpuScope::kExclusive;
  auto plan = make_plan(m, {}, job);
  ASSERT_TRUE(plan);
  ASSERT_THAT(check(m, {}, job, *plan), IsEmpty());
  auto overlapping = *plan;
  overlapping.placements[1].cpus |= overlapping.placements[0].cpus;
  EXPECT_THAT(check(m, {}, job, overlapping), testing::Contains(testing::HasSubstr("share CPUs")));
  auto foreign = *plan;
  foreign.placements[0].cpus.insert(CpuId{5000});
  EXPECT_THAT(check(m, {}, job, foreign), testing::Contains(testing::HasSubstr("not allowed")));
  auto missing = *plan;
  missing.placements.pop_back();
  EXPECT_THAT(check(m, {}, job, missing), testing::Contains(testing::HasSubstr("1 placements for 2")));
}

/// What check() says of a plan for all GPUs once it has been broken.
std::vector<std::string> after(const Machine& m, Job job, const std::function<void(Plan&)>& damage) {
  job.cpus = CpuScope::kExclusive;
  job.one_process_per_gpu = true;
  for (const auto& gpu : m.gpus) job.gpus.push_back({gpu.index, "", {}});
  auto plan = make_plan(m, {}, job);
  if (!plan) return {plan.error().message};
  EXPECT_THAT(check(m, {}, job, *plan), IsEmpty());
  damage(*plan);
  return check(m, {}, job, *plan);
}

TEST(PlanProperties, AReservedCoreIsMissed) {
  Job job;
  job.reserve_cores_per_node = 1;
  EXPECT_THAT(after(test::made_machine(), job, [](Plan& p) { p.placements[0].cpus |= CpuSet{0, 24}; }),
              testing::Contains(testing::HasSubstr("core 0,24 is reserved")));
}

TEST(PlanProperties, APreferredCoreOfAWorkerIsFound) {
  auto m = test::made_machine();
  m.cores[1].highest_perf = 200;
  Job job;
  job.worker_cores = 2;
  EXPECT_THAT(after(m, job, [](Plan& p) {
    p.placements[0].main_cpus = {0, 24};
    p.placements[0].worker_cpus = {1, 2, 25, 26};
  }), testing::Contains(testing::HasSubstr("workers have a preferred core")));
}

TEST(PlanProperties, AShareAcrossL3GroupsIsFound) {
  const auto m = test::made_machine({.nodes = 1, .cores_per_node = 8, .threads = 1, .cores_per_l3 = 4, .gpus_per_node = 4});
  EXPECT_THAT(after(m, {}, [](Plan& p) {
    p.placements[1].cpus = {3, 4};
    p.placements[2].cpus = {2, 5};
  }), testing::Contains(testing::HasSubstr("rank 1: 2 cores lie in 2 L3 groups of 4")));
}

TEST(PlanProperties, UnequalSharesOfGpusWithSeveralNodesAreFound) {
  auto m = test::made_machine();
  for (auto& gpu : m.gpus) gpu.numa_nodes = {NodeSet{0, 1}, Source::kNvml};
  EXPECT_THAT(after(m, {}, [](Plan& p) {
    p.placements[0].cpus = {0, 24};
    p.placements[0].cores = 1;
  }), testing::Contains(testing::HasSubstr("node 0-1: shares between 1 and 3 cores")));
}

TEST(VisibleProperties, NoTextCrashes) {
  constexpr std::string_view kPieces[] = {"0", "1", "7", "-", ",", ".", " ", "GPU-", "MIG-", "0000000000001003", "/", ":",
                                          "00", "0x2", "all", "none", "-1", "MIG-1a", "04:00.0", "99999999999", "\n", "é"};
  const auto text = [&](test::Dice& dice) {
    std::string s;
    for (int n = dice.between(0, 6); n > 0; --n) s += kPieces[dice.between(0, static_cast<int>(std::size(kPieces)) - 1)];
    return s;
  };
  for (unsigned seed = 0; seed < 3000; ++seed) {
    test::Dice dice(seed);
    const auto m = test::random_machine(dice);
    Allowance a;
    for (const auto name : visibility_variables())
      if (dice.percent(30)) a.visible_env[std::string(name)] = text(dice);
    const auto spec = text(dice);
    for (const auto& choice : {choose_gpus(m, a, spec), visible_gpus(m, a)}) {
      if (!choice) {
        EXPECT_FALSE(choice.error().message.empty());
        continue;
      }
      for (const auto& chosen : choice->gpus) ASSERT_LT(chosen.gpu, static_cast<int>(m.gpus.size()));
      visible_environment(m, a, choice->gpus);
    }
  }
}

}  // namespace
}  // namespace numapin
