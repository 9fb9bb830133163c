#include "diagnose/page_sample.h"

#include <gtest/gtest.h>

#include <set>

namespace numapin {
namespace {

constexpr std::uint64_t kPage = 4096, kGiB = std::uint64_t{1} << 30;

/// A process whose page at an address is on the node that `node_of` says; below zero: there is none.
using NodeOf = std::function<int(std::uint64_t address)>;

AskPages answer(NodeOf node_of) {
  return [node_of = std::move(node_of)](const std::vector<std::uint64_t>& addresses) {
    std::vector<int> nodes;
    for (const auto a : addresses) nodes.push_back(node_of(a));
    return std::optional(nodes);
  };
}

struct Scene {
  std::vector<AddressRange> ranges;
  NodeOf node_of;
  double true_share;  // of node 1
  int pages = 512;
};

std::uint64_t mix(std::uint64_t page) { return page * 0x9e3779b97f4a7c15ULL >> 40; }  // 24 random-looking bits

/// How often the true share of node 1 is inside the interval, of 200 samples.
int covered(const Scene& s) {
  int inside = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const auto e = sample_pages(s.ranges, kPage, s.pages, seed, answer(s.node_of));
    if (!e) continue;
    const auto at = e->nodes.find(1);
    const PageShare found = at == e->nodes.end() ? PageShare{0, 0, 0.01} : at->second;
    if (found.low <= s.true_share && s.true_share <= found.high) ++inside;
  }
  return inside;
}

TEST(PageSample, TheIntervalHoldsTheTruthWhereAllPagesExist) {
  const std::vector<AddressRange> one = {{kGiB, 9 * kGiB}};
  for (const double share : {0.01, 0.25, 0.5, 0.9}) {
    const auto below = static_cast<std::uint64_t>(share * (1 << 24));
    EXPECT_GE(covered({one, [below](std::uint64_t a) { return mix(a / kPage) < below ? 1 : 0; }, share}), 190) << share;
  }
}

TEST(PageSample, TheIntervalHoldsForMemoryInTwoHalves) {
  // As a process that was moved half way: the first quarter of the addresses on node 1.
  EXPECT_GE(covered({{{0, 8 * kGiB}}, [](std::uint64_t a) { return a < 2 * kGiB ? 1 : 0; }, 0.25}), 190);
}

TEST(PageSample, TheIntervalHoldsWhereMostAddressesAreEmpty) {
  // 1 TiB reserved of which a GiB at the beginning exists, on node 1; 3 GiB elsewhere, on node 0.
  const std::vector<AddressRange> ranges = {{0, 1024 * kGiB}, {2000 * kGiB, 2003 * kGiB}};
  int told = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed)
    told += sample_pages(ranges, kPage, 512, seed, answer([](std::uint64_t a) { return a >= 2000 * kGiB ? 0 : a < kGiB ? 1 : -1; })) ? 1 : 0;
  EXPECT_LE(told, 1) << "so thin that a sample may miss it: no answer";
  // A tenth full needs more pages than 512, of which a quarter of a quarter would be met: those have an answer.
  EXPECT_GE(covered({{{0, 100 * kGiB}, {200 * kGiB, 230 * kGiB}},
                     [](std::uint64_t a) { return a >= 200 * kGiB ? 0 : mix(a / kPage) % 10 == 0 ? 1 : -2; }, 0.25, 4096}), 190);
}

TEST(PageSample, ManySmallRangesAreSampledTogether) {
  std::vector<AddressRange> ranges;
  for (std::uint64_t i = 0; i < 20000; ++i) ranges.push_back({i * 64 * kPage, i * 64 * kPage + 4 * kPage});
  std::size_t questions = 0;
  const auto e = sample_pages(ranges, kPage, 4096, 7, [&](const std::vector<std::uint64_t>& addresses) {
    ++questions;
    std::vector<int> nodes;
    for (const auto a : addresses) {
      EXPECT_LT(a % (64 * kPage), 4 * kPage) << "inside a range";
      nodes.push_back(a / (64 * kPage) < 5000 ? 1 : 0);
    }
    return std::optional(nodes);
  });
  ASSERT_TRUE(e);
  EXPECT_EQ(questions, 2U);
  EXPECT_NEAR(e->nodes.at(1).share, 0.25, 0.03);
  EXPECT_LE(e->asked, 4200U);
}

TEST(PageSample, OneNodeIsAllOfItButNotForSure) {
  const auto e = sample_pages({{0, kGiB}}, kPage, 1000, 1, answer([](std::uint64_t) { return 0; }));
  ASSERT_TRUE(e);
  EXPECT_EQ(e->nodes.at(0).share, 1);
  EXPECT_EQ(e->nodes.at(0).high, 1);
  EXPECT_LT(e->nodes.at(0).low, 1);
  EXPECT_GT(e->nodes.at(0).low, 0.99);
}

TEST(PageSample, SharesOfAllNodesAddUp) {
  const auto e = sample_pages({{0, kGiB}, {4 * kGiB, 5 * kGiB}}, kPage, 3000, 5, answer([](std::uint64_t a) { return static_cast<int>(mix(a) % 4); }));
  ASSERT_TRUE(e);
  double sum = 0;
  for (const auto& [node, s] : e->nodes) sum += s.share;
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(e->nodes.size(), 4U);
}

TEST(PageSample, NothingIsNothing) {
  const auto nobody = answer([](std::uint64_t) { return -2; });
  EXPECT_FALSE(sample_pages({}, kPage, 1000, 1, nobody));
  EXPECT_FALSE(sample_pages({{0, kGiB}}, kPage, 1000, 1, nobody));
  EXPECT_FALSE(sample_pages({{kPage, kPage}, {9, 8}}, kPage, 1000, 1, nobody));
  EXPECT_FALSE(sample_pages({{0, kGiB}}, kPage, 1000, 1, [](const auto&) { return std::nullopt; })) << "refused";
}

}  // namespace
}  // namespace numapin
