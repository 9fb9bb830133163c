// The judgement at the end of `bench`.
#include "diagnose/measured.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

using testing::HasSubstr;
using testing::Not;

Machine machine(int nodes, int gpus) {
  Machine m;
  for (int i = 0; i < nodes; ++i) {
    NumaNode n;
    n.id = static_cast<NodeId>(i);
    n.cpus = {CpuSet{i}, Source::kSysfs};
    n.memory_total_bytes = {std::uint64_t{1} << 30, Source::kSysfs};
    m.nodes.push_back(n);
  }
  for (int i = 0; i < gpus; ++i) {
    Gpu g;
    g.index = i;
    g.address = PciAddress{0, static_cast<std::uint8_t>(0x10 + i), 0, 0};
    PciDevice d;
    d.address = *g.address;
    d.link = {PciLink{32, 16}, Source::kSysfs};
    m.gpus.push_back(g);
    m.pci.push_back(d);
  }
  return m;
}

Measured measured(const Machine& m, const std::vector<std::vector<int>>& gpu_nodes) {
  Measured out;
  for (const auto& n : m.nodes) out.cpu_nodes.push_back(n.id), out.memory_nodes.push_back(n.id);
  for (std::size_t i = 0; i < gpu_nodes.size(); ++i) {
    out.gpus.push_back({static_cast<int>(i), m.gpus[i].address, "H100", {}});
    for (const int node : gpu_nodes[i]) out.gpus.back().nodes.push_back(static_cast<NodeId>(node));
  }
  return out;
}

void add_memory(Measured& m, Metric metric, int cpu, int memory, double value) {
  Measurement x;
  x.metric = metric;
  x.cpu_node = static_cast<NodeId>(cpu);
  x.memory_node = static_cast<NodeId>(memory);
  x.samples = {value};
  m.measurements.push_back(x);
}
void add_copy(Measured& m, Metric metric, int gpu, int node, double value, Together together = Together::kAlone) {
  Measurement x;
  x.metric = metric;
  x.gpu = gpu;
  x.memory_node = static_cast<NodeId>(node);
  x.together = together;
  x.samples = {value};
  m.measurements.push_back(x);
}

TEST(MeasuredVerdict, SaysWhatTheWrongNodeCosts) {
  const auto box = machine(2, 2);
  auto m = measured(box, {{0}, {1}});
  for (const int a : {0, 1})
    for (const int b : {0, 1}) {
      add_memory(m, Metric::kRead, a, b, a == b ? 200 : 110);
      add_memory(m, Metric::kLatency, a, b, a == b ? 100 : 157);
      add_copy(m, Metric::kHostToDevice, a, b, 55);
      add_copy(m, Metric::kHostToDevice, a, b, a == b ? 50 : 31, Together::kAllGpus);
    }
  const auto v = measured_verdict(m, box);
  EXPECT_EQ(v.text,
            "Remote memory costs 45 % bandwidth and 57 % latency (worst: node 0 with memory of node 1); copies to a GPU with "
            "memory of the wrong node cost 0 % alone and 38 % when all 2 GPUs copy at once: bind.");
  EXPECT_EQ(v.command, "numapin launch --gpus all -- COMMAND");
}

TEST(MeasuredVerdict, SaysThatItDoesNotMatterWhereItDoesNot) {
  const auto box = machine(2, 1);
  auto m = measured(box, {{0}});
  add_copy(m, Metric::kHostToDevice, 0, 0, 55);
  add_copy(m, Metric::kHostToDevice, 0, 1, 54.5);
  const auto v = measured_verdict(m, box);
  EXPECT_THAT(v.text, HasSubstr("cost 0 % alone: placement does not matter to what was measured."));
  EXPECT_EQ(v.command, "numapin run --gpu 0 -- COMMAND");
}

TEST(MeasuredVerdict, HasNothingToPlaceOnOneNode) {
  const auto box = machine(1, 1);
  const auto v = measured_verdict(measured(box, {{0}}), box);
  EXPECT_THAT(v.text, HasSubstr("one NUMA node with memory: placement between nodes cannot matter here"));
  EXPECT_THAT(v.text, Not(HasSubstr("bind.")));
  EXPECT_EQ(measured_verdict(measured(machine(1, 0), {}), machine(1, 0)).command, "");
}

TEST(MeasuredVerdict, FindsTheNodeOfAGpuThatNobodyTells) {
  const auto box = machine(2, 1);
  auto m = measured(box, {{}});
  add_copy(m, Metric::kGpuReadsHost, 0, 0, 1500);
  add_copy(m, Metric::kGpuReadsHost, 0, 1, 1200);
  EXPECT_THAT(measured_verdict(m, box).text,
              HasSubstr("Nobody says which node GPU 0 is near to; by latency it is node 1: --measured tells"));
  m.measurements[0].samples = {1210};
  EXPECT_THAT(measured_verdict(m, box).text, Not(HasSubstr("by latency"))) << "1 % is noise";
}

TEST(MeasuredVerdict, OwnsUpToDisturbedFigures) {
  const auto box = machine(1, 0);
  auto m = measured(box, {});
  add_memory(m, Metric::kRead, 0, 0, 100);
  m.measurements[0].disturbed = "in 3 of 4 samples a thread lost its CPU";
  EXPECT_THAT(measured_verdict(m, box).text, HasSubstr("1 of 1 figures were disturbed by other work"));
}

