// Statistics, look-ups and the JSON of measurements.
#include "numapin/measured.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace numapin {
namespace {

TEST(Median, IsTheMiddleAndNothingOfNothing) {
  EXPECT_EQ(median(std::vector<double>{}), std::nullopt);
  EXPECT_DOUBLE_EQ(*median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(*median({4, 1, 2, 3}), 2.5);
}

TEST(Spread, IsTheMiddleHalfAgainstTheMedian) {
  EXPECT_DOUBLE_EQ(*spread({10, 10, 10}), 0);
  EXPECT_DOUBLE_EQ(*spread({8, 9, 10, 11, 12}), 0.2);
  EXPECT_DOUBLE_EQ(*spread({9, 10, 11, 9, 10, 11, 1000}), 0.15) << "one outlier does not move it";
  EXPECT_EQ(spread({}), std::nullopt);
}

Measurement memory(Metric metric, int cpu_node, int memory_node, int threads, double sample) {
  Measurement m;
  m.metric = metric;
  m.cpu_node = static_cast<NodeId>(cpu_node);
  m.memory_node = static_cast<NodeId>(memory_node);
  m.threads = threads;
  m.samples = {sample};
  return m;
}

Measurement copy(Metric metric, int node, int gpu, Together together, double sample) {
  Measurement m;
  m.metric = metric;
  m.memory_node = static_cast<NodeId>(node);
  m.gpu = gpu;
  m.together = together;
  m.samples = {sample};
  return m;
}

Measured report() {
  Measured m;
  m.numapin_version = "0.1.0";
  m.taken_at = "2026-11-24T11:00:00Z";
  m.cpu_nodes = {NodeId{0}, NodeId{1}};
  m.memory_nodes = {NodeId{0}, NodeId{1}, NodeId{2}};
  m.gpu_memory_nodes = {NodeId{3}};
  m.gpus = {{0, PciAddress::parse("0000:18:00.0"), "H100", {NodeId{0}}}};
  m.measurements = {memory(Metric::kRead, 0, 1, 1, 12), memory(Metric::kRead, 0, 1, 24, 90), memory(Metric::kRead, 0, 0, 24, 180),
                    copy(Metric::kHostToDevice, 1, 0, Together::kAlone, 55),
                    copy(Metric::kHostToDevice, 1, 0, Together::kAllGpus, 20)};
  Measurement peer;
  peer.metric = Metric::kPeerRead;
  peer.gpu = 0;
  peer.peer_gpu = 1;
  peer.peer_access = false;
  peer.samples = {20.5};
  m.measurements.push_back(peer);
  peer.peer_access = true;
  peer.samples.clear();
  peer.skipped = "peer access is refused";
  m.measurements.push_back(peer);
  m.notes = {"1 thing was odd"};
  return m;
}

TEST(MeasuredLookup, TakesAllThreadsOfTheNode) {
  EXPECT_EQ(measured_memory(report(), Metric::kRead, NodeId{0}, NodeId{1}), 90);
  EXPECT_EQ(measured_memory(report(), Metric::kWrite, NodeId{0}, NodeId{1}), std::nullopt);
  EXPECT_EQ(measured_memory(report(), Metric::kRead, NodeId{1}, NodeId{0}), std::nullopt);
}

TEST(MeasuredLookup, KeepsApartWhatRanAloneAndTogether) {
  EXPECT_EQ(measured_gpu(report(), Metric::kHostToDevice, NodeId{1}, 0), 55);
  EXPECT_EQ(measured_gpu(report(), Metric::kHostToDevice, NodeId{1}, 0, Together::kAllGpus), 20);
  EXPECT_EQ(measured_gpu(report(), Metric::kHostToDevice, NodeId{0}, 0), std::nullopt);
}

TEST(MeasuredLookup, FallsBackToTheWayThroughTheHost) {
  EXPECT_EQ(measured_peer(report(), Metric::kPeerRead, 0, 1), 20.5);
  EXPECT_EQ(measured_peer(report(), Metric::kPeerRead, 1, 0), std::nullopt);
}

TEST(ApplyMeasured, FillsTheNodeThatNobodyTellsAndKeepsTheOthers) {
  Measured m = report();
  for (const auto& [node, ns] : std::map<int, double>{{0, 1500}, {1, 1200}, {2, 1510}})
    m.measurements.push_back(copy(Metric::kGpuReadsHost, node, 0, Together::kAlone, ns));
  EXPECT_EQ(measured_node(m, 0), NodeId{1});
  EXPECT_EQ(measured_node(m, 1), std::nullopt);
  System s;
  s.machine.gpus = {Gpu{}};
  apply_measured(m, s);
  EXPECT_EQ(s.machine.gpus[0].numa_nodes->to_list(), "1");
  EXPECT_EQ(s.machine.gpus[0].numa_nodes.source, Source::kMeasured);
  EXPECT_TRUE(s.disagreements.empty());
  s.machine.gpus[0].numa_nodes = {NodeSet{0}, Source::kSysfs};
  apply_measured(m, s);
  EXPECT_EQ(s.machine.gpus[0].numa_nodes->to_list(), "0") << "a statement is kept";
  EXPECT_THAT(s.disagreements, testing::ElementsAre(Disagreement{"gpu 0 numa_nodes", "0 (sysfs)", "1 (measured)"}));
  s.machine.gpus[0].numa_nodes = {NodeSet{0, 1}, Source::kSysfs};
  s.disagreements.clear();
  apply_measured(m, s);
  EXPECT_TRUE(s.disagreements.empty());
}

TEST(MeasuredNode, IsUnknownWhereTheDifferenceIsNoise) {
  Measured m = report();
  m.measurements.push_back(copy(Metric::kGpuReadsHost, 0, 0, Together::kAlone, 1200));
  EXPECT_EQ(measured_node(m, 0), std::nullopt) << "nothing to compare with";
  m.measurements.push_back(copy(Metric::kGpuReadsHost, 1, 0, Together::kAlone, 1230));
  EXPECT_EQ(measured_node(m, 0), std::nullopt);
}

TEST(MeasuredJson, ComesBackEqual) {
  auto m = report();
  auto& one = m.measurements[0];
  one.bytes = 1ULL << 40;
  one.page_bytes = 2 << 20;
  one.load_gb_per_s = 17.25;
  one.how = "avx2";
  one.ceiling = 63.0;
  one.ceiling_from = "PCIe Gen5 x16";
  one.disturbed = "1 of 5 samples lost the CPU";
  one.cpu = CpuId{3};
  one.peer_cpu = CpuId{4};
  const auto back = measured_from_json(to_json(m));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, m);
}

TEST(MeasuredJson, EveryTestHasAWordThatComesBack) {
  Measured m;
  for (int i = 0; i <= static_cast<int>(Metric::kPeerLatency); ++i) {
    m.measurements.emplace_back();
    m.measurements.back().metric = static_cast<Metric>(i);
  }
  const auto back = measured_from_json(to_json(m));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, m);
}

