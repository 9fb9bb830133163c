// Odd machines, small: what the kernel's files look like where one of them is missing or says little. Machines with all
// files are in tests/corpus.
#include <gtest/gtest.h>

#include "numapin/sources.h"
#include "sources/server_tree.h"

namespace numapin {
namespace {

const std::string kCpu = "/sys/devices/system/cpu";
const std::string kNode = "/sys/devices/system/node";
const std::string kPci = "/sys/bus/pci/devices";

MapTree tree_of(std::initializer_list<std::pair<std::string, std::string>> files) {
  MapTree tree;
  for (const auto& [path, text] : files) tree.add_file(path, text);
  return tree;
}

Machine machine_of(const FileTree& tree) {
  auto m = from_files(tree);
  EXPECT_TRUE(m) << m.error().message;
  EXPECT_EQ(check(*m), std::vector<std::string>{});
  return m ? *m : Machine{};
}

std::vector<std::string> core_lists(const Machine& m) {
  std::vector<std::string> lists;
  for (const auto& core : m.cores) lists.push_back(core.cpus.to_list());
  return lists;
}

using Lists = std::vector<std::string>;

// ---- CPUs ----------------------------------------------------------------------------------------------------------

TEST(FromFiles, NeedsAListOfCpus) {
  const auto m = from_files(MapTree{});
  ASSERT_FALSE(m);
  EXPECT_EQ(m.error().kind, Error::Kind::kNotFound);
}

TEST(FromFiles, TakesOnlineFlagsWhereThereIsNoList) {
  auto tree = tree_of({{kCpu + "/cpu1/online", "1\n"}, {kCpu + "/cpu2/online", "0\n"}, {kCpu + "/cpufreq/x", ""}});
  tree.add_dir(kCpu + "/cpu0");  // the boot CPU has no flag
  const auto m = machine_of(tree);
  EXPECT_EQ(m.online->to_list(), "0-1");
  EXPECT_EQ(m.offline->to_list(), "2");
}

TEST(FromFiles, TakesCpuinfoWhereThereIsNoSysfs) {
  EXPECT_EQ(machine_of(tree_of({{"/proc/cpuinfo", "processor\t: 0\nmodel name\t: X\n\nprocessor\t: 3\n"}})).online->to_list(), "0,3");
  EXPECT_EQ(machine_of(tree_of({{"/proc/cpuinfo", "vendor_id : IBM/S390\nprocessor 0: version = 00\nprocessor 1: version = 00\n"}})).online->to_list(), "0-1");
  EXPECT_EQ(machine_of(tree_of({{"/proc/cpuinfo", "cpu : TI UltraSparc\nState:\nCPU6:\t\tonline\nCPU7:\t\tonline\n"}})).online->to_list(), "6-7");
}

TEST(FromFiles, WithoutNodesIsOneNode) {
  const auto m = machine_of(tree_of({{kCpu + "/online", "0-3"}, {"/proc/meminfo", "MemTotal:  1000 kB\nMemFree: 10 kB\n"}}));
  ASSERT_EQ(m.nodes.size(), 1u);
  EXPECT_EQ(m.nodes[0].cpus->to_list(), "0-3");
  EXPECT_EQ(*m.nodes[0].memory_total_bytes, 1024000u);
  EXPECT_EQ(*m.nodes[0].memory_free_bytes, 10240u);
}

// ---- cores ---------------------------------------------------------------------------------------------------------

TEST(FromFiles, CoresWithoutSiblingFilesComeFromCoreIds) {
  MapTree tree;
  tree.add_file(kCpu + "/online", "0-7");
  for (int cpu = 0; cpu < 8; ++cpu) {
    const auto topology = fmt::format("{}/cpu{}/topology", kCpu, cpu);
    tree.add_file(topology + "/core_id", std::to_string(cpu % 2));
    tree.add_file(topology + "/physical_package_id", std::to_string(cpu % 4 / 2));
  }
  EXPECT_EQ(core_lists(machine_of(tree)), (Lists{"0,4", "1,5", "2,6", "3,7"}));
}

TEST(FromFiles, CoreIdsOfTwoNodesAreTwoCores) {  // Magny-Cours numbers the cores of both nodes of a package from 0
  MapTree tree;
  tree.add_file(kCpu + "/online", "0-3");
  for (int cpu = 0; cpu < 4; ++cpu) {
    tree.add_file(fmt::format("{}/cpu{}/topology/core_id", kCpu, cpu), std::to_string(cpu % 2));
    tree.add_file(fmt::format("{}/cpu{}/topology/physical_package_id", kCpu, cpu), "0");
  }
  tree.add_file(kNode + "/node0/cpulist", "0-1");
  tree.add_file(kNode + "/node1/cpulist", "2-3");
  const auto m = machine_of(tree);
  EXPECT_EQ(m.cores.size(), 4u);
  EXPECT_EQ(m.packages.size(), 1u);
}

TEST(FromFiles, WithoutTopologyEachCpuIsACore) {
  const auto m = machine_of(tree_of({{kCpu + "/online", "0-2"}}));
  EXPECT_EQ(core_lists(m), (Lists{"0", "1", "2"}));
  EXPECT_TRUE(m.packages.empty());
}

TEST(FromFiles, NewerNamesOfSiblingFilesWillDo) {
  auto tree = tree_of({{kCpu + "/online", "0-1"}, {kCpu + "/cpu0/topology/core_cpus_list", "0-1"}});
  EXPECT_EQ(core_lists(machine_of(tree)), (Lists{"0-1"}));
}

TEST(FromFiles, OfflineSiblingsAreNoMembers) {  // their directories stay
  MapTree tree;
  tree.add_file(kCpu + "/online", "0,2-3");
  tree.add_file(kCpu + "/present", "0-3");
  for (int cpu = 0; cpu < 4; ++cpu) {
    tree.add_file(fmt::format("{}/cpu{}/topology/thread_siblings_list", kCpu, cpu), cpu < 2 ? "0-1" : "2-3");
    tree.add_file(fmt::format("{}/cpu{}/topology/physical_package_id", kCpu, cpu), "0");
  }
  tree.add_file(kNode + "/node0/cpulist", "0-3");
  const auto m = machine_of(tree);
  EXPECT_EQ(core_lists(m), (Lists{"0", "2-3"}));
  EXPECT_EQ(m.packages[0].cpus.to_list(), "0,2-3");
  EXPECT_EQ(m.nodes[0].cpus->to_list(), "0,2-3");
  EXPECT_EQ(m.offline->to_list(), "1");
}

TEST(FromFiles, ContradictingSiblingsStillGiveEachCpuOneCore) {
  const auto m = machine_of(tree_of({{kCpu + "/online", "0-3"},
                                     {kCpu + "/cpu0/topology/thread_siblings_list", "0-1"},
                                     {kCpu + "/cpu1/topology/thread_siblings_list", "0-3"},
                                     {kCpu + "/cpu2/topology/thread_siblings_list", "0-3"},
                                     {kCpu + "/cpu3/topology/thread_siblings_list", "rubbish"}}));
  EXPECT_EQ(core_lists(m), (Lists{"0-1", "2-3"}));
}

TEST(FromFiles, PackagesWithoutIdsAreNumberedByUs) {  // POWER, s390, RISC-V say -1
  MapTree tree;
  tree.add_file(kCpu + "/online", "0-3");
  for (int cpu = 0; cpu < 4; ++cpu) {
    tree.add_file(fmt::format("{}/cpu{}/topology/physical_package_id", kCpu, cpu), "-1\n");
    tree.add_file(fmt::format("{}/cpu{}/topology/core_siblings", kCpu, cpu), cpu < 2 ? "3" : "c");
  }
  const auto m = machine_of(tree);
  ASSERT_EQ(m.packages.size(), 2u);
  EXPECT_EQ(m.packages[1].cpus.to_list(), "2-3");
  EXPECT_EQ(m.cores[2].package, 1);
}

TEST(FromFiles, KindsAndRanksOfHybridCores) {
  MapTree tree;
  tree.add_file(kCpu + "/online", "0-2");
  for (int cpu = 0; cpu < 3; ++cpu) {
    tree.add_file(fmt::format("{}/cpu{}/acpi_cppc/highest_perf", kCpu, cpu), cpu < 2 ? "64" : "40");
    tree.add_file(fmt::format("{}/cpu{}/topology/thread_siblings_list", kCpu, cpu), cpu < 2 ? "0-1" : "2");
  }
  tree.add_file("/sys/devices/cpu_core/cpus", "0-1");
  tree.add_file("/sys/devices/cpu_atom/cpus", "2");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.cores.size(), 2u);
  EXPECT_EQ(m.cores[0].kind, "P");
  EXPECT_EQ(m.cores[1].kind, "E");
  EXPECT_EQ(m.cores[0].highest_perf, 64);
  EXPECT_EQ(m.cores[1].highest_perf, 40);
}

TEST(FromFiles, CoresWithoutL3BesideCoresWithOne) {  // Meteor Lake's low-power cores
  const auto m = machine_of(tree_of({{kCpu + "/online", "0-2"},
                                     {kCpu + "/cpu0/cache/index3/level", "3"},
                                     {kCpu + "/cpu0/cache/index3/size", "24M"},
                                     {kCpu + "/cpu0/cache/index3/shared_cpu_map", "3"},
                                     {kCpu + "/cpu2/cache/index2/level", "2"}}));
  ASSERT_EQ(m.l3.size(), 1u);
  EXPECT_EQ(m.l3[0].cpus.to_list(), "0-1");
  EXPECT_EQ(m.l3[0].size_bytes, 24u << 20);
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

TEST(FromFiles, DistancesOfSparseNodesFollowTheOnlineNodes) {
  const auto m = machine_of(tree_of({{kCpu + "/online", "0-1"},
                                     {kNode + "/node0/cpulist", "0"}, {kNode + "/node0/distance", "10 40\n"},
                                     {kNode + "/node8/cpulist", "1"}, {kNode + "/node8/distance", "40 10\n"}}));
  EXPECT_EQ(distance(m, NodeId{0}, NodeId{8}), 40);
  EXPECT_EQ(distance(m, NodeId{8}, NodeId{8}), 10);
}

TEST(FromFiles, DistancesThatDoNotFitAreUnknown) {
  const auto m = machine_of(tree_of({{kCpu + "/online", "0"}, {kNode + "/node0/cpulist", "0"}, {kNode + "/node0/distance", "10 20 30\n"}}));
  EXPECT_FALSE(m.nodes[0].distances);
  EXPECT_EQ(m.notes.size(), 1u);
}

TEST(FromFiles, CpusInNoNodeAndInTwo) {
  auto tree = tree_of({{kCpu + "/online", "0-5"}, {kNode + "/node0/cpulist", "0-3"}, {kNode + "/node1/cpumap", "0000000c"}});
  const auto m = machine_of(tree);
  EXPECT_EQ(m.cores[0].node, NodeId{0});
  EXPECT_EQ(m.cores[2].node, NodeId{1}) << "the smaller of the two";
  EXPECT_EQ(m.cores[5].node, std::nullopt);
}

TEST(FromFiles, KindsOfMemoryWithoutCpus) {
  MapTree tree;
  tree.add_file(kCpu + "/online", "0");
  tree.add_file(kNode + "/node0/cpulist", "0");
  for (int node = 0; node < 6; ++node) {
    if (node > 0) tree.add_file(fmt::format("{}/node{}/cpulist", kNode, node), "\n");
    tree.add_file(fmt::format("{}/node{}/meminfo", kNode, node), fmt::format("Node {} MemTotal: 1024 kB", node));
  }
  const auto add_access = [&](int node, const char* bandwidth) {
    const auto dir = fmt::format("{}/node{}/access0/initiators", kNode, node);
    tree.add_file(dir + "/read_bandwidth", bandwidth);
    tree.add_link(dir + "/node0", kNode + "/node0");
  };
  add_access(0, "200000");
  add_access(4, "800000");
  add_access(5, "60000");
  const auto add_dax = [&](const std::string& name, const std::string& path, const char* node) {
    tree.add_file(path + "/target_node", node);
    tree.add_link("/sys/bus/dax/devices/" + name, path);
  };
  add_dax("dax0.0", "/sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/dax0.0", "1");
  add_dax("dax1.0", "/sys/devices/platform/ACPI0017:00/root0/decoder0.0/region1/dax_region1/dax1.0", "2");
  add_dax("dax2.0", "/sys/devices/platform/hmem.0/dax2.0", "3");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.nodes.size(), 6u);
  const MemoryKind expected[] = {MemoryKind::kDram, MemoryKind::kPmem, MemoryKind::kCxl, MemoryKind::kUnspecified, MemoryKind::kHbm, MemoryKind::kUnspecified};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(*m.nodes[i].kind, expected[i]) << "node " << i;
  EXPECT_EQ(m.nodes[4].access0->read_bandwidth_mb_per_s, 800000);
}

// ---- PCI -----------------------------------------------------------------------------------------------------------

void add_device(MapTree& tree, const std::string& path, const std::string& code, const std::string& ids) {
  tree.add_file(path + "/uevent", "DRIVER=some\nPCI_CLASS=" + code + "\nPCI_ID=" + ids + "\nPCI_SLOT_NAME=x\n");
  tree.add_link(kPci + path.substr(path.rfind('/')), path);
}

MapTree tree_with_cpus() {
  return tree_of({{kCpu + "/online", "0-3"}, {kNode + "/node0/cpulist", "0-1"}, {kNode + "/node1/cpulist", "2-3"}});
}

TEST(FromFiles, PciDeviceFromItsUevent) {
  auto tree = tree_with_cpus();
  const std::string gpu = "/sys/devices/pci0000:17/0000:17:01.0/0000:18:00.0";
  add_device(tree, "/sys/devices/pci0000:17/0000:17:01.0", "60400", "8086:352A");
  add_device(tree, gpu, "30200", "10DE:2330");
  tree.add_file(gpu + "/numa_node", "1\n");
  tree.add_file(gpu + "/current_link_speed", "16.0 GT/s PCIe\n");
  tree.add_file(gpu + "/current_link_width", "8\n");
  tree.add_file(gpu + "/max_link_speed", "Unknown\n");
  tree.add_file(gpu + "/max_link_width", "255\n");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.pci.size(), 2u);
  const auto& d = m.pci[1];
  EXPECT_EQ(d.class_code, 0x030200u);
  EXPECT_EQ(d.vendor, 0x10de);
  EXPECT_EQ(d.driver, "some");
  EXPECT_EQ(d.parent->to_string(), "0000:17:01.0");
  EXPECT_EQ(d.host_bridge, "pci0000:17");
  EXPECT_EQ(*d.numa_node, NodeId{1});
  EXPECT_EQ(*d.link, (PciLink{16.0, 8}));
  EXPECT_FALSE(d.link_max);
  EXPECT_FALSE(m.pci[0].parent);
  ASSERT_EQ(m.gpus.size(), 1u);
}

