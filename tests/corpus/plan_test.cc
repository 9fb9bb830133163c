// Every promise of a plan (check(Plan)), on every recorded tree and every built-in machine, for many jobs and allowances.
#include <gmock/gmock.h>

#include "corpus.h"
#include "numapin/plan.h"
#include "numapin/sources.h"
#include "sources/builtin.h"
#include "support/random_machine.h"

namespace numapin::test {
namespace {

using testing::IsEmpty;

void keep_promises(const Machine& m, int jobs) {
  for (int i = 0; i < jobs; ++i) {
    Dice dice(static_cast<unsigned>(i));
    const auto a = i == 0 ? Allowance{} : random_allowance(dice, m);
    const auto job = random_job(dice, m);
    const auto plan = make_plan(m, a, job);
    if (!plan) {
      EXPECT_EQ(plan.error().kind, Error::Kind::kBadInput) << plan.error().message;
      continue;
    }
    ASSERT_THAT(check(m, a, job, *plan), IsEmpty())
        << "job " << i << ": cpus " << to_string(job.cpus) << ", allowed " << (a.cpus ? a.cpus->to_list() : "all");
  }
}

/// A GPU with a known node and nothing in the way is bound to that node, whatever else the machine has.
void bind_every_gpu(const Machine& m) {
  for (const auto& gpu : m.gpus) {
    if (!gpu.numa_nodes || cpus_of(m, *gpu.numa_nodes).empty()) continue;
    Job job;
    job.gpus = {{gpu.index, "", {}}};
    const auto plan = make_plan(m, {}, job);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->placements[0].cpus, cpus_of(m, *gpu.numa_nodes) & online_cpus(m)) << "GPU " << gpu.index;
    EXPECT_THAT(plan->placements[0].warnings, IsEmpty());
  }
}

class CorpusPlan : public testing::TestWithParam<CorpusCase> {};

TEST_P(CorpusPlan, KeepsItsPromises) {
  const auto tree = corpus_tree(GetParam());
  ASSERT_TRUE(tree);
  auto m = from_files(*tree);
  ASSERT_TRUE(m) << m.error().message;
  complete(*m);
  keep_promises(*m, 40);
  bind_every_gpu(*m);
}
TEST_P(CorpusPlan, WithoutGpusNeedsNoDevices) {
  const auto tree = corpus_tree(GetParam());
  ASSERT_TRUE(tree);
  const auto whole = discover(*tree, nullptr), part = discover_without_devices(*tree);
  ASSERT_TRUE(whole && part);
  for (int i = 0; i < 40; ++i) {
    Dice dice(static_cast<unsigned>(i));
    const auto a = i == 0 ? whole->allowance : random_allowance(dice, whole->machine);
    auto job = random_job(dice, whole->machine);
    job.gpus.clear();
    const auto full = make_plan(whole->machine, a, job), quick = make_plan(part->machine, a, job);
    ASSERT_EQ(full.has_value(), quick.has_value());
    if (full) {
      EXPECT_EQ(*full, *quick) << "job " << i;
    }
  }
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CorpusPlan);
INSTANTIATE_TEST_SUITE_P(Machines, CorpusPlan, testing::ValuesIn(corpus_cases("sysfs")),
                         [](const auto& one) { return test_name(one.param); });

TEST(BuiltinPlan, KeepsItsPromises) {
  for (const auto& known : builtin_machines()) {
    SCOPED_TRACE(known.name);
    const auto system = find_builtin_machine(known.name);
    ASSERT_TRUE(system);
    keep_promises(system->machine, 200);
    bind_every_gpu(system->machine);
  }
}

TEST(BuiltinPlan, DualA100ExclusiveSharesAreThreeCores) {
  const auto system = find_builtin_machine("dual-a100");
  ASSERT_TRUE(system);
  Job job;
  job.one_process_per_gpu = true;
  job.cpus = CpuScope::kExclusive;
  for (const auto& gpu : system->machine.gpus) job.gpus.push_back({gpu.index, "", {}});
  const auto plan = make_plan(system->machine, {}, job);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->placements.size(), 8u);
  EXPECT_EQ(plan->placements[0].cpus.to_list(), "0-2,24-26");
  EXPECT_EQ(plan->placements[7].cpus.to_list(), "21-23,45-47");
}

}  // namespace
}  // namespace numapin::test
