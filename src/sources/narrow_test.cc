#include <gtest/gtest.h>

#include "numapin/plan.h"
#include "numapin/sources.h"
#include "numapin/visible.h"
#include "sources/server_tree.h"

namespace numapin {
namespace {

using test::ServerShape;
using test::ServerTree;

constexpr std::size_t kMostFiles = 40;

System full(const FileTree& tree, std::map<std::string, std::string> env = {}) {
  auto s = discover(tree, nullptr, std::move(env));
  EXPECT_TRUE(s) << s.error().message;
  return std::move(*s);
}

/// What `run` does with a system.
std::vector<Placement> placements(const System& s, std::optional<std::string_view> spec) {
  Job job;
  const auto choice = choose_gpus(s.machine, s.allowance, spec);
  EXPECT_TRUE(choice) << choice.error().message;
  job.gpus = choice->gpus;
  auto plan = make_plan(s.machine, s.allowance, job);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan->placements;
}

void expect_same_answer(const FileTree& tree, std::optional<std::string_view> spec, std::map<std::string, std::string> env = {}) {
  const auto narrow = discover_narrow(tree, env, spec);
  ASSERT_TRUE(narrow);
  EXPECT_EQ(check(narrow->machine), std::vector<std::string>{});
  const auto all = full(tree, env);
  ASSERT_EQ(narrow->machine.gpus.size(), all.machine.gpus.size());
  for (std::size_t i = 0; i < all.machine.gpus.size(); ++i) {
    EXPECT_EQ(narrow->machine.gpus[i].address, all.machine.gpus[i].address);
    EXPECT_EQ(narrow->machine.gpus[i].uuid, all.machine.gpus[i].uuid);
  }
  const auto ours = placements(*narrow, spec), theirs = placements(all, spec);
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].gpus, theirs[i].gpus);
    EXPECT_EQ(ours[i].cpus.to_list(), theirs[i].cpus.to_list());
    EXPECT_EQ(ours[i].memory, theirs[i].memory);
    EXPECT_EQ(ours[i].near_nodes, theirs[i].near_nodes);
    EXPECT_EQ(ours[i].env, theirs[i].env);
    EXPECT_EQ(ours[i].warnings, theirs[i].warnings);
  }
}

TEST(Narrow, ReadsAtMost40FilesOf8Gpus256Cpus) {
  const ServerTree server({});
  ASSERT_EQ(server.total_cpus(), 256);
  RecordingTree counted(server.tree);
  const auto s = discover_narrow(counted, {}, "5");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->machine.gpus.size(), 8u);
  EXPECT_EQ(s->machine.gpus[5].numa_nodes->to_list(), "1");
  EXPECT_EQ(*find_node(s->machine, NodeId{1})->cpus, server.node_cpus(1));
  // 1 list of PCI devices, 9 classes (8 GPUs, 1 console), 8 informations, numa_node, 2 of the node, 2 of what is online,
  // 2 of the allowance
  EXPECT_EQ(counted.record().reads.size(), 25u);
  EXPECT_LE(counted.record().reads.size(), kMostFiles);
  expect_same_answer(server.tree, "5");
}

TEST(Narrow, ReadsAtMost40FilesOf8AmdGpus) {
  ServerShape shape;
  shape.amd = true;
  const ServerTree server(shape);
  RecordingTree counted(server.tree);
  ASSERT_TRUE(discover_narrow(counted, {}, "5"));
  EXPECT_LE(counted.record().reads.size(), kMostFiles);
  expect_same_answer(server.tree, "5");
}

