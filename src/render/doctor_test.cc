#include "render/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "support/made_machine.h"
#include "support/source_dir.h"

namespace numapin {
namespace {

using testing::HasSubstr;
using testing::Not;

numapin::Setup ill() {
  numapin::Setup s;
  s.system.machine = test::made_machine();
  s.system.machine.hostname = {"n1", Source::kProcfs};
  s.kernel.numa_balancing = 1;
  Subject job;
  job.kind = Subject::Kind::kProcess;
  job.process.pid = 42;
  job.process.name = "py\x1b[31m\nthon";
  ThreadInfo t;
  t.allowed_cpus = CpuSet::range(12, 23);
  job.process.threads = {t};
  job.gpus = {0};
  job.means_gpus = true;
  s.subjects = {job};
  return s;
}

TEST(DoctorText, AnswersInTheFirstLineAndGivesTheWorstFindingFirst) {
  const auto text = doctor_text(*examine(ill()), {});
  EXPECT_EQ(text.find("!! 1 problem, 1 warning  ("), 0U) << text;
  EXPECT_LT(text.find("\n!! gpu-other-node: process 42"), text.find("\n!  numa-balancing\n"));
  EXPECT_THAT(text, HasSubstr("  mend it     sysctl -w kernel.numa_balancing=0\n"));
  EXPECT_THAT(text, HasSubstr("  undo        sysctl -w kernel.numa_balancing=1\n"));
  EXPECT_THAT(text, HasSubstr("  mend it     numapin rebind 42 --cpus-only --state numapin-rebind-42.json\n"));
}

TEST(DoctorText, IsPlainAsciiUnlessItGoesToATerminal) {
  const auto plain = doctor_text(*examine(ill()), {});
  EXPECT_TRUE(std::all_of(plain.begin(), plain.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); })) << plain;
  DoctorStyle style;
  style.unicode = style.color = true;
  EXPECT_THAT(doctor_text(*examine(ill()), style), testing::AllOf(HasSubstr("✗"), HasSubstr("\x1b[31m✗\x1b[0m")));
}

TEST(DoctorText, NamesWhatIsUnknownOnlyWithAll) {
  DoctorStyle style;
  EXPECT_THAT(doctor_text(*examine(ill()), style), Not(HasSubstr("kernel.sched_autogroup_enabled cannot be read")));
  style.all = true;
  style.width = 120;
  EXPECT_THAT(doctor_text(*examine(ill()), style), HasSubstr("?  autogroup           kernel.sched_autogroup_enabled cannot be read\n"));
}

TEST(DoctorJson, HoldsWhatTheTextSays) {
  const auto setup = ill();
  const auto document = nlohmann::json::parse(doctor_json(*examine(setup), setup, {"a remark"}));
  EXPECT_EQ(document["schema"], "numapin/doctor/1");
  EXPECT_EQ(document["problems"], 1);
  EXPECT_EQ(document["warnings"], 1);
  EXPECT_EQ(document["remarks"][0], "a remark");
  EXPECT_EQ(document["checks"].size(), checks().size());
  for (const auto& check : document["checks"]) {
    if (check["id"] != "numa-balancing") continue;
    EXPECT_EQ(check["state"], "found");
    EXPECT_EQ(check["findings"][0]["mend"], "sysctl -w kernel.numa_balancing=0");
    EXPECT_TRUE(check["findings"][0]["about"].is_null());
  }
}

// The page is written by this test: NUMAPIN_UPDATE_GOLDENS=1.
TEST(ChecksPage, IsTheOneInTheDocumentation) {
  const auto path = test::source_dir() / "docs/checks.md";
  if (std::getenv("NUMAPIN_UPDATE_GOLDENS") != nullptr) {
    std::ofstream(path) << checks_page();
    return;
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, checks_page()) << "NUMAPIN_UPDATE_GOLDENS=1 writes it";
}

}  // namespace
}  // namespace numapin
