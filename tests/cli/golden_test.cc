// Outputs of the program that were read by eye and found right. NUMAPIN_UPDATE_GOLDENS=1 rewrites them: read the diff.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "run_numapin.h"
#include "support/source_dir.h"

namespace numapin::test {
namespace {

struct Golden {
  const char* name;   ///< tests/cli/golden/NAME.txt
  const char* shell;  ///< what is typed
};

std::ostream& operator<<(std::ostream& out, const Golden& g) { return out << g.name; }

class Output : public ::testing::TestWithParam<Golden> {};

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_P(Output, IsTheOneThatWasRead) {
  const auto path = source_dir() / "tests/cli/golden" / (std::string(GetParam().name) + ".txt");
  const auto ran = run_shell(GetParam().shell);
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  if (std::getenv("NUMAPIN_UPDATE_GOLDENS") != nullptr) {
    std::ofstream(path, std::ios::binary) << ran.out;
    return;
  }
  ASSERT_TRUE(std::filesystem::exists(path)) << "no golden yet; NUMAPIN_UPDATE_GOLDENS=1 writes it, then read it";
  EXPECT_EQ(ran.out, read(path)) << "typed: " << GetParam().shell;
}

constexpr Golden kGoldens[] = {
    {"list", "numapin topo --machine list"},
    {"dual-a100", "numapin topo --machine dual-a100"},
    {"dual-a100-matrix", "numapin topo --machine dual-a100 --matrix"},
    {"dual-a100-hardware", "numapin topo --machine dual-a100 --hardware"},
    {"dgx-h100", "numapin topo --machine dgx-h100"},
    {"dgx-h100-matrix", "numapin topo --machine dgx-h100 --matrix"},
    {"dgx-h100-40-columns", "COLUMNS=40 numapin topo --machine dgx-h100"},
    {"dgx-h100-200-columns-unicode", "COLUMNS=200 numapin topo --machine dgx-h100 --unicode"},
    {"epyc-nps4", "COLUMNS=100 numapin topo --machine epyc-nps4 --unicode"},
    {"gh200", "numapin topo --machine gh200"},
    {"gh200-hardware", "numapin topo --machine gh200 --hardware"},
    {"vm", "numapin topo --machine vm"},
    {"plan-dual-a100", "numapin plan --machine dual-a100"},
    {"plan-dual-a100-explain", "numapin plan --machine dual-a100 --gpus 2 --explain"},
    {"plan-dual-a100-taskset", "numapin plan --machine dual-a100 --gpu 0,5 --format taskset -- ./a 'b c'"},
    {"doctor-gh200", "numapin doctor --machine gh200"},
    {"doctor-vm-all", "COLUMNS=100 numapin doctor --machine vm --all"},
    {"doctor-list", "numapin doctor --list"},
    {"doctor-explain", "numapin doctor --explain numa-balancing"},
    {"vm-2node-unknown", "numapin topo --machine vm-2node-unknown"},
};
INSTANTIATE_TEST_SUITE_P(Golden, Output, ::testing::ValuesIn(kGoldens), [](const auto& row) {
  std::string name = row.param.name;
  for (auto& c : name) {
    if (c == '-') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace numapin::test
