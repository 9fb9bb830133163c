#include "numapin/perform.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "os/kernel.h"

namespace numapin {
namespace {

const MemoryPolicy kBind1{MemoryMode::kBind, {1}};
const std::vector<Action> kBindActions = {SetAffinity{{4, 5}}, SetMemoryPolicy{kBind1}, SetEnv{"A", "b"}};

using Calls = std::vector<std::string>;

Calls memory_calls(const RecordingKernel& kernel) {
  Calls calls;
  for (const auto& call : kernel.calls()) {
    if (call.starts_with("set_memory_policy")) calls.push_back(call);
  }
  return calls;
}

TEST(Perform, DoesWhatIsAskedInOrder) {
  RecordingKernel kernel;
  const auto outcome = perform(kBindActions, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->complete());
  EXPECT_EQ(outcome->cpus, (CpuSet{4, 5}));
  EXPECT_EQ(outcome->memory_got, kBind1);
  EXPECT_EQ(kernel.calls(), (Calls{"set_affinity 4-5", "get_affinity", "set_memory_policy bind node 1", "set_env A"}));
}

TEST(Perform, FallsFromBindToPreferredMany) {
  RecordingKernel kernel;
  kernel.refuse("set_memory_policy bind", EPERM);
  const auto outcome = perform(kBindActions, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->memory_got, (MemoryPolicy{MemoryMode::kPreferred, {1}}));
  ASSERT_EQ(outcome->losses.size(), 1u);
  EXPECT_EQ(outcome->losses[0].message, "set memory bind node 1: set_mempolicy: Operation not permitted");
  EXPECT_NE(outcome->losses[0].hint.find("--cap-add SYS_NICE"), std::string::npos);
}

TEST(Perform, FallsToCpusOnlyWhereSeccompRefusesEveryPolicy) {
  RecordingKernel kernel;
  kernel.refuse("set_memory_policy", EPERM);
  const auto outcome = perform(kBindActions, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(memory_calls(kernel),
            (Calls{"set_memory_policy bind node 1", "set_memory_policy preferred node 1",
                   "set_memory_policy one preferred node 1"}));
  EXPECT_EQ(outcome->memory_got.mode, MemoryMode::kNone);
  EXPECT_EQ(outcome->cpus, (CpuSet{4, 5}));
  EXPECT_EQ(kernel.env().at("A"), "b");  // what comes after a refusal is still done
}

TEST(Perform, FallsToNothing) {
  RecordingKernel kernel;
  kernel.refuse("set_memory_policy", ENOSYS);
  kernel.refuse("set_affinity", EINVAL);
  const auto outcome = perform(kBindActions, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->cpus.empty());
  EXPECT_EQ(outcome->losses.size(), 4u);
}

TEST(Perform, PreferringOneNodeOnAnOldKernelIsNoLoss) {
  RecordingKernel kernel;
  kernel.put_allowed_nodes({0, 1});
  kernel.refuse("set_memory_policy preferred", EINVAL);
  const auto outcome = perform(std::vector<Action>{SetMemoryPolicy{{MemoryMode::kPreferred, {1}}}}, kernel, true);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->memory_got, (MemoryPolicy{MemoryMode::kPreferredOne, {1}}));
  EXPECT_TRUE(outcome->complete());
}

TEST(Perform, PreferringSeveralNodesOnAnOldKernelTakesTheFirstAndSaysSo) {
  RecordingKernel kernel;
  kernel.put_allowed_nodes({0, 1});
  kernel.refuse("set_memory_policy preferred", EINVAL);
  const auto outcome = perform(std::vector<Action>{SetMemoryPolicy{{MemoryMode::kPreferred, {0, 1}}}}, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->memory_got.mode, MemoryMode::kPreferredOne);
  ASSERT_EQ(outcome->losses.size(), 1u);
  EXPECT_NE(outcome->losses[0].hint.find("5.15"), std::string::npos);
}

TEST(Perform, NamesTheNodesTheCpusetAllows) {
  RecordingKernel kernel;
  kernel.refuse("set_memory_policy", EINVAL);
  kernel.put_allowed_nodes({0, 2});
  const auto outcome = perform(std::vector<Action>{SetMemoryPolicy{kBind1}}, kernel, true);
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().hint.find("nodes 0,2 only"), std::string::npos) << outcome.error().hint;
}

TEST(Perform, WeightedInterleaveFallsToPlainOne) {
  RecordingKernel kernel;
  kernel.put_allowed_nodes({0, 1});
  kernel.refuse("set_memory_policy weighted-interleave", EINVAL);
  const MemoryPolicy weighted{MemoryMode::kWeightedInterleave, {0, 1}};
  const auto outcome = perform(std::vector<Action>{SetMemoryPolicy{weighted}}, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->memory_got, (MemoryPolicy{MemoryMode::kInterleave, {0, 1}}));
  EXPECT_EQ(outcome->losses.at(0).hint, "weighted interleave needs Linux 6.9 or later");
}

TEST(Perform, StrictStopsAtTheFirstRefusal) {
  RecordingKernel kernel;
  kernel.refuse("set_memory_policy bind", EPERM);
  const auto outcome = perform(kBindActions, kernel, true);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, Error::Kind::kDenied);
  EXPECT_EQ(memory_calls(kernel), Calls{"set_memory_policy bind node 1"});
  EXPECT_TRUE(kernel.env().empty());
}

