#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"

namespace numapin {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

Machine read(std::string_view text) {
  auto m = from_hwloc_xml(text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  if (m) {
    EXPECT_THAT(check(*m), IsEmpty());
  }
  return m ? *m : Machine{};
}

std::string two_nodes(std::string_view below_node_1, std::string_view below_machine) {
  return R"(<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="2.0">
<object type="Machine" os_index="0" cpuset="0x0000000f" complete_cpuset="0x0000001f" nodeset="0x00000003">
 <object type="Package" os_index="0" cpuset="0x00000003" nodeset="0x00000001">
  <object type="NUMANode" os_index="0" cpuset="0x00000003" nodeset="0x00000001" local_memory="4096"/>
  <object type="Core" cpuset="0x00000003"/>
 </object>
 <object type="Package" os_index="1" cpuset="0x0000000c" nodeset="0x00000002">
  <object type="NUMANode" os_index="1" cpuset="0x0000000c" nodeset="0x00000002" local_memory="4096"/>)" +
         std::string(below_node_1) + "</object>" + std::string(below_machine) + "</object></topology>";
}

constexpr std::string_view kGpu = R"(<object type="Bridge" bridge_type="0-1" bridge_pci="0000:[17-1f]">
 <object type="PCIDev" pci_busid="0000:18:00.0" pci_type="0302 [10de:20b0] [10de:134f] a1" gp_index="7">
  <object type="OSDev" name="nvml4" subtype="NVML" osdev_type="1"><info name="NVIDIAUUID" value="GPU-1"/></object>
 </object></object>)";

TEST(HwlocXml, PlacesADeviceAtTheObjectThatItsHostBridgeHangsOn) {
  const auto m = read(two_nodes(kGpu, ""));
  ASSERT_EQ(m.gpus.size(), 1u);
  EXPECT_EQ(m.gpus[0].numa_nodes->to_list(), "1");
  EXPECT_EQ(m.gpus[0].local_cpus->to_list(), "2-3");
  EXPECT_EQ(m.gpus[0].uuid.value, "GPU-1");
  EXPECT_EQ(m.gpus[0].nvml_index.value, 4);
  EXPECT_EQ(m.pci[0].host_bridge, "pci0000:17");
}

TEST(HwlocXml, TakesADeviceAtTheWholeMachineAsUnknown) {
  const auto m = read(two_nodes("", kGpu));
  EXPECT_FALSE(m.gpus[0].numa_nodes);
  EXPECT_EQ(m.gpus[0].local_cpus->to_list(), "0-3");
}

TEST(HwlocXml, LeavesOpenWhichUnusableCpusAreOffline) { EXPECT_FALSE(read(two_nodes("", "")).offline); }

// hwloc 2 writes the old format with the CPUs that it might use as online_cpuset (Lassen: cores set aside for the system).
TEST(HwlocXml, TakesForbiddenCpusForOfflineInNoVersion) {
  const auto offline = [](const std::string& version) {
    return read(R"(<topology><object type="Machine" cpuset="0xe" complete_cpuset="0xf" online_cpuset="0xe" allowed_cpuset="0xe" nodeset="0x1">
<info name="hwlocVersion" value=")" + version + R"("/><object type="NUMANode" os_index="0" cpuset="0xe" nodeset="0x1" local_memory="4096"/></object></topology>)").offline;
  };
  EXPECT_EQ(offline("1.11.8")->to_list(), "0");
  EXPECT_FALSE(offline("2.1.0"));
}

TEST(HwlocXml, KeepsGpuMemoryOutOfTheNodesThatAGpuIsNear) {
  const auto m = read(R"(<topology version="2.0"><object type="Machine" cpuset="0x3" complete_cpuset="0x3" nodeset="0x3">
<object type="NUMANode" os_index="0" cpuset="0x3" nodeset="0x1" local_memory="4096"/>
<object type="NUMANode" os_index="1" subtype="GPUMemory" cpuset="0x3" nodeset="0x2" local_memory="4096"><info name="PCIBusID" value="0000:18:00.0"/></object>)" +
                      std::string(kGpu) + "</object></topology>");
  EXPECT_EQ(m.gpus[0].numa_nodes->to_list(), "0");
  EXPECT_EQ(m.gpus[0].memory_node.value, NodeId{1});
  EXPECT_EQ(m.nodes[1].kind.value, MemoryKind::kGpu);
}

TEST(HwlocXml, SaysLineAndColumnOfDamage) {
  const auto m = from_hwloc_xml("<topology>\n <object type=\"Machine\"\n");
  ASSERT_FALSE(m);
  EXPECT_EQ(m.error().kind, Error::Kind::kBadInput);
  EXPECT_THAT(m.error().message, HasSubstr("line "));
}

