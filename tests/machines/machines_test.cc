// Every recorded machine of this folder: it opens, holds all invariants, and shows the facts of its expected.json, which
// were worked out without numapin (each ABOUT.md says how).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "numapin/machine.h"
#include "numapin/sources.h"
#include "support/source_dir.h"

namespace numapin {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<fs::path> recorded_machines() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(test::source_dir() / "tests/machines")) {
    if (fs::exists(entry.path() / "machine.snap")) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

class RecordedMachine : public testing::TestWithParam<fs::path> {
 protected:
  void SetUp() override {
    auto opened = open_machine(GetParam() / "machine.snap");
    ASSERT_TRUE(opened) << opened.error().message;
    system_ = std::move(*opened);
  }
  System system_;
};

TEST_P(RecordedMachine, HoldsEveryInvariant) { EXPECT_THAT(check(system_.machine), testing::IsEmpty()); }

TEST_P(RecordedMachine, ShowsTheFactsKnownWithoutNumapin) {
  const auto want = json::parse(std::ifstream(GetParam() / "expected.json"));
  const auto got = json::parse(to_json(system_));
  for (const auto& [key, wanted] : want.items()) {
    if (!wanted.is_array()) {
      EXPECT_EQ(got[key], wanted) << key;
      continue;
    }
    ASSERT_EQ(got[key].size(), wanted.size()) << key;
    auto shown = got[key];
    if (!wanted.empty() && wanted[0].is_string()) {  // lists of CPU lists, sorted as text
      for (auto& item : shown) item = item["cpulist"];
      std::sort(shown.begin(), shown.end());
      EXPECT_EQ(shown, wanted) << key;
      continue;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      for (const auto& [field, value] : wanted[i].items()) EXPECT_EQ(shown[i][field], value) << key << ' ' << i << ' ' << field;
    }
  }
}

std::string name_of(const testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.filename();
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Machines, RecordedMachine, testing::ValuesIn(recorded_machines()), name_of);

}  // namespace
}  // namespace numapin
