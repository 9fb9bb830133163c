// `numapin plan` as a user types it. What each format must contain is tested beside its writer (src/plan).
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "numapin/plan_export.h"
#include "run_numapin.h"

namespace numapin::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(Plan, ShowsWhatLaunchWouldDo) {
  for (const std::string options : {"", " --gpus 4 --memory bind", " --gpus none --nproc 3", " --cpus l3 --explain"}) {
    const auto plan = run_shell("numapin plan --machine dgx-h100" + options);
    EXPECT_EQ(plan.status, 0) << plan.err;
    EXPECT_EQ(plan.out, run_shell("numapin launch --dry-run --machine dgx-h100" + options).out) << options;
  }
}

TEST(Plan, WritesEveryFormatOfTheLibrary) {
  for (const auto& format : export_formats()) {
    const auto ran = run_shell("numapin plan --machine dgx-h100 -- ./solver --n 3 --format " + std::string(format.name));
    EXPECT_EQ(ran.status, 0) << ran.err;
    const auto written = run_shell("numapin plan --machine dgx-h100 --format " + std::string(format.name) + " -- ./solver");
    EXPECT_EQ(written.status, 0) << format.name << ": " << written.err;
    EXPECT_THAT(written.out, Not(IsEmpty())) << format.name;
    EXPECT_NE(written.out, ran.out) << format.name << ": an option behind the command is the command's";
  }
}

TEST(Plan, JsonHasEveryRank) {
  const auto ran = run_shell("numapin plan --machine dgx-h100 --json");
  const auto doc = nlohmann::json::parse(ran.out);
  EXPECT_EQ(doc.at("schema"), "numapin/plan/1");
  EXPECT_EQ(doc.at("placements").size(), 8U);
  EXPECT_EQ(ran.out, run_shell("numapin plan --machine dgx-h100 --format json").out);
}

TEST(Plan, ReasonsForAnotherToolsInputGoToStderr) {
  const std::string command = "numapin plan --machine dual-a100 --format numactl";
  const auto ran = run_shell(command + " --explain");
  EXPECT_THAT(ran.err, HasSubstr("because"));
  EXPECT_EQ(ran.out, run_shell(command).out);
}

TEST(Plan, RefusesInOneLine) {
  EXPECT_EQ(run_shell("numapin plan --format nonsense").status, 2);
  EXPECT_EQ(run_shell("numapin plan --json --format text").status, 2);
  const auto none = run_shell("numapin plan --machine vm --gpus 99");
  EXPECT_NE(none.status, 0);
  EXPECT_THAT(none.out, IsEmpty());
  EXPECT_THAT(none.err, StartsWith("numapin: "));
}

}  // namespace
}  // namespace numapin::test
