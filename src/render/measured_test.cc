#include "render/measured.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

using testing::HasSubstr;
using testing::Not;

Measured two_nodes() {
  Measured m;
  m.cpu_nodes = {NodeId{0}, NodeId{1}};
  m.memory_nodes = {NodeId{0}, NodeId{1}};
  for (const int cpu : {0, 1})
    for (const int memory : {0, 1}) {
      Measurement x;
      x.cpu_node = static_cast<NodeId>(cpu);
      x.memory_node = static_cast<NodeId>(memory);
      x.threads = 24;
      x.samples = {cpu == memory ? 200.0 : 100.0};
      m.measurements.push_back(x);
      x.metric = Metric::kLatency;
      x.threads = 1;
      x.page_bytes = 2 << 20;
      x.samples = {cpu == memory ? 100.0 : 160.0};
      m.measurements.push_back(x);
    }
  return m;
}

TEST(MeasuredText, ShowsPairsAgainstTheNodesOwn) {
  EXPECT_THAT(memory_tables(two_nodes(), {}), HasSubstr(
      "CPUs    memory  read   write  copy  triad  1 core  latency  read/loc  lat/loc\n"
      "node 0  node 0  200.0  -      -     -      -       100 ns   1.00      1.00\n"
      "node 0  node 1  100.0  -      -     -      -       160 ns   0.50      1.60\n"));
  EXPECT_THAT(memory_tables(two_nodes(), {}), HasSubstr(
      "latency\n"
      "              mem 0   mem 1\n"
      "  CPUs of 0  100 ns  160 ns\n"
      "  CPUs of 1  160 ns  100 ns\n"));
}

TEST(MeasuredText, AGpusMemoryIsAColumnOfItsOwn) {  // GH200
  auto m = two_nodes();
  m.cpu_nodes = m.memory_nodes = {NodeId{0}};
  m.gpu_memory_nodes = {NodeId{1}};
  EXPECT_THAT(memory_tables(m, {}), HasSubstr(
      "node 0  node 0        200.0  -      -     -      -       100 ns   1.00      1.00\n"
      "node 0  node 1 (GPU)  100.0  -      -     -      -       160 ns   0.50      1.60\n"));
  EXPECT_THAT(memory_tables(m, {}), HasSubstr("  mem 0  mem 1 (GPU)\n"));
}

TEST(MeasuredText, PaintsOnlyTerminals) {
  EXPECT_THAT(memory_tables(two_nodes(), {}), Not(HasSubstr("\033")));
  TextStyle color;
  color.color = true;
  EXPECT_THAT(memory_tables(two_nodes(), color), HasSubstr("\033[31m100.0")) << "half of the best is bad";
}

TEST(MeasuredText, FitsEightyColumns) {
  const auto text = measured_text(two_nodes(), "Remote memory costs 50 % bandwidth and 60 % latency and this is a long sentence that is wrapped.",
                                  "numapin launch -- COMMAND", {});
  std::size_t start = 0;
  while (start < text.size()) {
    const auto end = text.find('\n', start);
    EXPECT_LE(end - start, 80U) << text.substr(start, end - start);
    start = end + 1;
  }
  EXPECT_THAT(text, testing::EndsWith("  numapin launch -- COMMAND\n"));
}

TEST(MeasuredText, SaysWhatWasNotMeasuredAndWhy) {
  auto m = two_nodes();
  m.measurements[2].samples.clear();
  m.measurements[2].skipped = "only 3 MiB of the node may be taken";
  EXPECT_THAT(memory_tables(m, {}), HasSubstr("not measured\n  node 0 with memory of node 1: only 3 MiB of the node may be taken\n"));
}

TEST(MeasuredText, ShowsGpusBesideTheLinkTheyHave) {
  Measured m;
  m.memory_nodes = {NodeId{0}};
  m.gpus = {{0, PciAddress{}, "H100", {NodeId{0}}}};
  Measurement x;
  x.metric = Metric::kHostToDevice;
  x.gpu = 0;
  x.memory_node = NodeId{0};
  x.samples = {55.2};
  x.ceiling = 56.7;
  m.measurements.push_back(x);
  x.metric = Metric::kGpuReadsHost;
  x.samples = {1188};
  m.measurements.push_back(x);
  EXPECT_THAT(gpu_tables(m, {.width = 120}), HasSubstr("GPU 0  node 0 near  55.2  -    -     -         -          -         1188 ns  normal: 97 % of 56.7 GB/s"));
  EXPECT_EQ(gpu_tables(two_nodes(), {}), "");
}

}  // namespace
}  // namespace numapin