TEST(LinkVerdict, ComparesWithTheCeiling) {
  Measurement m;
  m.metric = Metric::kHostToDevice;
  m.ceiling = 56.7;
  m.samples = {55.2};
  EXPECT_EQ(link_verdict(m), "normal: 97 % of 56.7 GB/s");
  m.samples = {23};
  EXPECT_EQ(link_verdict(m), "low: 41 % of 56.7 GB/s");
  m.samples = {80};
  EXPECT_EQ(link_verdict(m), "faster than the link is said to be");
  m.ceiling.reset();
  EXPECT_EQ(link_verdict(m), "");
}

TEST(Ceilings, ComeFromTheNarrowestLinkOnTheWay) {
  auto m = machine(1, 2);
  EXPECT_NEAR(host_ceiling(m, m.gpus[0])->gb_per_s, 63.0 * 0.8777, 0.1);
  PciDevice bridge;
  bridge.address = PciAddress{0, 1, 0, 0};
  bridge.link = {PciLink{16, 8}, Source::kSysfs};
  m.pci.insert(m.pci.begin(), bridge);
  m.pci[1].parent = bridge.address;
  EXPECT_NEAR(host_ceiling(m, m.gpus[0])->gb_per_s, 15.75 * 0.8777, 0.1);
  EXPECT_THAT(host_ceiling(m, m.gpus[0])->from, HasSubstr("PCIe Gen4 x8: 15.8 GB/s"));
  EXPECT_THAT(host_ceiling(m, m.gpus[0])->from, HasSubstr("(narrowest at 0000:01:00.0)"));
  EXPECT_NEAR(peer_ceiling(m, 0, 1)->gb_per_s, 15.75 * 0.8777, 0.1);
}

TEST(Ceilings, CountNvlinksByGeneration) {
  auto m = machine(1, 2);
  Link link;
  link.from = {DeviceRef::Type::kGpu, 0};
  link.to = {DeviceRef::Type::kGpu, 1};
  link.kind = LinkKind::kNvlink;
  link.count = 18;
  link.version = 4;
  m.links = {link};
  EXPECT_DOUBLE_EQ(peer_ceiling(m, 0, 1)->gb_per_s, 450);
  EXPECT_EQ(peer_ceiling(m, 0, 1)->from, "18 x NVLink 4: 25 GB/s each");
  m.links[0].version.reset();
  EXPECT_FALSE(peer_ceiling(m, 0, 1)) << "an unknown generation is no ceiling";
}

TEST(Ceilings, AreUnknownWhereTheLinkIs) {
  auto m = machine(1, 1);
  m.pci[0].link = {};
  EXPECT_FALSE(host_ceiling(m, m.gpus[0]));
}

TEST(Ceilings, OfNvlinkC2cAreNotThoseOfThePcieLinkBesideIt) {
  auto m = machine(1, 1);
  m.gpus[0].memory_node = {NodeId{1}, Source::kProcDriver};
  m.architecture = {"aarch64", Source::kSysfs};
  EXPECT_THAT(host_ceiling(m, m.gpus[0])->from, HasSubstr("NVLink-C2C"));
  Measurement healthy;  // GH200, from the GPU
  healthy.metric = Metric::kDeviceToHost;
  healthy.samples = {297};
  healthy.ceiling = host_ceiling(m, m.gpus[0])->gb_per_s;
  EXPECT_FALSE(is_low(healthy));
  m.architecture = {"ppc64le", Source::kSysfs};
  EXPECT_FALSE(host_ceiling(m, m.gpus[0])) << "nobody counts POWER9's NVLinks to the CPU";
}

TEST(MeasuredVerdict, SaysWhatCpusGetFromAGpusMemory) {
  const auto box = machine(1, 1);
  auto m = measured(box, {{0}});
  m.gpu_memory_nodes = {NodeId{1}};
  add_memory(m, Metric::kRead, 0, 0, 400);
  add_memory(m, Metric::kRead, 0, 1, 200);
  add_memory(m, Metric::kLatency, 0, 0, 100);
  add_memory(m, Metric::kLatency, 0, 1, 250);
  const auto text = measured_verdict(m, box).text;
  EXPECT_THAT(text, HasSubstr("one NUMA node with memory beside the GPUs' own: placement"));
  EXPECT_THAT(text, HasSubstr("From the memory of a GPU (node 1) the CPUs of node 0 get 50 % of the bandwidth and 2.5 times the latency of their own."));
}

TEST(MeasuredVerdict, BlamesALinkOnlyWithMemoryThatIsNear) {
  const auto box = machine(2, 1);
  auto m = measured(box, {{0}});
  add_copy(m, Metric::kHostToDevice, 0, 0, 12);
  add_copy(m, Metric::kHostToDevice, 0, 1, 4);  // over QPI
  for (auto& one : m.measurements) one.ceiling = 13.8, one.ceiling_from = "PCIe Gen3 x16";
  EXPECT_THAT(measured_verdict(m, box).text, Not(HasSubstr("is low for")));
  m.measurements[0].samples = {5};
  EXPECT_THAT(measured_verdict(m, box).text, HasSubstr("memory of node 0: 5.0 GB/s is low for PCIe Gen3 x16"));
  m.gpus[0].nodes.clear();
  EXPECT_THAT(measured_verdict(m, box).text, HasSubstr("memory of node 1: 4.0 GB/s is low for PCIe Gen3 x16")) << "nobody knows";
}

}  // namespace
}  // namespace numapin
