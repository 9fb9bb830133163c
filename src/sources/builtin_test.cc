#include "sources/builtin.h"

#include <gmock/gmock.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Machine machine(std::string_view name) { return find_builtin_machine(name).value().machine; }

std::vector<std::string> gpu_nodes(const Machine& m) {
  std::vector<std::string> nodes;
  for (const auto& gpu : m.gpus) nodes.push_back(gpu.numa_nodes ? gpu.numa_nodes->to_list() : "?");
  return nodes;
}

std::string link(const Machine& m, int from, int to) {
  const auto* found = find_link(m, {DeviceRef::Type::kGpu, from}, {DeviceRef::Type::kGpu, to});
  return found == nullptr ? "none" : to_string(*found);
}

TEST(Builtin, EveryMachineHoldsEveryInvariant) {
  const auto machines = builtin_machines();
  ASSERT_GE(machines.size(), 6u);
  for (const auto& listed : machines) {
    EXPECT_THAT(check(machine(listed.name)), IsEmpty()) << listed.name;
    EXPECT_FALSE(listed.description.empty()) << listed.name;
  }
}

TEST(Builtin, UnknownNameIsNoMachine) {
  EXPECT_FALSE(find_builtin_machine("dual-a10"));
  EXPECT_FALSE(find_builtin_machine(""));
}

TEST(Builtin, DualA100IsTheOneOfTheArticle) {
  const auto m = machine("dual-a100");
  EXPECT_EQ(find_node(m, NodeId{0})->cpus->to_list(), "0-11,24-35");
  EXPECT_EQ(find_node(m, NodeId{1})->cpus->to_list(), "12-23,36-47");
  EXPECT_EQ(*find_node(m, NodeId{0})->memory_total_bytes >> 20, 128237u);
  EXPECT_EQ(distance(m, NodeId{0}, NodeId{1}), 21);
  EXPECT_THAT(gpu_nodes(m), ElementsAre("0", "0", "0", "0", "1", "1", "1", "1"));
  EXPECT_EQ(m.gpus[0].address->to_string(), "0000:17:00.0");
  EXPECT_EQ(m.gpus[4].address->to_string(), "0000:ca:00.0");
  EXPECT_EQ(m.gpus[0].device, 0x20b5);
  EXPECT_EQ(link(m, 0, 3), "NV12");
  EXPECT_EQ(link(m, 0, 4), "SYS");
}

TEST(Builtin, DgxH100PairsEachGpuWithItsRail) {
  const auto m = machine("dgx-h100");
  EXPECT_EQ(online_cpus(m).size(), 224);
  EXPECT_THAT(gpu_nodes(m), ElementsAre("0", "0", "0", "0", "1", "1", "1", "1"));
  EXPECT_EQ(link(m, 0, 7), "NV18");
  ASSERT_EQ(m.nics.size(), 12u);
  for (std::size_t i = 0; i < m.nics.size(); ++i) EXPECT_EQ(m.nics[i].name, "mlx5_" + std::to_string(i));
  const auto* rail = find_link(m, {DeviceRef::Type::kGpu, 1}, {DeviceRef::Type::kNic, 3});
  ASSERT_NE(rail, nullptr);
  EXPECT_LE(rail->kind, LinkKind::kPxb);
}

TEST(Builtin, Gh200HasGpuMemoryAsANode) {
  const auto m = machine("gh200");
  EXPECT_THAT(gpu_nodes(m), ElementsAre("0"));
  EXPECT_EQ(m.gpus[0].memory_node.value, NodeId{1});
  EXPECT_EQ(dram_nodes(m).to_list(), "0");
  EXPECT_EQ(memory_nodes(m).to_list(), "0-1");
  EXPECT_EQ(cpu_nodes(m).to_list(), "0");
  EXPECT_EQ(m.nodes.size(), 9u);
}

TEST(Builtin, EpycHasItsGpusInNoOrder) {
  const auto m = machine("epyc-nps4");
  EXPECT_THAT(gpu_nodes(m), ElementsAre("3", "3", "1", "1", "7", "7", "5", "5"));
  EXPECT_EQ(m.l3.size(), 32u);
  EXPECT_EQ(distance(m, NodeId{0}, NodeId{4}), 32);
}

TEST(Builtin, OneNodeAnswersMinusOneAndTwoDoNot) {
  EXPECT_THAT(gpu_nodes(machine("vm")), ElementsAre("0"));
  EXPECT_EQ(machine("vm").gpus[0].numa_nodes.source, Source::kOneNode);
  EXPECT_THAT(gpu_nodes(machine("vm-2node-unknown")), ElementsAre("?", "?", "?", "?"));
}

}  // namespace
}  // namespace numapin