TEST(FromFiles, PciDeviceFromItsConfigurationSpace) {
  auto tree = tree_with_cpus();
  const char config[] = "\xde\x10\x30\x23\x07\x04\x10\x00\xa1\x00\x02\x03\x00\x00\x00\x00";
  tree.add_file(kPci + "/0000:18:00.0/config", std::string(config, sizeof config - 1));
  const auto m = machine_of(tree);
  ASSERT_EQ(m.gpus.size(), 1u);
  EXPECT_EQ(m.pci[0].class_code, 0x030200u);
  EXPECT_EQ(m.pci[0].device, 0x2330);
}

TEST(FromFiles, RootBusBelowADevice) {  // Intel VMD; Hyper-V's domains have 32 bits
  auto tree = tree_with_cpus();
  add_device(tree, "/sys/devices/pci0000:00/0000:00:0e.0", "10400", "8086:201D");
  const std::string drive = "/sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0";
  add_device(tree, "/sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", "60400", "8086:352A");
  add_device(tree, drive, "10802", "144D:A80A");
  tree.add_link("/sys/class/nvme/nvme0", drive + "/nvme/nvme0");
  tree.add_dir(drive + "/nvme/nvme0");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.nvme.size(), 1u);
  EXPECT_EQ(m.nvme[0].name, "nvme0");
  const auto* d = find_pci(m, m.nvme[0].address);
  EXPECT_EQ(d->host_bridge, "pci10000:e0");
  EXPECT_EQ(find_pci(m, *d->parent)->parent, std::nullopt);
}

