#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numapin/sources.h"
#include "sources/sniff.h"

namespace numapin {
namespace {

using testing::HasSubstr;

Machine read(std::string_view text) {
  EXPECT_TRUE(looks_like_smi_topo(text));
  auto m = from_smi_topo(text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  return m ? *m : Machine{};
}

/// "0,1" for two GPUs on nodes 0 and 1; "?" where unknown
std::string nodes(const Machine& m) {
  std::string out;
  for (const auto& gpu : m.gpus) {
    if (!out.empty()) out += ' ';
    out += gpu.numa_nodes ? gpu.numa_nodes->to_list() : "?";
  }
  return out;
}

std::string cpus(const Machine& m) {
  std::string out;
  for (const auto& gpu : m.gpus) {
    if (!out.empty()) out += ' ';
    out += gpu.local_cpus ? gpu.local_cpus->to_list() : "?";
  }
  return out;
}

constexpr std::string_view kTwoGpus =
    "\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n"
    "GPU0\t X \tNV12\tPIX\t0-15\t0\t\tN/A\n"
    "GPU1\tNV12\t X \tSYS\t16-31\t1\t\tN/A\n"
    "NIC0\tPIX\tSYS\t X \t\t\t\t\n"
    "\nNIC Legend:\n\n  NIC0: mlx5_3\n";

TEST(SmiTopo, ReadsTheTableAsPrinted) {
  const auto m = read(kTwoGpus);
  EXPECT_EQ(nodes(m), "0 1");
  EXPECT_EQ(cpus(m), "0-15 16-31");
  ASSERT_EQ(m.nodes.size(), 2u);
  EXPECT_EQ(m.nodes[1].cpus->to_list(), "16-31");
  ASSERT_EQ(m.nics.size(), 1u);
  EXPECT_EQ(m.nics[0].name, "mlx5_3");
  const auto* link = find_link(m, {DeviceRef::Type::kGpu, 0}, {DeviceRef::Type::kGpu, 1});
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(to_string(*link), "NV12");
  EXPECT_TRUE(m.notes.empty());
}

TEST(SmiTopo, ReadsTheMemoryNodeOfACoherentGpuFromTheLastColumnOnly) {
  const auto m = read("\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\nGPU0\t X \t0-71\t0\t\t1\n");
  EXPECT_EQ(nodes(m), "0");
  EXPECT_EQ(m.gpus[0].memory_node.value, NodeId{1});
  ASSERT_EQ(m.nodes.size(), 2u);
  EXPECT_EQ(m.nodes[1].kind.value, MemoryKind::kGpu);
  EXPECT_TRUE(m.nodes[1].cpus->empty());
}

TEST(SmiTopo, TakesSeveralNodesAsUnknown) {
  const auto m = read("\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0-63\t0-1\n");
  EXPECT_EQ(nodes(m), "?");
  EXPECT_EQ(cpus(m), "0-63");
}

TEST(SmiTopo, KeepsAnEmptyCpuCellApartFromTheNode) {
  const auto tabs = read(
      "\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n"
      "GPU0\t X \tSYS\t0-3\t0\t\tN/A\nGPU1\tSYS\t X \t\t1\t\tN/A\n");
  EXPECT_EQ(nodes(tabs), "0 1");
  EXPECT_EQ(cpus(tabs), "0-3 ?");
  const auto blanks = read(
      "        GPU0    GPU1    CPU Affinity    NUMA Affinity   GPU NUMA ID\n"
      "GPU0     X      SYS     0-3     0               N/A\n"
      "GPU1    SYS      X              1               N/A\n");
  EXPECT_EQ(cpus(blanks), "0-3 ?");
}

TEST(SmiTopo, ReadsRowsAndHeadsWrappedAtTheTerminalsEdge) {
  const auto m = read(
      "        GPU0    GPU1    GPU2    CPU Affi\n"
      "        GPU0    GPU1    GPU2\nCPU Affinity    NUMA Affinity\n"
      "GPU0     X      NV4     NV4\n0-15    0\nGPU1    NV4      X      NV4\n16-31    1\n"
      "GPU2    NV4\nNV4      X      32-47    2\n");
  EXPECT_EQ(nodes(m), "0 1 2");
  EXPECT_EQ(cpus(m), "0-15 16-31 32-47");
}

TEST(SmiTopo, ReadsTablesBehindMarks) {
  for (std::string_view mark : {"> ", "# ", "    ", "notes.txt:12:", "// ", "| "}) {
    std::string text;
    for (auto line : {"\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\n", "GPU0\t X \tPHB\t0-7\t0\n", "GPU1\tPHB\t X \t8-15\t1\n"})
      text += std::string(mark) + line;
    EXPECT_EQ(nodes(read(text)), "0 1") << mark;
  }
}

TEST(SmiTopo, ReadsTerminalCodesAndEscapedText) {
  EXPECT_EQ(nodes(read("\t\x1b[4mGPU0\tCPU Affinity\tNUMA Affinity\x1b[0m\nGPU0\t X \t0-7\t0\n")), "0");
  EXPECT_EQ(nodes(read("\"\\tGPU0\\tCPU Affinity\\tNUMA Affinity\\nGPU0\\t X \\t0-7\\t0\\n")), "0");
}

TEST(SmiTopo, ReadsATableWithoutHeader) {
  const auto m = read("GPU0\t X \tNV2\t0-7\t0\nGPU1\tNV2\t X \t8-15\t1\n");
  EXPECT_EQ(nodes(m), "0 1");
  EXPECT_EQ(cpus(m), "0-7 8-15");
}

TEST(SmiTopo, PartsCellsThatRanTogether) {
  const auto m = read(
      "      GPU0 GPU1 NIC0NIC1 CPU Affinity NUMA Affinity\n"
      "GPU0   X   SYS  PIXSYS   0-7          0\nGPU1  SYS   X   SYSPIX   8-15         1\n");
  EXPECT_EQ(nodes(m), "0 1");
  const auto* link = find_link(m, {DeviceRef::Type::kGpu, 1}, {DeviceRef::Type::kNic, 1});
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(link->kind, LinkKind::kPix);
}

TEST(SmiTopo, TrustsNoRowThatLostACell) {
  const auto m = read(
      "\tGPU0\tGPU1\tGPU2\tCPU Affinity\tNUMA Affinity\n"
      "GPU0\t X \tSYS\tSYS\t0-7\t0\nGPU1\t X \tSYS\t8-15\t1\nGPU2\tSYS\tSYS\t X \t8-15\t1\n");
  EXPECT_EQ(nodes(m), "0 ? 1");
  ASSERT_FALSE(m.notes.empty());
  EXPECT_THAT(m.notes[0], HasSubstr("GPU1"));
  EXPECT_THAT(m.notes[0], HasSubstr("line 3"));
}

TEST(SmiTopo, TrustsNoCellInWhichTheTextStops) {
  const auto m = read("\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\nGPU0\t X \tSYS\t0-7");
  EXPECT_EQ(cpus(m), "? ?");
  EXPECT_FALSE(m.notes.empty());
}

TEST(SmiTopo, SaysWhereNothingWasFound) {
  const auto m = from_smi_topo("Wed Jan 1\n  GPU0 is missing\n");
  ASSERT_FALSE(m);
  EXPECT_EQ(m.error().kind, Error::Kind::kBadInput);
  EXPECT_THAT(m.error().message, HasSubstr("line 2, column 3"));
  EXPECT_THAT(m.error().hint, HasSubstr("nvidia-smi topo -m"));
}

}  // namespace
}  // namespace numapin
