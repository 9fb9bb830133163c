#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"
#include "numapin/machine.h"

namespace numapin {
namespace {

using namespace sample;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Machine completed(Machine m) {
  complete(m);
  EXPECT_THAT(check(m), IsEmpty());
  auto again = m;
  complete(again);
  EXPECT_EQ(again, m) << "complete() must be idempotent";
  return m;
}

/// "3 (sysfs)", or "unknown"
std::string near(const Fact<NodeSet>& nodes) {
  return nodes ? nodes->to_list() + " (" + std::string(to_string(nodes.source)) + ")" : "unknown";
}
std::vector<std::string> nodes_of_gpus(const Machine& m) {
  std::vector<std::string> all;
  for (const auto& g : m.gpus) all.push_back(near(g.numa_nodes));
  return all;
}

TEST(Locality, BelievesTheKernelsNode) {
  const auto m = completed(nps4());
  // PCI order is 11, 12, 31, 32, 51, 52, 71, 72: the lists' order in the sample is not.
  EXPECT_THAT(nodes_of_gpus(m), ElementsAre("1 (sysfs)", "1 (sysfs)", "3 (sysfs)", "3 (sysfs)", "5 (sysfs)",
                                            "5 (sysfs)", "7 (sysfs)", "7 (sysfs)"));
}

TEST(Locality, KernelWinsOverOtherSourcesButNotOverTheUser) {
  auto m = two_sockets();
  m.gpus[0].numa_nodes = {NodeSet{1}, Source::kNvml};
  m.gpus[1].numa_nodes = {NodeSet{1}, Source::kUser};
  m.gpus[2].numa_nodes = {NodeSet{1}, Source::kMeasured};
  const auto all = nodes_of_gpus(completed(m));
  EXPECT_EQ(all[0], "0 (sysfs)");
  EXPECT_EQ(all[1], "1 (user)");
  EXPECT_EQ(all[2], "1 (measured)");
}

TEST(Locality, MinusOneOnAMachineWithSeveralNodesIsUnknown) {
  EXPECT_THAT(nodes_of_gpus(completed(vm(2))), ElementsAre("unknown", "unknown"));
}

TEST(Locality, MinusOneOnAMachineWithOneNodeIsThatNode) {
  EXPECT_THAT(nodes_of_gpus(completed(vm(1))), ElementsAre("0 (one-node)", "0 (one-node)"));
}

TEST(Locality, OneNodeIsNotInferredFromAPartialListOfNodes) {
  // What nvidia-smi topo -m tells: one GPU near node 3, nothing of the other, no node's size.
  Machine m;
  NumaNode n;
  n.id = static_cast<NodeId>(3);
  m.nodes = {n};
  m.gpus = {gpu(0, ""), gpu(1, "")};
  m.gpus[0].numa_nodes = {NodeSet{3}, Source::kSmiTopo};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("3 (nvidia-smi)", "unknown"));
}

TEST(Locality, MinusOneBelievesAnotherSource) {
  auto m = vm(2);
  m.gpus[1].numa_nodes = {NodeSet{1}, Source::kNvml};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("unknown", "1 (nvml)"));
}

TEST(Locality, NearEveryNodeSaysNothing) {
  auto m = vm(2);
  m.gpus[0].numa_nodes = {NodeSet{0, 1}, Source::kSmiTopo};
  m = completed(m);
  EXPECT_EQ(near(m.gpus[0].numa_nodes), "unknown");
  EXPECT_THAT(m.notes, Contains("gpu 0000:00:05.0: nvidia-smi says it is near every node, which says nothing"));
}

TEST(Locality, ClimbsToTheNearestBridgeThatKnows) {
  auto m = nps4();
  for (auto& d : m.pci)
    if (d.class_code == 0x030200) d.numa_node = {};
  const auto all = nodes_of_gpus(completed(m));
  EXPECT_EQ(all.front(), "1 (bridge)");
  EXPECT_EQ(all.back(), "7 (bridge)");
}

TEST(Locality, VirtualFunctionKeepsItsPhysicalFunctionsNode) {
  auto m = vm(2);
  m.pci[0].numa_node = {NodeId{1}, Source::kSysfs};
  auto vf = function("0000:00:05.1", 0x030200, -1, "", "pci0000:00");
  vf.physfn = at("0000:00:05.0");
  add_function_with_gpu(m, vf);
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("1 (sysfs)", "1 (bridge)", "unknown"));
}

