#include "plan/numactl_spec.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

const NodeSet kAllowed = {1, 3};
const NodeSet kEvery = {0, 1, 2, 3};

Result<NodeSet> find(std::string_view spec) {
  if (spec == "pci:18:00.0") return NodeSet{2};
  if (spec == "file:/a,b") return NodeSet{1};
  return fail(Error::Kind::kNotFound, "no such device");
}

std::string nodes(std::string_view text) {
  const auto r = parse_node_spec(text, kAllowed, kEvery, find);
  return r ? r->to_list() : "error: " + r.error().message;
}

std::string cpus(std::string_view text) {
  const auto r = parse_cpu_spec(text, CpuSet{4, 5, 8, 9}, CpuSet::range(0, 11));
  return r ? r->to_list() : "error: " + r.error().message;
}

TEST(NodeSpec, ReadsWhatNumactlReads) {
  EXPECT_EQ(nodes("0-1,3"), "0-1,3");
  EXPECT_EQ(nodes("all"), "1,3");
  EXPECT_EQ(nodes("+0"), "1");
  EXPECT_EQ(nodes("+0-1"), "1,3");
  EXPECT_EQ(nodes("!0"), "1-3");
  EXPECT_EQ(nodes("!+0"), "0,2-3");
}

TEST(NodeSpec, ReadsDevices) {
  EXPECT_EQ(nodes("pci:18:00.0"), "2");
  EXPECT_EQ(nodes("0,pci:18:00.0"), "0,2");
  EXPECT_EQ(nodes("!pci:18:00.0"), "0-1,3");
  EXPECT_EQ(nodes("file:/a,b"), "1");
  EXPECT_EQ(nodes("pci:99:00.0"), "error: no such device");
}

TEST(PciSpec, TakesEveryFormOfTheManual) {
  const PciAddress want{0, 0x18, 0, 1};
  for (const char* text : {"pci:18:00.1", "pci:18:00:1", "pci:0000:18:00.1", "pci:0000:18:00:1"}) {
    EXPECT_EQ(parse_pci_spec(text), want) << text;
  }
  EXPECT_EQ(parse_pci_spec("pci:0000:18:00"), (PciAddress{0, 0x18, 0, 0}));
  EXPECT_EQ(parse_pci_spec("pci:18:00"), (PciAddress{0, 0x18, 0, 0}));
  for (const char* text : {"pci:", "pci:zz", "pci:18", "pci:1:2:3:4:5"}) EXPECT_FALSE(parse_pci_spec(text)) << text;
}

TEST(NodeSpec, SaysWhereATextGoesWrong) {
  EXPECT_EQ(nodes("1-x").find("error: parse"), 0u) << nodes("1-x");
  EXPECT_NE(nodes("1-x").find("column 3"), std::string::npos) << nodes("1-x");
  EXPECT_EQ(nodes("gpu0"), "error: read node list \"gpu0\": column 1: not a number");
  EXPECT_EQ(nodes(""), "error: read node list \"\": it names none");
  EXPECT_EQ(nodes("!0-3"), "error: read node list \"!0-3\": it names none");
  EXPECT_EQ(nodes("+2"), "error: read relative node +2: only 2 are allowed (1,3)");
  EXPECT_EQ(nodes("0,,pci:18:00.0"), "error: read node list: an item is empty");
}

TEST(CpuSpec, ReadsWhatNumactlAndTasksetRead) {
  EXPECT_EQ(cpus("0-3,8"), "0-3,8");
  EXPECT_EQ(cpus("all"), "4-5,8-9");
  EXPECT_EQ(cpus("+1-2"), "5,8");
  EXPECT_EQ(cpus("!0-10"), "11");
  EXPECT_EQ(cpus("0-11:4"), "0,4,8");
  EXPECT_EQ(cpus("3-1").find("error: "), 0u);
  EXPECT_EQ(cpus("+4"), "error: read relative CPU +4: only 4 are allowed (4-5,8-9)");
}

}  // namespace
}  // namespace numapin