TEST(FromFiles, NicsHaveTheirNamesAndSpeed) {
  auto tree = tree_with_cpus();
  const std::string nic = "/sys/devices/pci0000:17/0000:18:00.0";
  add_device(tree, nic, "20700", "15B3:1021");
  tree.add_dir(nic + "/net/ib0");
  tree.add_link("/sys/class/net/ib0", nic + "/net/ib0");
  tree.add_dir(nic + "/infiniband/mlx5_0");
  tree.add_link("/sys/class/infiniband/mlx5_0", nic + "/infiniband/mlx5_0");
  tree.add_file(nic + "/infiniband/mlx5_0/ports/1/rate", "400 Gb/sec (4X NDR)\n");
  const std::string paravirtual = "/sys/devices/pci0000:00/0000:00:03.0";
  add_device(tree, paravirtual, "20000", "1AF4:1000");
  tree.add_file(paravirtual + "/virtio0/net/eth0/speed", "-1\n");
  tree.add_link("/sys/class/net/eth0", paravirtual + "/virtio0/net/eth0");
  tree.add_dir("/sys/devices/virtual/net/lo");
  tree.add_link("/sys/class/net/lo", "/sys/devices/virtual/net/lo");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.nics.size(), 2u);
  EXPECT_EQ(m.nics[0].name, "eth0");
  EXPECT_FALSE(m.nics[0].speed_mb_per_s);
  EXPECT_EQ(m.nics[1].name, "mlx5_0");
  EXPECT_EQ(m.nics[1].interfaces, Lists{"ib0"});
  EXPECT_TRUE(m.nics[1].infiniband);
  EXPECT_EQ(*m.nics[1].speed_mb_per_s, 400000);
}

