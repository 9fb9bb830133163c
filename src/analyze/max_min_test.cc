#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "numapin/analyze.h"

namespace numapin {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

FlowTable table(const std::vector<std::vector<Use>>& flows) {
  FlowTable t;
  for (const auto& f : flows) t.add(f);
  return t;
}

TEST(MaxMin, SharesALinkEvenly) {
  const auto s = share_max_min(std::vector{30.0}, table({{{0, 1}}, {{0, 1}}, {{0, 1}}}));
  EXPECT_EQ(s.rate, (std::vector{10.0, 10.0, 10.0}));
  EXPECT_EQ(s.limited_by, (std::vector<std::uint32_t>{0, 0, 0}));
}

// Bertsekas and Gallager, Data Networks, section 6.4: the long flow takes the least share, the others what it leaves.
TEST(MaxMin, GivesWhatTheSlowLeaveToTheOthers) {
  const auto s = share_max_min(std::vector{10.0, 30.0}, table({{{0, 1}, {1, 1}}, {{0, 1}}, {{1, 1}}}));
  EXPECT_DOUBLE_EQ(s.rate[0], 5);
  EXPECT_DOUBLE_EQ(s.rate[1], 5);
  EXPECT_DOUBLE_EQ(s.rate[2], 25);
  EXPECT_EQ(s.limited_by[2], 1u);
}

TEST(MaxMin, CountsWhatAByteTakes) {
  const auto s = share_max_min(std::vector{12.0}, table({{{0, 2}}, {{0, 1}}}));  // both at 4: 2*4 + 4
  EXPECT_DOUBLE_EQ(s.rate[0], 4);
  EXPECT_DOUBLE_EQ(s.rate[1], 4);
}

TEST(MaxMin, LeavesUnlimitedFlowsUnlimited) {
  const auto s = share_max_min(std::vector{kInfinite, 5.0}, table({{{0, 1}}, {}, {{0, 1}, {1, 1}}}));
  EXPECT_EQ(s.rate[0], kInfinite);
  EXPECT_EQ(s.rate[1], kInfinite);
  EXPECT_EQ(s.limited_by[0], kNoChannel);
  EXPECT_DOUBLE_EQ(s.rate[2], 5);
}

struct Made {
  std::vector<double> capacity;
  FlowTable flows;
};
Made made(unsigned seed) {
  std::mt19937 dice(seed);
  const auto below = [&](unsigned n) { return static_cast<std::uint32_t>(dice() % n); };
  Made m;
  const auto channels = 1 + below(12), flows = 1 + below(40);
  for (unsigned c = 0; c < channels; ++c) m.capacity.push_back(below(8) == 0 ? kInfinite : 1.0 + below(100));
  for (unsigned f = 0; f < flows; ++f) {
    std::vector<Use> uses;
    for (unsigned i = 0; i < 1 + below(5); ++i) uses.push_back({below(channels), below(3) == 0 ? 0.5F : below(2) == 0 ? 1.2F : 1.0F});
    m.flows.add(uses);
  }
  return m;
}
std::vector<double> loads(const Made& m, const Shares& s) {
  std::vector<double> load(m.capacity.size(), 0);
  for (std::size_t f = 0; f < m.flows.size(); ++f)
    for (auto u = m.flows.first[f]; u < m.flows.first[f + 1]; ++u)
      if (std::isfinite(s.rate[f])) load[m.flows.uses[u].channel] += s.rate[f] * static_cast<double>(m.flows.uses[u].weight);
  return load;
}

TEST(MaxMinProperty, NoChannelCarriesMoreThanItCan) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const auto m = made(seed);
    const auto load = loads(m, share_max_min(m.capacity, m.flows));
    for (std::size_t c = 0; c < load.size(); ++c) ASSERT_LE(load[c], m.capacity[c] * (1 + 1e-9)) << "seed " << seed << " channel " << c;
  }
}

/// The definition: each flow has a full channel on which nobody gets more than it; so to raise it, one that has as little
/// or less must be lowered.
TEST(MaxMinProperty, NoFlowCanBeRaisedWithoutLoweringOneThatHasNoMore) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const auto m = made(seed);
    const auto s = share_max_min(m.capacity, m.flows);
    const auto load = loads(m, s);
    for (std::size_t f = 0; f < m.flows.size(); ++f) {
      if (s.limited_by[f] == kNoChannel) {
        for (auto u = m.flows.first[f]; u < m.flows.first[f + 1]; ++u) ASSERT_EQ(m.capacity[m.flows.uses[u].channel], kInfinite) << "seed " << seed;
        continue;
      }
      const auto c = s.limited_by[f];
      ASSERT_NEAR(load[c], m.capacity[c], 1e-6 * m.capacity[c]) << "seed " << seed << " flow " << f;
      for (std::size_t other = 0; other < m.flows.size(); ++other)
        for (auto u = m.flows.first[other]; u < m.flows.first[other + 1]; ++u)
          if (m.flows.uses[u].channel == c) { ASSERT_LE(s.rate[other], s.rate[f] * (1 + 1e-9)) << "seed " << seed; }
    }
  }
}

TEST(MaxMinProperty, ScalesWithTheCapacities) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    auto m = made(seed);
    const auto before = share_max_min(m.capacity, m.flows);
    for (auto& c : m.capacity) c *= 3;
    const auto after = share_max_min(m.capacity, m.flows);
    for (std::size_t f = 0; f < m.flows.size(); ++f)
      if (std::isfinite(before.rate[f])) { ASSERT_NEAR(after.rate[f], before.rate[f] * 3, 1e-6 * after.rate[f]) << "seed " << seed; }
  }
}

TEST(MaxMinProperty, DoesNotDependOnTheOrderOfFlows) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    const auto m = made(seed);
    const auto forward = share_max_min(m.capacity, m.flows);
    FlowTable reversed;
    for (auto f = m.flows.size(); f-- > 0;) reversed.add(std::span(m.flows.uses).subspan(m.flows.first[f], m.flows.first[f + 1] - m.flows.first[f]));
    const auto backward = share_max_min(m.capacity, reversed);
    for (std::size_t f = 0; f < m.flows.size(); ++f)
      if (std::isfinite(forward.rate[f])) { ASSERT_NEAR(forward.rate[f], backward.rate[m.flows.size() - 1 - f], 1e-6 * forward.rate[f]) << "seed " << seed; }
  }
}

}  // namespace
}  // namespace numapin