TEST(Locality, PartitionsKeepTheirFunctionsNode) {
  auto m = vm(2);
  m.pci[0].numa_node = {NodeId{1}, Source::kSysfs};
  m.gpus.pop_back();
  m.gpus[0].partition = 0;
  for (int i = 1; i < 3; ++i) {
    m.gpus.push_back(gpu(i, "0000:00:05.0"));
    m.gpus.back().partition = i;
  }
  m.gpus.push_back(gpu(3, "0000:00:05.3"));  // newer kernels number partitions as functions that do not exist
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("1 (sysfs)", "1 (sysfs)", "1 (sysfs)", "1 (sysfs)"));
}

TEST(Locality, ReadsANodeFromTheCpuList) {
  auto m = vm(4);
  m.gpus[0].local_cpus = {cpus("8-11"), Source::kNvml};
  m.gpus[1].local_cpus = {cpus("0-7"), Source::kNvml};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("2 (cpu-list)", "0-1 (cpu-list)"));
}

TEST(Locality, CpuListMayNameOfflineCpus) {
  auto m = vm(2);
  m.nodes[1].cpus = {cpus("4-5"), Source::kSysfs};
  m.online = {cpus("0-5"), Source::kSysfs};
  m.gpus[0].local_cpus = {cpus("4-7"), Source::kNvml};
  m.gpus[1].local_cpus = {cpus("0-127"), Source::kNvml};
  for (auto& d : m.pci) d.local_cpus = {};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("1 (cpu-list)", "unknown"));
}

TEST(Locality, APartOfANodesCpusProvesNothing) {
  // A container allows CPUs 0-1: NVML calls exactly those near, wherever the GPU is.
  auto m = vm(2);
  m.gpus[0].local_cpus = {cpus("0-1"), Source::kNvml};
  EXPECT_EQ(nodes_of_gpus(completed(m))[0], "unknown");
}

TEST(Locality, NodesWithTheSameCpusAreNotToldApart) {
  auto m = vm(3);
  m.nodes[1].cpus = m.nodes[0].cpus;
  m.gpus[0].local_cpus = {cpus("0-3"), Source::kNvml};
  m.gpus[1].local_cpus = {cpus("8-11"), Source::kNvml};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("unknown", "2 (cpu-list)"));
}

TEST(Locality, NodeThatDoesNotExistIsUnknownAndNoted) {
  auto m = vm(2);
  m.pci[0].numa_node = {NodeId{7}, Source::kSysfs};
  m.gpus[1].numa_nodes = {NodeSet{1, 9}, Source::kHwlocXml};
  m = completed(m);
  EXPECT_THAT(nodes_of_gpus(m), ElementsAre("unknown", "1 (hwloc-xml)"));
  EXPECT_THAT(m.notes, ElementsAre("pci 0000:00:05.0: sysfs says node 7, which the machine does not have",
                                   "gpu 0000:00:06.0: hwloc-xml says node 9, which the machine does not have"));
}

TEST(Locality, GpuMemoryNodeIsNoAnswer) {
  const auto m = completed(gh200());
  EXPECT_THAT(nodes_of_gpus(m), ElementsAre("0 (sysfs)"));
  EXPECT_EQ(m.gpus[0].memory_node.value, NodeId{1});
  EXPECT_THAT(m.notes, ElementsAre("pci 0009:01:00.0: sysfs says node 1, which has neither CPUs nor ordinary memory; "
                                   "nearest with CPUs: 0"));
}

TEST(Locality, GpuMemoryNodeAnswersWithTheNearestOfSeveralCpuNodes) {
  auto m = with_nodes({node(0, "0-71", 480, {{0, 10}, {1, 40}}), node(1, "72-143", 480, {{0, 40}, {1, 10}}),
                       node(10, "", 96, {{0, 160}, {1, 80}, {10, 10}})});
  m.nodes[2].kind = {MemoryKind::kGpu, Source::kProcDriver};
  add_function_with_gpu(m, function("0019:01:00.0", 0x030200, 10, "", "pci0019:00"));
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("1 (sysfs)"));
  m.nodes[2].distances = {};
  m.gpus[0].numa_nodes = {};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("unknown")) << "without distances either socket may be near";
}

TEST(Locality, GpuMemoryAmongOtherNodesIsLeftOut) {
  auto m = with_nodes({node(0, "0-79", 128), node(8, "80-159", 128), node(255, "", 16)});  // POWER9
  m.nodes[2].kind = {MemoryKind::kGpu, Source::kHwlocXml};
  m.gpus = {gpu(0, "0004:04:00.0")};
  m.gpus[0].numa_nodes = {NodeSet{0, 255}, Source::kHwlocXml};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("0 (hwloc-xml)"));
}