// ---- GPUs ----------------------------------------------------------------------------------------------------------

TEST(FromFiles, MemoryNodeOfAGpu) {  // POWER9, Grace Hopper
  auto tree = tree_with_cpus();
  tree.add_file(kNode + "/node2/cpulist", "\n");
  tree.add_file(kNode + "/node2/meminfo", "Node 2 MemTotal: 100000 kB\n");
  add_device(tree, "/sys/devices/pci0009:00/0009:01:00.0", "30200", "10DE:2342");
  const std::string gpu = "/proc/driver/nvidia/gpus/0009:01:00.0";
  tree.add_file(gpu + "/information", "Model: \t NVIDIA GH200 480GB\nGPU UUID: \t GPU-" + std::string(8, '?') + "\nDevice Minor: \t 0\n");
  tree.add_file(gpu + "/numa_status", "Node: 2\nStatus: online\n");
  tree.add_file("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.65.06  Release Build\n");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.gpus.size(), 1u);
  EXPECT_EQ(*m.gpus[0].memory_node, NodeId{2});
  EXPECT_FALSE(m.gpus[0].uuid) << "the driver did not know it";
  EXPECT_EQ(*m.gpus[0].model, "NVIDIA GH200 480GB");
  EXPECT_EQ(*m.nodes[2].kind, MemoryKind::kGpu);
  EXPECT_EQ(m.nodes[2].gpu->to_string(), "0009:01:00.0");
  EXPECT_EQ(*m.driver_version, "580.65.06");
}

