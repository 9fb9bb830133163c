// numapin analyze as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

fs::path write(const std::string& name, const std::string& text) {
  const auto file = fs::path(testing::TempDir()) / name;
  std::ofstream(file) << text;
  return file;
}

Ran run(const std::string& words) { return run_shell("numapin analyze " + words); }

constexpr auto kFabric = R"({"schema": "numapin/fabric/1", "machines": 16, "leaves": 8, "spines": 4, "leaf_spine_gb_per_s": 50})";

TEST(AnalyzeCommand, JsonRoutesNameTheirLinks) {
  const auto ran = run("--machine dgx-h100 --json");
  ASSERT_EQ(ran.status, 0);
  const auto doc = json::parse(ran.out);
  EXPECT_EQ(doc["schema"], "numapin/analyze/1");
  EXPECT_EQ(doc["routes"].size(), 56u + 16 + 16 + 96);
  for (const auto& route : doc["routes"]) {
    EXPECT_GT(route["gb_per_s"].get<double>(), 0);
    for (const auto& link : route["links"]) EXPECT_LT(link.get<std::size_t>(), doc["links"].size());
  }
}

TEST(AnalyzeCommand, WhatIfComparesWithTheMachineAsItIs) {
  const auto ran = run("traffic --machine dgx-h100 --gpus 0-3 --what-if gpu3=gen3x8 --json");
  ASSERT_EQ(ran.status, 0) << ran.err;
  const auto doc = json::parse(ran.out);
  ASSERT_EQ(doc["runs"].size(), 2u);
  EXPECT_LT(doc["runs"][1]["slowest_gb_per_s"].get<double>(), doc["runs"][0]["slowest_gb_per_s"].get<double>() / 4);
  EXPECT_THAT(doc["runs"][1]["advice"]["sentence"].get<std::string>(), HasSubstr("PCIe Gen3 x8"));
}

TEST(AnalyzeCommand, RefusesEndsThatTheMachineLacks) {
  const auto file = write("flows.json", R"({"schema": "numapin/flows/1", "flows": [{"from": "gpu0", "to": "gpu99"}]})");
  const auto ran = run("traffic --machine dgx-h100 --flows " + file.string());
  EXPECT_NE(ran.status, 0);
  EXPECT_THAT(ran.err, HasSubstr("this machine has no GPU 99"));
  const auto other = run("traffic --machine dgx-h100 --what-if bind=node99");
  EXPECT_NE(other.status, 0);
  EXPECT_THAT(other.err, HasSubstr("bind to node 99: it has no memory"));
  EXPECT_THAT(run("traffic --machine dgx-h100 --flows " + write("none.json", R"({"schema": "numapin/flows/1", "flows": []})").string()).err, HasSubstr("it has no flows"));
}

TEST(AnalyzeCommand, TakesMeasuredRates) {
  const auto file = write("measured.json", R"({"schema": "numapin/measured/1", "measurements": [
    {"metric": "host-to-device", "memory_node": 0, "gpu": 0, "samples": [21.5, 21.5, 21.5]}]})");
  const auto ran = run("--machine dual-a100 --from node0 --to gpu0 --json --measured " + file.string());
  ASSERT_EQ(ran.status, 0) << ran.err;
  const auto route = json::parse(ran.out)["routes"][0];
  EXPECT_DOUBLE_EQ(route["gb_per_s"].get<double>(), 21.5);
  EXPECT_EQ(route["basis"], "measured");
}

TEST(AnalyzeCommand, NcclFileIsAMachineAgain) {
  const auto xml = run("--machine dgx-h100 --format nccl-xml");
  ASSERT_EQ(xml.status, 0);
  const auto file = write("topology.xml", xml.out);
  const auto matrix = run_shell("numapin topo --matrix --machine " + file.string());
  EXPECT_EQ(matrix.status, 0) << matrix.err;
  EXPECT_THAT(matrix.out, HasSubstr("NV18"));
}

TEST(AnalyzeCommand, RunsAFabric) {
  const auto file = write("fabric.json", kFabric);
  const auto aligned = run("traffic --machine dgx-h100 --json --fabric " + file.string());
  const auto crossed = run("traffic --machine dgx-h100 --json --rings crossed --fabric " + file.string());
  ASSERT_EQ(aligned.status, 0) << aligned.err;
  ASSERT_EQ(crossed.status, 0) << crossed.err;
  EXPECT_GT(json::parse(aligned.out)["slowest_gb_per_s"].get<double>(), 40);
  EXPECT_NEAR(json::parse(crossed.out)["slowest_gb_per_s"].get<double>(), 12.5, 1e-6);
}

TEST(AnalyzeCommand, SaysWhatIsWrongWithTheQuestion) {
  for (const std::string question : {"--from gpu0 --to cpu1", "place", "traffic --bind node7", "traffic --what-if gpu3=fast", "traffic --pattern star"}) {
    const auto ran = run(question + " --machine dual-a100");
    EXPECT_EQ(ran.status, 2) << question;
    EXPECT_TRUE(ran.out.empty()) << question;
    EXPECT_FALSE(ran.err.empty()) << question;
  }
  EXPECT_EQ(run("--machine dual-a100 --from gpu0 --to gpu9").status, 1);
  EXPECT_EQ(run("place -n 9 --machine dual-a100").status, 1);
}

}  // namespace
}  // namespace numapin::test
