#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "machine/sample_machines.h"
#include "numapin/machine.h"

namespace numapin {
namespace {

using namespace sample;
using testing::ElementsAre;
using testing::IsEmpty;

std::string one(const std::vector<Disagreement>& all) {
  std::string text;
  for (const auto& d : all) text += d.subject + ": kept " + d.kept + ", not " + d.other + "\n";
  return text;
}

Machine completed(Machine m) {
  complete(m);
  EXPECT_THAT(check(m), IsEmpty());
  return m;
}

std::vector<Machine> samples() {
  std::vector<Machine> all;
  for (auto m : {two_sockets(), nps4(), gh200(), vm(1), vm(2)}) all.push_back(completed(std::move(m)));
  return all;
}

TEST(Merge, WithNothingOrWithItselfChangesNothing) {
  for (const auto& m : samples()) {
    auto itself = m;
    EXPECT_THAT(merge(itself, m), IsEmpty());
    EXPECT_EQ(itself, m);
    auto nothing = m;
    EXPECT_THAT(merge(nothing, Machine{}), IsEmpty());
    EXPECT_EQ(nothing, m);
    Machine into_nothing;
    EXPECT_THAT(merge(into_nothing, m), IsEmpty());
    EXPECT_EQ(into_nothing, m);
  }
}

/// What three sources tell of two_sockets(): the kernel, NVML (in an order of its own), and numactl.
std::vector<Machine> parts_of_two_sockets() {
  auto kernel = two_sockets();
  kernel.links.clear();
  Machine nvml;
  for (int i = 0; i < 8; ++i) {
    auto g = gpu(i, kernel.gpus[static_cast<std::size_t>(7 - i)].address->to_string());
    g.uuid = {"GPU-" + std::to_string(i), Source::kNvml};
    g.nvml_index = {7 - i, Source::kNvml};
    nvml.gpus.push_back(g);
  }
  add_link(nvml, gpu_ref(0), gpu_ref(1), LinkKind::kNvlink, 12, Source::kNvml);
  Machine numactl;
  for (auto& n : kernel.nodes) {
    NumaNode copy;
    copy.id = n.id;
    copy.distances = n.distances;
    n.distances = {};
    numactl.nodes.push_back(copy);
  }
  return {kernel, nvml, numactl};
}

TEST(Merge, OrderOfSourcesDoesNotMatterWhereTheyDoNotDiffer) {
  const auto parts = parts_of_two_sockets();
  std::vector<int> order = {0, 1, 2};
  std::optional<Machine> first;
  do {
    Machine m;
    for (int i : order) EXPECT_THAT(merge(m, parts[static_cast<std::size_t>(i)]), IsEmpty());
    m = completed(std::move(m));
    if (!first) first = m;
    EXPECT_EQ(m, *first);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(*first->gpus[0].uuid, "GPU-7");
  EXPECT_EQ(to_string(*find_link(*first, gpu_ref(6), gpu_ref(7))), "NV12") << "links follow the devices";
  EXPECT_EQ(distance(*first, NodeId{0}, NodeId{1}), 21);
}

TEST(Merge, GroupingOfSourcesDoesNotMatterWhereTheyDoNotDiffer) {
  const auto parts = parts_of_two_sockets();
  Machine left = parts[0], right = parts[1], all = parts[0];
  merge(right, parts[2]);
  merge(left, right);
  merge(all, parts[1]);
  merge(all, parts[2]);
  EXPECT_EQ(completed(left), completed(all));
}

TEST(Merge, KernelsNodeMeetsOtherSourcesWord) {
  auto m = two_sockets();  // the GPU's own numa_nodes is not filled yet, its PCI function's numa_node is
  Machine nvml;
  nvml.gpus = {gpu(0, "00000000:1A:00.0")};
  nvml.gpus[0].numa_nodes = {NodeSet{1}, Source::kNvml};
  EXPECT_EQ(one(merge(m, nvml)), "gpu 0000:1a:00.0 numa_nodes: kept 0 (sysfs), not 1 (nvml)\n");
  EXPECT_EQ(*completed(m).gpus[0].numa_nodes, NodeSet{0});
}

TEST(Merge, ComputedGivesWayToStated) {
  auto m = nps4();
  for (auto& d : m.pci)
    if (d.class_code == 0x030200) d.numa_node = {};
  m = completed(m);
  Machine nvml;
  nvml.gpus = {gpu(0, m.gpus[0].address->to_string()), gpu(1, m.gpus[1].address->to_string())};
  nvml.gpus[0].numa_nodes = {NodeSet{2}, Source::kNvml};
  nvml.gpus[1].numa_nodes = {NodeSet{1}, Source::kNvml};
  EXPECT_EQ(one(merge(m, nvml)), "gpu 0000:11:00.0 numa_nodes: kept 2 (nvml), not 1 (bridge)\n");
  EXPECT_EQ(m.gpus[1].numa_nodes.source, Source::kNvml);
}

TEST(Merge, NearEveryNodeContradictsNobody) {
  auto m = completed(two_sockets());
  Machine smi;
  smi.gpus = {gpu(0, "0000:1a:00.0")};
  smi.gpus[0].numa_nodes = {NodeSet{0, 1}, Source::kSmiTopo};
  EXPECT_THAT(merge(m, smi), IsEmpty());
  EXPECT_EQ(*m.gpus[0].numa_nodes, NodeSet{0});
  EXPECT_THAT(merge(smi, m), IsEmpty());
  EXPECT_EQ(*smi.gpus[0].numa_nodes, NodeSet{0});
}

TEST(Merge, CpuListsThatSayLessContradictNobody) {
  auto m = vm(2);
  m.gpus[0].local_cpus = m.online;
  Machine nvml;
  nvml.gpus = {gpu(0, "0000:00:05.0"), gpu(1, "0000:00:06.0")};
  nvml.gpus[0].local_cpus = {cpus("4-7"), Source::kNvml};
  nvml.gpus[1].local_cpus = {CpuSet{}, Source::kNvml};
  EXPECT_THAT(merge(m, nvml), IsEmpty());
  EXPECT_EQ(m.gpus[0].local_cpus->to_list(), "4-7");
  nvml.gpus[0].local_cpus = {cpus("4-5"), Source::kNcclXml};
  EXPECT_THAT(merge(m, nvml), IsEmpty()) << "a part, as in a cpuset";
  nvml.gpus[0].local_cpus = {cpus("0-3"), Source::kNcclXml};
  EXPECT_EQ(one(merge(m, nvml)), "gpu 0000:00:05.0 local_cpulist: kept 4-7 (nvml), not 0-3 (nccl-xml)\n");
}

TEST(Merge, JoinsByUuidAndByIndexWhereThereIsNoAddress) {
  Machine a, b;
  a.gpus = {gpu(0, "0000:1a:00.0"), gpu(1, "0000:1b:00.0")};
  a.gpus[1].uuid = {"GPU-b", Source::kProcDriver};
  b.gpus = {gpu(0, "")};
  b.gpus[0].uuid = {"GPU-b", Source::kNvml};
  b.gpus[0].model = {"X", Source::kNvml};
  EXPECT_THAT(merge(a, b), IsEmpty());
  ASSERT_EQ(a.gpus.size(), 2U);
  EXPECT_EQ(*a.gpus[1].model, "X");

  Machine c, d;
  c.gpus = {gpu(0, ""), gpu(1, "")};
  d = c;
  d.gpus[1].model = {"Y", Source::kSmiTopo};
  merge(c, d);
  ASSERT_EQ(c.gpus.size(), 2U);
  EXPECT_EQ(*c.gpus[1].model, "Y");
}

TEST(Merge, PartitionsJoinTheirFunction) {
  Machine files, kfd;
  files.gpus = {gpu(0, "0000:0c:00.0"), gpu(1, "0000:22:00.0")};
  files.gpus[0].minor = {3, Source::kSysfs};
  for (int i = 0; i < 4; ++i) {
    kfd.gpus.push_back(gpu(i, i < 2 ? "0000:0c:00.0" : "0000:22:00.0"));
    kfd.gpus.back().partition = i % 2;
  }
  auto m = files;
  EXPECT_THAT(merge(m, kfd), IsEmpty());
  EXPECT_THAT(merge(kfd, files), IsEmpty());
  EXPECT_EQ(m, kfd);
  ASSERT_EQ(m.gpus.size(), 4U);
  EXPECT_EQ(m.gpus[0].minor.value, 3);
  EXPECT_EQ(m.gpus[1].minor.value, std::nullopt);
}

TEST(Merge, NodeFactsDiffer) {
  auto m = two_sockets();
  auto other = with_nodes({node(0, "0-3", 64, {{1, 20}}), node(1, "4-7,12-15", 64), node(2, "", 32)});
  other.online = {};
  for (auto& n : other.nodes) n.memory_free_bytes = {std::uint64_t{5}, Source::kNumactl};
  *other.nodes[1].memory_total_bytes.value -= 4096;
  other.nodes[0].cpus.source = other.nodes[0].distances.source = Source::kNumactl;
  EXPECT_EQ(one(merge(m, other)),
            "node 0 cpulist: kept 0-3,8-11 (sysfs), not 0-3 (numactl)\n"
            "node 0 distances to node 1: kept 21 (sysfs), not 20 (numactl)\n");
  EXPECT_EQ(m.nodes.size(), 3U);
}

TEST(Merge, LinksKeepTheMoreTelling) {
  Machine nvml, pci_only;
  nvml.gpus = pci_only.gpus = {gpu(0, "0000:1a:00.0"), gpu(1, "0000:1b:00.0"), gpu(2, "0000:1c:00.0")};
  add_link(nvml, gpu_ref(0), gpu_ref(1), LinkKind::kNvlink, 12, Source::kNvml);
  add_link(pci_only, gpu_ref(0), gpu_ref(1), LinkKind::kSys, {}, Source::kSmiTopo);
  add_link(pci_only, gpu_ref(1), gpu_ref(2), LinkKind::kSoc, {}, Source::kSmiTopo);
  auto m = nvml;
  EXPECT_THAT(merge(m, pci_only), IsEmpty());
  EXPECT_THAT(merge(pci_only, nvml), IsEmpty());
  EXPECT_EQ(m, pci_only);
  EXPECT_EQ(to_string(*find_link(m, gpu_ref(1), gpu_ref(0))), "NV12");
  for (auto& link : nvml.links) link.count = 11;
  EXPECT_EQ(one(merge(m, nvml)), "link gpu 0000:1a:00.0 to gpu 0000:1b:00.0: kept NV12 (nvml), not NV11 (nvml)\n");
}

TEST(Merge, CoresAndPackagesAreKnownByTheirCpus) {
  auto m = completed(two_sockets());
  Machine other;
  other.packages = {{1, cpus("0-3,8-11")}, {5, cpus("4-7,12-15")}};  // another numbering
  Core same_core, strange_core;
  same_core.cpus = cpus("0,8");
  same_core.package = 1;
  same_core.kind = "P";
  strange_core.cpus = cpus("2-3");
  other.cores = {same_core, strange_core};
  other.l3 = {{cpus("16-17"), {}}};
  EXPECT_EQ(one(merge(m, other)), "core of CPU 2: kept 2,10, not 2-3\n");
  EXPECT_EQ(m.cores[0].package, 0);
  EXPECT_EQ(m.cores[0].kind, "P");
  EXPECT_EQ(m.packages[1].id, 1);
  EXPECT_EQ(m.l3.size(), 3U);
}

TEST(Merge, NicsJoinByAddressOrName) {
  Machine a, b;
  a.nics = {nic(0, "0000:1e:00.0"), nic(1, "0000:1f:00.0")};
  b.nics = {nic(0, "0000:1f:00.0")};
  b.nics[0].address = {};
  b.nics[0].name = "mlx5_1";
  b.nics[0].speed_mb_per_s = {400000, Source::kNcclXml};
  EXPECT_THAT(merge(a, b), IsEmpty());
  ASSERT_EQ(a.nics.size(), 2U);
  EXPECT_EQ(a.nics[1].speed_mb_per_s.value, 400000);
}

}  // namespace
}  // namespace numapin
