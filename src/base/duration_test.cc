#include "base/duration.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

TEST(Duration, ReadsWhatPeopleType) {
  EXPECT_EQ(parse_seconds("90"), 90);
  EXPECT_EQ(parse_seconds("0.5s"), 0.5);
  EXPECT_EQ(parse_seconds("10m"), 600);
  EXPECT_EQ(parse_seconds("1.5h"), 5400);
  for (const char* bad : {"", "m", "-1", "1d", "1 m", "1m30s", "nan", "inf", "1e400"}) EXPECT_FALSE(parse_seconds(bad)) << bad;
}

TEST(Duration, IsShownInTheUnitThatFits) {
  EXPECT_EQ(seconds_text(0.424), "0.42 s");
  EXPECT_EQ(seconds_text(42), "42 s");
  EXPECT_EQ(seconds_text(190), "3m10s");
  EXPECT_EQ(seconds_text(7500), "2h05m");
}

}  // namespace
}  // namespace numapin