TEST(FromFiles, GpusOfASandboxWithoutPci) {  // gVisor
  auto tree = tree_with_cpus();
  tree.add_file("/proc/driver/nvidia/gpus/0000:5e:00.0/information", "Model: \t NVIDIA L4\n");
  tree.add_file("/proc/driver/nvidia/gpus/0000:18:00.0/information", "Model: \t NVIDIA L4\n");
  const auto m = machine_of(tree);
  ASSERT_EQ(m.gpus.size(), 2u);
  EXPECT_EQ(m.gpus[0].address->to_string(), "0000:18:00.0");
}

TEST(FromFiles, PartitionsAreGpusOfOneFunction) {
  test::ServerShape shape;
  shape.amd = true, shape.gpus = 2, shape.partitions = 4;
  const auto m = machine_of(test::ServerTree(shape).tree);
  ASSERT_EQ(m.gpus.size(), 8u);
  EXPECT_EQ(m.gpus[3].address, m.gpus[0].address);
  EXPECT_EQ(m.gpus[3].partition, 3);
  EXPECT_NE(m.gpus[4].address, m.gpus[0].address);
  EXPECT_EQ(*m.gpus[4].uuid, "GPU-00000000000003e9");
  EXPECT_FALSE(m.gpus[0].numa_nodes) << "the PCI device's numa_node decides";
}

