#include "bench/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

/// Hands out the samples in order, then the last one for ever.
std::function<Sample()> script(std::vector<Sample> samples, int& taken) {
  return [samples = std::move(samples), &taken] {
    const auto at = std::min<std::size_t>(static_cast<std::size_t>(taken++), samples.size() - 1);
    return samples[at];
  };
}

TEST(TakeSamples, WarmsUpUntilTheFigureStandsStill) {
  Measurement m;
  int taken = 0;
  take_samples(m, {2, 5, 0.03, 2}, script({{1}, {5}, {9}, {9.1}, {20}, {21}}, taken));
  EXPECT_THAT(m.samples, testing::ElementsAre(20, 21));
  EXPECT_EQ(m.disturbed, "");
}

TEST(TakeSamples, TakesDisturbedOnesAgain) {
  Measurement m;
  int taken = 0;
  take_samples(m, {2, 2, 0.5, 2}, script({{1}, {1}, {2, true}, {3}, {4, true}, {5}}, taken));
  EXPECT_THAT(m.samples, testing::ElementsAre(3, 5));
  EXPECT_EQ(m.disturbed, "");
}

TEST(TakeSamples, SaysSoWhereEveryTimeIsDisturbed) {
  Measurement m;
  int taken = 0;
  take_samples(m, {2, 2, 0.5, 2}, script({{1}, {1}, {2, true}, {3}, {4, true}}, taken));
  EXPECT_THAT(m.samples, testing::ElementsAre(2, 3, 4, 4));
  EXPECT_EQ(m.disturbed, "in 3 of 4 samples a thread lost its CPU");
}

}  // namespace
}  // namespace numapin