TEST(MeasuredJson, SaysWhereItIsWrong) {
  const auto error = [](std::string_view text) { return measured_from_json(text).error().message; };
  EXPECT_EQ(error("{}"), "read measured JSON: /schema: is missing");
  EXPECT_THAT(error(R"({"schema": "numapin/topo/1"})"), testing::HasSubstr("not a schema this version reads"));
  EXPECT_EQ(error(R"({"schema": "numapin/measured/1", "measurements": [{"metric": "read", "samples": [1, "x"]}]})"),
            "read measured JSON: /measurements/0/samples/1: not a number");
  EXPECT_EQ(error(R"({"schema": "numapin/measured/1", "measurements": [{"metric": "read", "samples": [0]}]})"),
            "read measured JSON: /measurements/0/samples/0: not a number above 0");
  EXPECT_TRUE(measured_from_json(R"({"schema": "numapin/measured/1", "measurements": [{"metric": "migration", "samples": [0]}]})"));
  EXPECT_THAT(error(R"({"schema": "numapin/measured/1", "measurements": [{"metric": "reed"}]})"),
              testing::HasSubstr("\"reed\" is none of the known words"));
}

TEST(MeasuredMismatch, NamesTheFirstDifference) {
  Machine m;
  for (const int id : {0, 1, 2}) m.nodes.emplace_back().id = static_cast<NodeId>(id);
  EXPECT_EQ(mismatch(report(), m), "there is no GPU 0 here");
  Gpu gpu;
  gpu.address = PciAddress::parse("0000:19:00.0");
  m.gpus = {gpu};
  EXPECT_EQ(mismatch(report(), m), "GPU 0 is 0000:19:00.0 here, 0000:18:00.0 there");
  m.gpus[0].address = PciAddress::parse("0000:18:00.0");
  EXPECT_EQ(mismatch(report(), m), "");
  m.nodes.pop_back();
  EXPECT_EQ(mismatch(report(), m), "there is no node 2 here");
}

}  // namespace
}  // namespace numapin