TEST(FromFiles, KfdSaysNothingWhereNumaNodeIsUnknown) {  // the driver writes node 0 then
  test::ServerShape shape;
  shape.amd = true, shape.numa_node_known = false;
  auto m = machine_of(test::ServerTree(shape).tree);
  complete(m);
  for (const auto& gpu : m.gpus) EXPECT_FALSE(gpu.numa_nodes);
}

/// Whatever machine the tests run on.
TEST(FromFiles, ThisMachine) {
  const auto live = make_dir_tree("/");
  const auto s = discover(*live, nullptr);
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(check(s->machine), std::vector<std::string>{});
  EXPECT_FALSE(s->machine.cores.empty());
  ASSERT_TRUE(s->allowance.cpus && s->allowance.mems);
  EXPECT_TRUE(s->machine.online->contains(*s->allowance.cpus));
  EXPECT_FALSE(s->allowance.cpus->empty());
}

TEST(ReadAllowance, FromTheStatusOfTheProcess) {
  const auto a = read_allowance(tree_of({{"/proc/self/status", "Cpus_allowed:\tf\nCpus_allowed_list:\t0-3\nMems_allowed_list:\t1\n"},
                                         {"/proc/self/cgroup", "12:cpu,cpuset:/docker/ab:c\n0::/x\n"}}));
  EXPECT_EQ(a.cpus->to_list(), "0-3");
  EXPECT_EQ(a.mems->to_list(), "1");
  EXPECT_EQ(a.cgroup, "/docker/ab:c");
}

TEST(ReadAllowance, FromTheCgroupAboveThatHasACpuset) {
  const auto a = read_allowance(tree_of({{"/proc/7/cgroup", "0::/job/step\n"},
                                         {"/proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"},
                                         {"/sys/fs/cgroup/job/cpuset.cpus.effective", "4-7\n"},
                                         {"/sys/fs/cgroup/job/cpuset.mems.effective", "\n"}}), "7");
  EXPECT_EQ(a.cpus->to_list(), "4-7");
  EXPECT_FALSE(a.mems) << "empty is no limit";
}

}  // namespace
}  // namespace numapin