TEST(GpuMemory, OfPower9CountsDownFrom255) {
  const auto kinds = [](std::string_view cpu, std::vector<int> ids) {
    std::vector<NumaNode> nodes{node(0, "0-79", 128), node(8, "80-159", 128)};
    for (const int id : ids) nodes.push_back(node(id, "", 16));
    auto m = with_nodes(std::move(nodes));
    m.cpu_model = {std::string(cpu), Source::kLscpu};
    NodeSet gpu;
    for (const auto& n : completed(std::move(m)).nodes)
      if (n.kind.value == MemoryKind::kGpu) gpu.insert(n.id);
    return gpu.to_list();
  };
  EXPECT_EQ(kinds("POWER9, altivec supported", {252, 253, 254, 255}), "252-255");
  EXPECT_EQ(kinds("POWER9, altivec supported", {9, 250, 255}), "255") << "other memory without CPUs may be anything";
  EXPECT_EQ(kinds("POWER9, altivec supported", {253}), "");
  EXPECT_EQ(kinds("Neoverse-V2", {254, 255}), "");
}

TEST(Locality, MemorylessNodeIsAnAnswer) {
  auto m = with_nodes({node(0, "0-3", 64), node(1, "4-7", 0)});
  add_function_with_gpu(m, function("0000:81:00.0", 0x030200, 1));
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("1 (sysfs)"));
}

TEST(Locality, NoNodesAtAll) {
  Machine m;
  m.online = {cpus("0-3"), Source::kSysfs};
  add_function_with_gpu(m, function("0000:01:00.0", 0x030000, -1));
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("unknown"));
  EXPECT_THAT(nodes_of_gpus(completed(Machine{})), IsEmpty());
}

TEST(Locality, SparseNodesAndWideDomains) {
  auto m = with_nodes({node(0, "0-3", 16), node(33, "4-7", 16)});
  add_function_with_gpu(m, function("dc4b1a6f:00:02.0", 0x030200, 33));
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("33 (sysfs)"));
}

TEST(Locality, NicsAndDrivesVoteToo) {
  auto m = two_sockets();
  m.pci.push_back(function("0000:9e:00.0", 0x010802, -1, "0000:90:01.0", "pci0000:90"));
  m.nvme.push_back({});
  m.nvme[0].address = at("0000:9e:00.0");
  m = completed(m);
  EXPECT_EQ(near(m.nics[0].numa_nodes), "0 (sysfs)");
  EXPECT_EQ(near(m.nvme[0].numa_nodes), "1 (bridge)");
}

TEST(Locality, DerivedAnswersFollowNewFacts) {
  auto m = vm(1);
  for (auto& d : m.pci) d.local_cpus = {};
  m = completed(m);
  m.nodes.push_back(node(1, "4-7", 16));
  m.online = {cpus("0-7"), Source::kSysfs};
  EXPECT_THAT(nodes_of_gpus(completed(m)), ElementsAre("unknown", "unknown"));
}

TEST(Order, IsThatOfThePciAddressesAndLinksFollow) {
  Machine m;
  m.gpus = {gpu(0, ""), gpu(1, "0000:82:00.0"), gpu(2, "0000:09:00.0")};
  m.gpus[0].name = "GPU0";
  add_link(m, gpu_ref(1), gpu_ref(2), LinkKind::kNvlink, 4, Source::kNvml);
  add_link(m, gpu_ref(0), gpu_ref(1), LinkKind::kSys, {}, Source::kSmiTopo);
  m = completed(m);
  EXPECT_EQ(m.gpus[0].address, at("0000:09:00.0"));
  EXPECT_EQ(m.gpus[2].name, "GPU0") << "without address: last";
  EXPECT_EQ(to_string(*find_link(m, gpu_ref(0), gpu_ref(1))), "NV4");
  EXPECT_EQ(to_string(*find_link(m, gpu_ref(2), gpu_ref(1))), "SYS");
  EXPECT_EQ(find_link(m, gpu_ref(0), gpu_ref(2)), nullptr);
}

TEST(Complete, PlacesCoresInNodesAndPackages) {
  const auto m = completed(two_sockets());
  EXPECT_EQ(m.cores[5].node, NodeId{1});
  EXPECT_EQ(m.cores[5].package, 1);
  auto overlapping = two_sockets();
  overlapping.nodes[1].cpus = {cpus("0-15"), Source::kSysfs};
  EXPECT_EQ(completed(overlapping).cores[0].node, std::nullopt) << "two nodes claim it";
}

}  // namespace
}  // namespace numapin
