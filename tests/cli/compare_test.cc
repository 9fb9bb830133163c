#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Twice as slow on one CPU, whatever the machine does meanwhile.
constexpr const char* kByMask = "sh -c 'test $(nproc) = 1 && sleep 0.1 || sleep 0.05; echo took=$(nproc)'";

bool two_cpus() { return run_shell("test $(nproc) -ge 2").status == 0; }

TEST(Compare, FindsAnEffectThatIsThere) {
  if (!two_cpus()) GTEST_SKIP() << "one CPU: every placement is the same";
  const auto ran = run_shell(std::string("taskset -c 0,1 numapin compare --nproc 2 --configs none,exclusive --json -q -- ") + kByMask);
  ASSERT_EQ(ran.status, 0) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["schema"], "numapin/compare/1");
  const auto& effect = json["results"][0]["configs"][1]["effect"];
  EXPECT_EQ(effect["verdict"], "worse") << ran.out;
  EXPECT_EQ(effect["pairs"], 8);
  EXPECT_EQ(json["trials"].size(), 18u) << "8 rounds of 2, and a warm-up of each";
  EXPECT_THAT(json["conclusion"].get<std::string>(), HasSubstr("nothing is measurably better than 'none'"));
}

TEST(Compare, ReadsMetricsOfEachRankAndAddsRatesUp) {
  if (!two_cpus()) GTEST_SKIP() << "one CPU: every placement is the same";
  const auto ran = run_shell(std::string("taskset -c 0,1 numapin compare --nproc 2 --configs none,exclusive --runs 6 --json -q --higher-is-better "
                                         "--metric 'took=([0-9]+)' --metric wall -- ") + kByMask);
  ASSERT_EQ(ran.status, 0) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["results"][0]["configs"][0]["median"], 4) << "two CPUs in each of two ranks";
  EXPECT_EQ(json["results"][0]["configs"][1]["median"], 2);
  EXPECT_EQ(json["trials"][2]["rank_values"].size(), 2u);
  EXPECT_EQ(json["results"][1]["higher_is_better"], false) << "wall time never is";
}

TEST(Compare, ShowsAFailureAndGoesOnWithTheOthers) {
  if (!two_cpus()) GTEST_SKIP() << "one CPU: every placement is the same";
  const auto ran = run_shell("taskset -c 0,1 numapin compare --nproc 1 --cpus node --configs none,smt-off,exclusive,spread -q -- true");
  // On most two CPUs these come to the same; then that is said and nothing is run.
  if (ran.status == 3) {
    EXPECT_THAT(ran.err, HasSubstr("comes to the same placement"));
  }
  const auto failing = run_shell("taskset -c 0,1 numapin compare --nproc 2 --configs none,exclusive --runs 3 -q -- "
                                 "sh -c 'test $(nproc) = 2 || { echo no room; exit 7; }'");
  EXPECT_EQ(failing.status, 0) << failing.err;
  EXPECT_THAT(failing.out, HasSubstr("'exclusive' failed with status 7"));
  EXPECT_THAT(failing.out, HasSubstr("no room"));
  EXPECT_THAT(failing.out, HasSubstr("failed"));
}

TEST(Compare, SaysBeforehandWhatCannotWork) {
  const auto says = [](const std::string& arguments, int status, std::string_view what) {
    const auto ran = run_shell("numapin compare -q " + arguments);
    EXPECT_EQ(ran.status, status) << arguments << "\n" << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(std::string(what))) << arguments;
    EXPECT_THAT(ran.out, IsEmpty()) << arguments;
  };
  says("", 2, "no command to compare");
  says("--configs none,nope --nproc 2 -- true", 2, "no configuration is called 'nope'");
  says("--metric 'speed' --nproc 2 -- true", 2, "no group in parentheses");
  says("--budget soon --nproc 2 -- true", 2, "not a span of time");
  says("--machine dual-a100 -- true", 2, "8 GPUs are visible");
  says("--machine dual-a100 --gpu 0 -- true", 2, "names another machine");
  if (!two_cpus()) return;
  says("--nproc 2 --configs none,exclusive -- /no/such/program", 127, "/no/such/program");
  says("--nproc 2 --configs none,exclusive --metric 'x=(1)' -- true", 1, "the warm-up's output has no match");
  says("--nproc 2 --configs none,exclusive -- sh -c 'echo broken; exit 3'", 1, "failed under every configuration, with status 3");
}

TEST(Compare, DryRunShowsTheLinesThatAreCompared) {
  const auto ran = run_shell("numapin compare --machine dual-a100 --gpu 5 --configs none,cpu,memory,both,wrong --dry-run -- python train.py 'a b'");
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("none: python train.py 'a b'"));
  EXPECT_THAT(ran.out, HasSubstr("cpu: numapin run --gpu 5 --memory none -- python train.py 'a b'\n  CPUs 12-23,36-47"));
  EXPECT_THAT(ran.out, HasSubstr("both: numapin run --gpu 5 -- python"));
  EXPECT_THAT(ran.out, HasSubstr("wrong: numapin run -N 0 -p 0 -- python"));
  const auto all = run_shell("numapin compare --machine dual-a100 --gpu 5 --configs none,both --reserve 1 --profile inference --worker-cores 2 --visible all --dry-run -- ./a");
  EXPECT_THAT(all.out, HasSubstr("both: numapin launch --gpu 5 --cpus node --profile inference --reserve 1 --worker-cores 2 --visible all -- ./a\n"))
      << all.err << "the line to use holds every option that was given";
  const auto one_node = run_shell("numapin compare --machine vm --gpu 0 --configs none,wrong --dry-run -- true");
  EXPECT_EQ(one_node.status, 3);
  EXPECT_THAT(one_node.err, HasSubstr("no other node"));
}

TEST(Compare, WritesAPageAndStopsWhenTold) {
  if (!two_cpus()) GTEST_SKIP() << "one CPU: every placement is the same";
  const auto page = std::filesystem::temp_directory_path() / ("compare-" + std::to_string(getpid()) + ".html");
  const auto ran = run_shell("timeout --foreground -s INT 1.5 taskset -c 0,1 numapin compare --nproc 2 --configs none,exclusive --runs 500 -q --html " +
                             page.string() + " -- sleep 0.05");
  EXPECT_EQ(ran.status, 124) << "timeout(1) tells its own status";
  EXPECT_THAT(ran.out, HasSubstr("interrupted in round"));
  std::ifstream in(page);
  const std::string html((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(html, HasSubstr("<circle"));
  EXPECT_THAT(html, Not(HasSubstr("src="))) << "it needs nothing else";
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  std::filesystem::remove(page);
}

}  // namespace
}  // namespace numapin::test