TEST(Perform, SaysWhatACpusetDropsInSilence) {
  RecordingKernel kernel;
  kernel.limit_cpus({4});
  const auto outcome = perform(kBindActions, kernel, false);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->cpus, CpuSet{4});
  EXPECT_EQ(outcome->losses.at(0).message, "set CPUs 4-5: the kernel left out 5");
}

TEST(Verify, AcceptsWhatWasSet) {
  RecordingKernel kernel;
  kernel.put_page_node(NodeId{1});
  const auto outcome = perform(kBindActions, kernel, false);
  EXPECT_TRUE(verify(*outcome, kernel));
}

TEST(Verify, FindsAPageOnAnotherNode) {
  RecordingKernel kernel;
  kernel.put_page_node(NodeId{0});
  const auto outcome = perform(kBindActions, kernel, false);
  const auto verdict = verify(*outcome, kernel);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().message, "verify a touched page: asked for node 1, the kernel has node 0");
}

TEST(Verify, FindsAPolicyThatCouldNotBeSet) {
  RecordingKernel kernel;
  kernel.refuse("set_memory_policy", EPERM);
  const auto outcome = perform(kBindActions, kernel, false);
  EXPECT_FALSE(verify(*outcome, kernel));
}

TEST(Verify, FindsAMaskThatSomeoneElseChanged) {
  RecordingKernel kernel;
  kernel.put_page_node(NodeId{1});
  const auto outcome = perform(kBindActions, kernel, false);
  kernel.set_affinity(0, {7});
  EXPECT_FALSE(verify(*outcome, kernel));
}

TEST(RealKernel, SetsAndReadsBackItsOwnMaskAndPolicy) {
  RealKernel kernel;
  CpuSet before, after;
  ASSERT_EQ(kernel.get_affinity(0, before), 0);
  ASSERT_FALSE(before.empty());
  ASSERT_EQ(kernel.set_affinity(0, CpuSet::of(before.last())), 0);
  ASSERT_EQ(kernel.get_affinity(0, after), 0);
  EXPECT_EQ(after, CpuSet::of(before.last()));
  EXPECT_EQ(kernel.set_affinity(0, CpuSet{65535}), EINVAL);
  ASSERT_EQ(kernel.set_affinity(0, before), 0);

  NodeSet nodes;
  const int error = kernel.get_allowed_nodes(nodes);
  if (error == EPERM || error == ENOSYS) GTEST_SKIP() << "this kernel or container refuses get_mempolicy";
  ASSERT_FALSE(nodes.empty());
  const MemoryPolicy bind{MemoryMode::kBind, nodes};
  ASSERT_EQ(kernel.set_memory_policy(bind), 0);
  MemoryPolicy found;
  ASSERT_EQ(kernel.get_memory_policy(found), 0);
  EXPECT_EQ(found, bind);
  NodeId node{};
  ASSERT_EQ(kernel.touch_page(node), 0);
  EXPECT_TRUE(nodes.contains(node));
  ASSERT_EQ(kernel.set_memory_policy({MemoryMode::kLocal, {}}), 0);
  ASSERT_EQ(kernel.get_memory_policy(found), 0);
  EXPECT_EQ(found.mode, MemoryMode::kLocal);
  ASSERT_EQ(kernel.set_memory_policy({MemoryMode::kDefault, {}}), 0);
}

}  // namespace
}  // namespace numapin
