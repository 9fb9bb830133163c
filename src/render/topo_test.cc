// The two tables of other tools; the drawing for people has goldens in tests/cli.
#include "render/topo.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "render/layout.h"
#include "render/pci_drawing.h"

namespace numapin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

NumaNode node(int id, CpuSet cpus, std::uint64_t total_mib, std::map<int, int> distances) {
  NumaNode n;
  n.id = NodeId{id};
  n.cpus = {std::move(cpus), Source::kSysfs};
  n.memory_total_bytes = {total_mib << 20, Source::kSysfs};
  n.memory_free_bytes = {total_mib << 19, Source::kSysfs};
  if (!distances.empty()) n.distances = {std::move(distances), Source::kSysfs};
  return n;
}

Machine two_nodes_and_gpus() {
  Machine m;
  m.nodes = {node(0, {0, 1}, 1000, {{0, 10}, {8, 120}}), node(8, {}, 0, {{0, 120}, {8, 10}})};
  for (int i = 0; i < 2; ++i) {
    Gpu gpu;
    gpu.index = i;
    m.gpus.push_back(gpu);
  }
  m.gpus[0].numa_nodes = {NodeSet{0}, Source::kSysfs};
  m.gpus[1].memory_node = {NodeId{8}, Source::kNvml};
  const DeviceRef a{DeviceRef::Type::kGpu, 0}, b{DeviceRef::Type::kGpu, 1};
  m.links = {{a, b, LinkKind::kNvlink, 4, {}, {}, Source::kNvml}, {b, a, LinkKind::kNvlink, 4, {}, {}, Source::kNvml}};
  return m;
}

TEST(NumactlHardware, KeepsItsOddities) {
  // A blank ends the lines of distances; a node without CPUs ends in "cpus:"; three digits take four columns.
  EXPECT_EQ(numactl_hardware(two_nodes_and_gpus()),
            "available: 2 nodes (0,8)\n"
            "node 0 cpus: 0 1\n"
            "node 0 size: 1000 MB\n"
            "node 0 free: 500 MB\n"
            "node 8 cpus:\n"
            "node 8 size: 0 MB\n"
            "node 8 free: 0 MB\n"
            "node distances:\n"
            "node   0   8 \n"
            "  0:  10  120 \n"
            "  8:  120  10 \n");
}

TEST(NumactlHardware, SaysWhatIsUnknownInItsOwnWords) {
  Machine m;
  m.nodes.resize(1);
  EXPECT_EQ(numactl_hardware(m),
            "available: 1 nodes (0)\n"
            "node 0 cpus:\n"
            "node 0 size: <not available>\n"
            "node 0 free: <not available>\n"
            "No distance information available.\n");
}

TEST(SmiTopoMatrix, HasItsTabs) {
  const auto text = smi_topo_matrix(two_nodes_and_gpus());
  const auto lines = split_lines(text);
  ASSERT_GT(lines.size(), 3u);
  EXPECT_EQ(lines[0], "\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID");
  EXPECT_EQ(lines[1], "GPU0\t X \tNV4\t0-1\t0\t\tN/A");
  EXPECT_EQ(lines[2], "GPU1\tNV4\t X \tN/A\tN/A\t\t8");
  EXPECT_THAT(text, HasSubstr("\nLegend:\n\n  X    = Self\n"));
  EXPECT_THAT(text, Not(HasSubstr("NIC Legend")));
}

TEST(SmiTopoMatrix, ListsRdmaDevicesAndWhatSuchATableNamed) {
  auto m = two_nodes_and_gpus();
  m.nics.resize(2);
  m.nics[0].name = "eth0";
  m.nics[1].index = 1;
  m.nics[1].name = "mlx5_0";
  EXPECT_THAT(smi_topo_matrix(m), HasSubstr("  NIC0: eth0\n  NIC1: mlx5_0\n"));
  m.nics[0].address = PciAddress{0, 3, 0, 0};  // found on the bus, and no RDMA device
  const auto text = smi_topo_matrix(m);
  EXPECT_THAT(text, HasSubstr("  NIC0: mlx5_0\n"));
  EXPECT_THAT(text, Not(HasSubstr("eth0")));
}

PciDevice pci(std::string_view address, std::optional<PciAddress> parent, PciLink link, PciLink max) {
  PciDevice d;
  d.address = PciAddress::parse(address).value();
  d.parent = parent;
  d.host_bridge = "pci0000:00";
  d.link = {link, Source::kSysfs};
  d.link_max = {max, Source::kSysfs};
  return d;
}

TEST(LinkText, TellsWhatCouldBe) {
  EXPECT_EQ(link_text({PciLink{16, 16}, Source::kSysfs}, {PciLink{16, 16}, Source::kSysfs}), "Gen4 x16");
  EXPECT_EQ(link_text({PciLink{16, 8}, Source::kSysfs}, {PciLink{32, 16}, Source::kSysfs}), "Gen4 x8 (of Gen5 x16)");
  EXPECT_EQ(link_text({PciLink{16, 8}, Source::kSysfs}, {}), "Gen4 x8");
  EXPECT_EQ(link_text({}, {PciLink{16, 8}, Source::kSysfs}), "");
  EXPECT_EQ(link_text({PciLink{7.5, 2}, Source::kSysfs}, {}), "7.5 GT/s x2");
}