TEST(Narrow, GivesTheAnswerOfTheFullModel) {
  for (const int nodes : {2, 8}) {
    ServerShape shape;
    shape.nodes = nodes;
    shape.cpus_per_node = 256 / nodes;
    const ServerTree server(shape);
    for (const auto* spec : {"3", "4-7", "GPU-00000002", "0000:22:00.0", "all"}) {
      SCOPED_TRACE(spec);
      expect_same_answer(server.tree, spec);
    }
    expect_same_answer(server.tree, "1", {{"CUDA_VISIBLE_DEVICES", "6,2"}});
    expect_same_answer(server.tree, std::nullopt, {{"CUDA_VISIBLE_DEVICES", "GPU-00000004"}});
  }
}

TEST(Narrow, CountsWithinTheAllowedCpus) {
  ServerTree server({});
  server.add_status("0-3,64-67,128-131", "0-1");
  expect_same_answer(server.tree, "0");
  expect_same_answer(server.tree, "7");
}

TEST(Narrow, OneNodeNeedsNoNumaNode) {
  ServerShape shape;
  shape.nodes = 1;
  shape.cpus_per_node = 16;
  shape.gpus = 1;
  shape.numa_node_known = false;
  expect_same_answer(ServerTree(shape).tree, "0");
}

TEST(Narrow, LeavesDoubtToTheFullModel) {
  ServerShape unknown;
  unknown.numa_node_known = false;
  EXPECT_FALSE(discover_narrow(ServerTree(unknown).tree, {}, "0")) << "numa_node is -1 on a machine with two nodes";
  ServerShape partitioned;
  partitioned.amd = true, partitioned.partitions = 2, partitioned.gpus = 2;
  EXPECT_FALSE(discover_narrow(ServerTree(partitioned).tree, {}, "0")) << "partitions renumber GPUs";
  ServerShape without;
  without.has_proc_bus_pci = false;
  EXPECT_FALSE(discover_narrow(ServerTree(without).tree, {}, "0")) << "no /proc/bus/pci";
  EXPECT_FALSE(discover_narrow(ServerTree({}).tree, {}, "8")) << "the error message is the full model's";

  ServerTree elsewhere({});
  elsewhere.add_status("0-3", "0-1");
  EXPECT_FALSE(discover_narrow(elsewhere.tree, {}, "7")) << "no CPU of node 1 is allowed";
  ServerTree no_mems({});
  no_mems.add_status("0-255", "0");
  EXPECT_FALSE(discover_narrow(no_mems.tree, {}, "7")) << "node 1 is not among the allowed memory nodes";
  ServerTree mig({});
  mig.tree.add_file("/proc/driver/nvidia/capabilities/gpu5/mig/gi3/access", "DeviceFileMinor: 30\n");
  EXPECT_FALSE(discover_narrow(mig.tree, {}, "5")) << "MIG instances are NVML's to tell";
  EXPECT_TRUE(discover_narrow(mig.tree, {}, "4"));
  ServerTree no_memory({});
  no_memory.tree.add_file("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 0 kB\n");
  EXPECT_FALSE(discover_narrow(no_memory.tree, {}, "7")) << "node 1 has no memory";
}

/// /proc/bus/pci/devices names no domain: bus 12 of domain 1 must not pass for that of domain 0.
TEST(Narrow, TellsPciDomainsApart) {
  ServerTree server({});
  const std::string other = "/sys/devices/pci0001:10/0001:12:00.0";
  for (const auto& [file, text] : {std::pair("class", "0x010802\n"), {"vendor", "0x144d\n"}, {"device", "0xa80a\n"}, {"numa_node", "1\n"}})
    server.tree.add_file(other + "/" + file, text);
  server.tree.add_link("/sys/bus/pci/devices/0001:12:00.0", other);
  EXPECT_FALSE(discover_narrow(server.tree, {}, "0")) << "a device that the list does not have";
  const auto list = server.tree.read("/proc/bus/pci/devices").value();
  std::string line = "1200\t144da80a\t0";
  for (int i = 0; i < 14; ++i) line += "\t 0";
  server.tree.add_file("/proc/bus/pci/devices", list + line + "\tnvme\n");
  expect_same_answer(server.tree, "0");
}

}  // namespace
}  // namespace numapin
