// Every seed, and every input that once broke something, through its target in each test run.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/target.h"
#include "support/source_dir.h"

namespace numapin::fuzz {
namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Replay : public testing::TestWithParam<Target> {};

TEST_P(Replay, EverySeedAndEveryBeginningOfIt) {
  const auto folder = test::source_dir() / "tests/fuzz/seeds" / GetParam().name;
  ASSERT_TRUE(std::filesystem::is_directory(folder)) << folder << ": a target needs a seed";
  int seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto bytes = content(entry.path());
    const auto step = std::max<std::size_t>(bytes.size() / 64, 1);
    for (std::size_t n = 0; n <= bytes.size(); n += step) {
      const auto part = bytes.substr(0, n + step > bytes.size() ? bytes.size() : n);
      try {
        GetParam().run(part);
      } catch (const Broken& broken) {
        ADD_FAILURE() << entry.path() << ", its first " << part.size() << " bytes: " << broken.what();
      }
    }
    ++seeds;
  }
  EXPECT_GT(seeds, 0);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Replay, testing::ValuesIn(all_targets()),
                         [](const auto& which) { return std::string(which.param.name); });

}  // namespace
}  // namespace numapin::fuzz
