#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"
#include "numapin/machine.h"

namespace numapin {
namespace {

using namespace sample;

Machine completed(Machine m) {
  complete(m);
  EXPECT_THAT(check(m), testing::IsEmpty());
  return m;
}
std::string cell(const Machine& m, DeviceRef from, DeviceRef to) {
  const auto* link = find_link(m, from, to);
  return link ? to_string(*link) : "-";
}

TEST(PciLinks, ClassesFollowTheTree) {
  auto m = two_sockets();
  m.links.clear();
  m = completed(m);
  // In PCI order 1a 1b | 1c 1d on node 0, 9a 9b | 9c 9d on node 1.
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(1)), "PIX") << "one switch";
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(2)), "NODE") << "two host bridges of a node";
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(4)), "SYS");
  EXPECT_EQ(cell(m, gpu_ref(4), gpu_ref(0)), "SYS");
  EXPECT_EQ(cell(m, gpu_ref(1), nic_ref(0)), "PIX");
  EXPECT_EQ(cell(m, nic_ref(0), gpu_ref(3)), "NODE");
  EXPECT_EQ(m.links.front().source, Source::kPciTree);
}

TEST(PciLinks, CascadedSwitchesArePxbAndSeveralRootPortsArePhb) {
  auto m = with_nodes({node(0, "0-3", 16)});
  m.pci.push_back(function("0000:00:01.0", 0x060400, 0, "", "pci0000:00"));
  m.pci.push_back(function("0000:01:00.0", 0x060400, 0, "0000:00:01.0", "pci0000:00"));
  m.pci.push_back(function("0000:02:00.0", 0x060400, 0, "0000:01:00.0", "pci0000:00"));
  m.pci.push_back(function("0000:03:00.0", 0x060400, 0, "0000:02:00.0", "pci0000:00"));
  m.pci.push_back(function("0000:04:00.0", 0x060400, 0, "0000:03:00.0", "pci0000:00"));
  add_function_with_gpu(m, function("0000:05:00.0", 0x030200, 0, "0000:04:00.0", "pci0000:00"));
  m.pci.push_back(function("0000:02:01.0", 0x060400, 0, "0000:01:00.0", "pci0000:00"));
  add_function_with_gpu(m, function("0000:06:00.0", 0x030200, 0, "0000:02:01.0", "pci0000:00"));
  m.pci.push_back(function("0000:00:02.0", 0x060400, 0, "", "pci0000:00"));
  add_function_with_gpu(m, function("0000:07:00.0", 0x030200, 0, "0000:00:02.0", "pci0000:00"));
  m = completed(m);
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(1)), "PXB");
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(2)), "PHB");
}

TEST(PciLinks, BetterKnowledgeStays) {
  const auto m = completed(two_sockets());
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(1)), "NV12");
  EXPECT_EQ(cell(m, gpu_ref(3), gpu_ref(4)), "SYS");
}

TEST(PciLinks, UnknownNodesOnAMachineWithSeveralAreLeftOut) {
  auto m = with_nodes({node(0, "0-3", 16), node(1, "4-7", 16)});
  add_function_with_gpu(m, function("0001:00:00.0", 0x030200, -1, "", "pci0001:00"));
  add_function_with_gpu(m, function("0002:00:00.0", 0x030200, -1, "", "pci0002:00"));
  add_function_with_gpu(m, function("0003:00:00.0", 0x030200, 1, "", "pci0003:00"));
  EXPECT_TRUE(completed(m).links.empty());
}

TEST(PciLinks, FlatTreeOfAVm) {
  EXPECT_EQ(cell(completed(vm(2)), gpu_ref(0), gpu_ref(1)), "PHB") << "one root bus, nodes unknown";
  auto m = vm(2);
  m.pci[0].numa_node = {NodeId{0}, Source::kSysfs};
  m.pci[1].numa_node = {NodeId{1}, Source::kSysfs};
  EXPECT_EQ(cell(completed(m), gpu_ref(0), gpu_ref(1)), "SYS") << "one root bus, but known to be on two nodes";
}

TEST(PciLinks, WithoutHostBridgesOnlyDifferentNodesAreTold) {
  auto m = two_sockets();
  m.links.clear();
  for (auto& d : m.pci) d.host_bridge.clear();
  m = completed(m);
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(2)), "-") << "PHB or NODE";
  EXPECT_EQ(cell(m, gpu_ref(0), gpu_ref(4)), "SYS");
}

TEST(PciLinks, ATableCutShortIsMirrored) {
  Machine m;
  m.gpus = {gpu(0, ""), gpu(1, "")};
  Link link = *parse_link("NV4");
  link.from = gpu_ref(0);
  link.to = gpu_ref(1);
  link.source = Source::kSmiTopo;
  m.links = {link};
  EXPECT_EQ(cell(completed(m), gpu_ref(1), gpu_ref(0)), "NV4");
}

TEST(PciLinks, VirtualFunctionsOfNicsAreNotPairedWithEachOther) {
  auto m = two_sockets();
  for (int i = 1; i <= 3; ++i) {
    auto vf = function("0000:1e:00." + std::to_string(i), 0x020700, 0, "0000:12:02.0", "pci0000:10");
    vf.physfn = at("0000:1e:00.0");
    m.pci.push_back(vf);
    m.nics.push_back(nic(i, vf.address.to_string()));
  }
  m = completed(m);
  EXPECT_EQ(cell(m, nic_ref(1), nic_ref(2)), "-");
  EXPECT_EQ(cell(m, nic_ref(1), gpu_ref(0)), "PIX");
}

TEST(PciLinks, NothingWithoutGpus) {
  auto m = with_nodes({node(0, "0-3", 16)});
  for (int i = 0; i < 2; ++i) {
    m.pci.push_back(function("0000:01:00." + std::to_string(i), 0x020000, 0, "", "pci0000:00"));
    m.nics.push_back(nic(i, m.pci.back().address.to_string()));
  }
  EXPECT_TRUE(completed(m).links.empty());
}

}  // namespace
}  // namespace numapin
