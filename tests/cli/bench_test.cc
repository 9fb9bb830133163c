// numapin bench as a user runs it: real memory on this machine, GPUs by the stand-ins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "numapin/measured.h"
#include "run_numapin.h"

namespace numapin::test {
namespace {

using testing::HasSubstr;

std::string slurp(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

std::string temporary(const std::string& name) { return testing::TempDir() + "/numapin-bench-" + name; }

TEST(Bench, MeasuresMemoryAndWritesAReportThatIsReadBack) {
  const auto file = temporary("memory.json");
  const auto ran = run_shell("numapin bench memory --quick --size 16M --out " + file);
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("memory (GB/s"));
  EXPECT_THAT(ran.err, HasSubstr("wrote " + file));
  const auto report = measured_from_json(slurp(file));
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_FALSE(report->cpu_nodes.empty());
  std::set<Metric> seen;
  for (const auto& m : report->measurements)
    if (m.skipped.empty()) {
      seen.insert(m.metric);
      EXPECT_GT(*median(m), 0) << to_string(m.metric);
    }
  EXPECT_THAT(seen, testing::IsSupersetOf({Metric::kRead, Metric::kWrite, Metric::kCopy, Metric::kTriad, Metric::kLatency}));
  const auto again = run_shell("numapin topo --measured " + file);
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("memory (GB/s"));
}

TEST(Bench, KeepsTheProgressBarOutOfPipes) {
  const auto ran = run_shell("numapin bench memory --quick --size 16M --json 2>&1 >/dev/null");
  EXPECT_EQ(ran.out, "");
}

TEST(Bench, RefusesWhatItCannotRead) {
  EXPECT_EQ(run_shell("numapin bench memory --size nonsense").status, 2);
  EXPECT_EQ(run_shell("numapin bench disks").status, 2);
  std::ofstream(temporary("bad.json")) << "{}";
  const auto bad = run_shell("numapin topo --measured " + temporary("bad.json"));
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.err, HasSubstr("read measured JSON: /schema: is missing"));
  EXPECT_EQ(run_shell("numapin topo --measured /nonexistent.json").status, 2);
}

TEST(Bench, RefusesFiguresOfAnotherMachine) {
  Measured other;
  other.gpus = {{0, PciAddress::parse("0000:99:00.0"), "H100", {}}};
  std::ofstream(temporary("other.json")) << to_json(other);
  const auto ran = run_shell("numapin topo --machine dgx-h100 --measured " + temporary("other.json"));
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("GPU 0 is 0000:1b:00.0 here, 0000:99:00.0 there"));
}

TEST(Bench, SaysPlainlyThatThereIsNoDriver) {
  if (run_shell("ldconfig -p | grep -q 'libcuda.so.1\\|libamdhip64'").status == 0) GTEST_SKIP() << "this machine has a driver";
  const auto ran = run_shell("numapin bench gpu");
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.err, HasSubstr("measure GPUs: no driver here"));
  EXPECT_EQ(ran.out, "");
}

TEST(Bench, MeasuresGpusOfTheDriver) {
  const auto nvml = temporary("nvml.json");
  std::ofstream(nvml) << R"({"gpus": [{"address": "0000:18:00.0", "device": "2330", "uuid": "GPU-aa", "nodes": [0]}]})";
  const auto env = "LD_LIBRARY_PATH=" FAKES_DIR " NUMAPIN_FAKE_NVML=" + nvml + " NUMAPIN_FAKE_GPU='gpus=0000:18:00.0";
  const auto ran = run_shell(env + "' COLUMNS=120 numapin bench gpu --quick");
  if (ran.err.find("bind memory") != ran.err.npos) GTEST_SKIP() << ran.err;
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("GPU 0  node 0 near  50.0  40.0  90.0  30.0      30.0"));
  const auto hung = run_shell(env + ";hang=cuStreamCreate' numapin bench gpu --quick --gpu-timeout 1");
  EXPECT_EQ(hung.status, 1);
  EXPECT_THAT(hung.err, HasSubstr("the driver has not come back from cuStreamCreate for 1 s"));
}

}  // namespace
}  // namespace numapin::test