TEST(HwlocXml, RefusesNestingWithoutEnd) {
  std::string text = "<topology>";
  for (int i = 0; i < 100000; ++i) text += "<object type=\"Group\">";
  for (int i = 0; i < 100000; ++i) text += "</object>";
  EXPECT_FALSE(from_hwloc_xml(text + "</topology>"));
}

TEST(HwlocXml, ExpandsNoEntities) {
  const auto m = from_hwloc_xml(
      "<!DOCTYPE topology [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><topology><object type=\"Machine\" cpuset=\"0x1\">"
      "<info name=\"HostName\" value=\"&b;\"/></object></topology>");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->hostname.value, "&b;");
}

// As of a Xeon Max: each package with DRAM and HBM, which the export shows at the same CPUs.
TEST(HwlocXml, ReadsMemoryAttributesOfTheFastestInitiator) {
  const auto m = read(R"(<topology version="2.0"><object type="Machine" cpuset="0xf" complete_cpuset="0xf" nodeset="0x7">
<object type="NUMANode" os_index="0" subtype="DRAM" cpuset="0x3" nodeset="0x1" local_memory="4096" gp_index="2"/>
<object type="NUMANode" os_index="1" subtype="DRAM" cpuset="0xc" nodeset="0x2" local_memory="4096" gp_index="3"/>
<object type="NUMANode" os_index="2" subtype="HBM" cpuset="0x3" nodeset="0x4" local_memory="4096" gp_index="9"/></object>
<memattr name="Capacity" flags="1"/>
<memattr name="Bandwidth" flags="5">
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="9" value="30000" initiator_cpuset="0x0000000c"/>
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="9" value="90000" initiator_cpuset="0x00000003"/>
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="2" value="0" initiator_cpuset="0x00000003"/>
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="77" value="1" initiator_cpuset="0x00000003"/>
</memattr>
<memattr name="ReadBandwidth" flags="5">
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="9" value="95000" initiator_cpuset="0x00000003"/>
</memattr>
<memattr name="Latency" flags="6">
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="9" value="140" initiator_cpuset="0x0000000c"/>
 <memattr_value target_obj_type="NUMANode" target_obj_gp_index="9" value="110" initiator_cpuset="0x00000003"/>
</memattr></topology>)");
  ASSERT_EQ(m.nodes.size(), 3u);
  EXPECT_FALSE(m.nodes[0].access0);
  const auto& hbm = *m.nodes[2].access0;
  EXPECT_EQ(hbm.read_bandwidth_mb_per_s, 95000);
  EXPECT_EQ(hbm.write_bandwidth_mb_per_s, 90000);
  EXPECT_EQ(hbm.read_latency_ns, 110);
  EXPECT_EQ(hbm.write_latency_ns, 110);
  EXPECT_EQ(hbm.initiators.to_list(), "0");
}

TEST(HwlocXml, ReadsKindsOfCoresWhereThereAreTwo) {
  const auto kinds = [](std::string_view second) {
    auto m = read(R"(<topology version="2.0"><object type="Machine" cpuset="0x7" complete_cpuset="0x7" nodeset="0x1">
<object type="NUMANode" os_index="0" cpuset="0x7" nodeset="0x1" local_memory="4096"/>
<object type="Core" os_index="0" cpuset="0x3"/><object type="Core" os_index="1" cpuset="0x4"/></object>
<cpukind cpuset="0x00000003"><info name="CoreType" value="IntelCore"/></cpukind>
<cpukind cpuset="0x00000004"><info name="CoreType" value=")" + std::string(second) + R"("/></cpukind></topology>)");
    return m.cores.at(0).kind + "," + m.cores.at(1).kind;
  };
  EXPECT_EQ(kinds("IntelAtom"), "P,E");
  EXPECT_EQ(kinds("MySmallCore"), ",");
}

// ---- links between GPUs ------------------------------------------------------------------------------------------------

/// Three GPUs, two NVSwitches (one that could not be read), as lstopo writes them; OSDevs have gp_index 11, 21, 31, the
/// switches 40 and 50.
std::string three_gpus(std::string_view device, std::string_view matrix) {
  std::string below;
  for (const std::string n : {"1", "2", "3"})
    below += R"(<object type="Bridge" bridge_type="0-1" bridge_pci="0000:[)" + n + "0-" + n + R"(f]"><object type="PCIDev" gp_index=")" + n +
             R"(0" pci_busid="0000:)" + n + R"(1:00.0" pci_type="0302 [10de:)" + std::string(device) +
             R"(] [10de:134f] a1"><object type="OSDev" gp_index=")" + n + R"(1" name="nvml" osdev_type="1"/></object></object>)";
  below += R"(<object type="PCIDev" gp_index="40" subtype="NVSwitch" pci_busid="0000:61:00.0" pci_type="0680 [10de:1ac2] [0000:0000] a1"/>
