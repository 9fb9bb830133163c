#include "cli/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace numapin::cli {
namespace {

const std::vector<std::string> kKnown = {"topo", "run", "rebind", "inspect", "snapshot", "compare"};

TEST(EditDistance, CountsASwapOnce) {
  EXPECT_EQ(edit_distance("tpoo", "topo"), 1);
  EXPECT_EQ(edit_distance("", "run"), 3);
  EXPECT_EQ(edit_distance("run", "run"), 0);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Nearest, FindsWhatWasMeant) {
  EXPECT_EQ(nearest("tpoo", kKnown), "topo");
  EXPECT_EQ(nearest("ruin", kKnown), "run");
  EXPECT_EQ(nearest("inspct", kKnown), "inspect");
}

TEST(Nearest, TakesABeginningOfOneWord) {
  EXPECT_EQ(nearest("snap", kKnown), "snapshot");
  EXPECT_EQ(nearest("c", kKnown), "compare");
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("python", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest("r", kKnown), "");  // run and rebind
}

}  // namespace
}  // namespace numapin::cli