TEST(PciDrawing, FlagsTheNarrowLinkAbove) {
  Machine m;
  m.pci.push_back(pci("0000:00:01.0", {}, {8, 8}, {16, 16}));
  m.pci.push_back(pci("0000:01:00.0", m.pci[0].address, {16, 16}, {16, 16}));
  EXPECT_EQ(bottleneck_text(m, m.pci[1]), "limited to Gen3 x8 by 0000:00:01.0");
  EXPECT_EQ(bottleneck_text(m, m.pci[0]), "");
  // A slower device behind a fast port is no bottleneck.
  m.pci[1].link = {PciLink{16, 2}, Source::kSysfs};
  EXPECT_EQ(bottleneck_text(m, m.pci[1]), "");
}

TEST(PciDrawing, ShowsOnlyBridgesThatBranch) {
  Machine m;
  m.pci.push_back(pci("0000:00:01.0", {}, {16, 16}, {16, 16}));
  const auto port = m.pci[0].address;
  m.pci.push_back(pci("0000:01:00.0", port, {16, 16}, {16, 16}));
  const DrawnDevice gpu{m.pci[1].address, "GPU 0", "H100", "", "", true};
  EXPECT_EQ(draw_pci(m, {gpu}, "", {}), "`- GPU 0  H100  0000:01:00.0  Gen4 x16\n");
  m.pci.push_back(pci("0000:01:00.1", port, {16, 16}, {16, 16}));
  const DrawnDevice other{m.pci[2].address, "GPU 1", "H100", "", "", true};
  EXPECT_EQ(draw_pci(m, {gpu, other}, "", {}),
            "`- root port 0000:00:01.0  Gen4 x16\n"
            "   |- GPU 0  H100  0000:01:00.0  Gen4 x16\n"
            "   `- GPU 1  H100  0000:01:00.1  Gen4 x16\n");
}

TEST(PciDrawing, SurvivesParentsInARing) {
  Machine m;
  m.pci.push_back(pci("0000:00:01.0", {}, {16, 16}, {16, 16}));
  m.pci.push_back(pci("0000:01:00.0", m.pci[0].address, {16, 16}, {16, 16}));
  m.pci[0].parent = m.pci[1].address;
  const DrawnDevice gpu{m.pci[1].address, "GPU 0", "", "", "", true};
  EXPECT_THAT(draw_pci(m, {gpu}, "", {}), HasSubstr("GPU 0"));
}

System with_text_from_outside() {
  System s{two_nodes_and_gpus(), {}, {}};
  s.machine.hostname = {"evil\033]0;x\007", Source::kSysfs};
  s.machine.gpus[0].model = {"model\033[2J", Source::kNvml};
  s.machine.notes = {"note\033[31m"};
  s.disagreements = {{"gpu 0\033[1m", "a", "b"}};
  s.allowance.cgroup = "/\033[5m";
  s.allowance.cpus = {CpuSet{0}, Source::kProcfs};
  return s;
}

TEST(TopoText, LetsNoEscapeOfARecordingReachTheTerminal) {
  EXPECT_THAT(topo_text(with_text_from_outside(), {}), Not(HasSubstr("\033")));
}

TEST(TopoText, KeepsToTheWidthAndHasNoTrailingBlanks) {
  for (const int width : {40, 60, 80, 120, 200}) {
    const auto text = topo_text(with_text_from_outside(), {width, true, false});
    for (const auto line : split_lines(text)) {
      EXPECT_LE(columns(line), static_cast<std::size_t>(width)) << line;
      EXPECT_FALSE(line.ends_with(' ')) << line;
    }
  }
}

TEST(TopoText, OfNothingIsStillText) {
  EXPECT_EQ(topo_text({}, {}), "machine: NUMA nodes unknown, no GPU\n");
}

TEST(TopoText, OfAPastedTableSaysWhatItDoesNotTell) {
  System s;
  s.machine.gpus.resize(1);
  s.machine.gpus[0].vendor = 0x10de;
  const auto text = topo_text(s, {});
  EXPECT_THAT(text, HasSubstr("`- GPU 0  NVIDIA\n"));
  EXPECT_THAT(text, HasSubstr("why: the source of this machine does not tell.\n"));
}

TEST(TopoText, ColorsOnlyOnRequest) {
  const System s{two_nodes_and_gpus(), {}, {}};
  EXPECT_THAT(topo_text(s, {80, false, true}), HasSubstr("\033[1mnode 0\033[0m"));
  EXPECT_THAT(topo_text(s, {80, true, false}), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace numapin