<object type="PCIDev" gp_index="50" subtype="NVSwitch" pci_busid="0000:62:00.0" pci_type="0000 [0000:0000] [0000:0000] 00"/>)";
  auto text = two_nodes(below, "");
  return text.insert(text.find("</topology>"), matrix);
}

std::string link_of(const Machine& m, int from, int to) {
  const auto* link = find_link(m, {DeviceRef::Type::kGpu, from}, {DeviceRef::Type::kGpu, to});
  return link == nullptr ? "-" : to_string(*link);
}

TEST(HwlocXml, CountsNvlinksBetweenGpusByTheirRate) {
  const auto pair = [](std::string_view device, const std::string& rate) {
    return link_of(read(three_gpus(device, R"(<distances2 type="OSDev" nbobjs="2" kind="9" name="NVLinkBandwidth" indexing="gp">
<indexes length="6">11 21 </indexes><u64values length="9">1000000 )" + rate + " " + rate + " 1000000 </u64values></distances2>")), 0, 1);
  };
  EXPECT_EQ(pair("15f9", "40000"), "NV2") << "P100";
  EXPECT_EQ(pair("1db1", "50000"), "NV2") << "V100";
  EXPECT_EQ(pair("2330", "150000"), "NV6") << "H100";
  EXPECT_EQ(pair("2330", "100000"), "NV4") << "not five of version 1";
  EXPECT_EQ(pair("2901", "900000"), "NV18") << "B200";
  EXPECT_EQ(pair("2330", "900000"), "NV18") << "more than 18 links of 25 GB/s are links of 50";
  EXPECT_EQ(pair("2330", "123"), "NV") << "a link, of no known number";
  EXPECT_EQ(pair("2330", "0"), "-");
}

TEST(HwlocXml, GpusAtNvswitchesReachEachOtherByAllTheirLinks) {
  // GPU 0 and 1 at one switch, GPU 2 at the other (the two boards of a DGX-2), and the CPU's end of an NVLink.
  const auto m = read(three_gpus("1db8", R"(<distances2hetero nbobjs="6" kind="25" name="NVLinkBandwidth">
<indexes length="24">OSDev:11 OSDev:21 OSDev:31 </indexes><indexes length="24">PCIDev:40 PCIDev:50 Package:3 </indexes>
<u64values length="12">0 0 0 150000 0 0 </u64values><u64values length="12">0 0 0 150000 0 0 </u64values>
<u64values length="12">0 0 0 0 150000 0 </u64values><u64values length="12">150000 150000 0 0 0 0 </u64values>
<u64values length="12">0 0 150000 0 0 0 </u64values><u64values length="12">0 0 0 0 0 0 </u64values></distances2hetero>)"));
  ASSERT_EQ(m.gpus.size(), 3u);
  EXPECT_EQ(link_of(m, 0, 1), "NV6");
  EXPECT_EQ(link_of(m, 2, 0), "NV6");
  EXPECT_EQ(m.links.size(), 6u);
}

TEST(HwlocXml, LeavesOutADamagedMatrixOfLinks) {
  for (const char* indexes : {"OSDev:11 OSDev:21 OSDev:31", "OSDev:11 OSDev", "OSDev:11 OSDev:x", "11 21:"})
    EXPECT_THAT(read(three_gpus("2330", std::string(R"(<distances2hetero nbobjs="2" kind="25" name="NVLinkBandwidth"><indexes length="1">)") + indexes +
                                           R"(</indexes><u64values length="1">0 150000 150000 0</u64values></distances2hetero>)")).links, IsEmpty()) << indexes;
}

TEST(HwlocXml, TakesHopsOfXgmiForKfdsWeights) {
  const auto m = read(three_gpus("2330", R"(<distances2 type="OSDev" nbobjs="3" kind="5" name="XGMIHops" indexing="gp">
<indexes length="9">11 21 31 </indexes><u64values length="9">0 1 2 1 0 1 2 1 0 </u64values></distances2>
<distances2 type="OSDev" nbobjs="3" kind="9" name="XGMIBandwidth" indexing="gp"><indexes length="9">11 21 31 </indexes>
<u64values length="9">1000000 100000 100000 100000 1000000 100000 100000 100000 1000000 </u64values></distances2>)"));
  const auto weight = [&](int to) { return find_link(m, {DeviceRef::Type::kGpu, 0}, {DeviceRef::Type::kGpu, to})->weight; };
  EXPECT_EQ(link_of(m, 0, 2), "XGMI");
  EXPECT_EQ(weight(1), 15);
  EXPECT_EQ(weight(2), 30) << "over another GPU";
}

}  // namespace
}  // namespace numapin
