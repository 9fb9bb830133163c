#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "numapin/compare.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// ---- order ------------------------------------------------------------------------------------------------------------

TEST(BalancedOrder, PutsEachConfigurationInEachPlaceAndAfterEachOther) {
  for (const int n : {2, 3, 4, 5, 6, 9}) {
    const int rounds = n % 2 == 0 ? n : 2 * n;
    std::map<std::pair<int, int>, int> places, follows;
    for (const auto& row : balanced_order(n, rounds, 7)) {
      ASSERT_EQ(row.size(), static_cast<std::size_t>(n));
      for (int i = 0; i < n; ++i) ++places[{row[static_cast<std::size_t>(i)], i}];
      for (int i = 1; i < n; ++i) ++follows[{row[static_cast<std::size_t>(i) - 1], row[static_cast<std::size_t>(i)]}];
    }
    EXPECT_EQ(places.size(), static_cast<std::size_t>(n * n));
    for (const auto& [key, count] : places) EXPECT_EQ(count, rounds / n);
    EXPECT_EQ(follows.size(), static_cast<std::size_t>(n * (n - 1)));
    for (const auto& [key, count] : follows) EXPECT_EQ(count, rounds / n) << n;
  }
}

TEST(BalancedOrder, IsAbbaForTwo) {
  const auto order = balanced_order(2, 4, 1);
  EXPECT_NE(order[0], order[1]);
  EXPECT_NE(order[2], order[3]);
  EXPECT_EQ(order, balanced_order(2, 4, 1)) << "the seed decides";
  EXPECT_TRUE(balanced_order(0, 3, 1).empty());
  EXPECT_EQ(balanced_order(1, 3, 1).size(), 3u);
}

// ---- effects: simulated experiments whose truth is known ------------------------------------------------------------------

struct Simulation {
  double sigma;        ///< of a run
  double tail;         ///< chance of a run that is disturbed, and takes twice as long
  double round_sigma;  ///< common to the runs of a round
};

/// std::normal_distribution differs between libraries.
double normal(std::mt19937& random) {
  const auto uniform = [&] { return (random() + 0.5) / 4294967296.0; };
  return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * 3.14159265358979323846 * uniform());
}

constexpr int kResamples = 300;  // the tests count verdicts, not the last digit of an interval

struct Rates {
  double better = 0, worse = 0, covered = 0;
};

Rates simulate(const Simulation& s, int pairs, double truth, int experiments, int comparisons = 1) {
  std::mt19937 random(20240501);
  Rates r;
  for (int e = 0; e < experiments; ++e) {
    std::vector<double> base, other;
    for (int i = 0; i < pairs; ++i) {
      const double round = s.round_sigma * normal(random);
      const auto run = [&](double mean) {
        const bool disturbed = (random() % 10000) / 10000.0 < s.tail;
        return std::exp(mean + round + s.sigma * normal(random)) * (disturbed ? 2 : 1);
      };
      base.push_back(run(0));
      other.push_back(run(std::log1p(truth)));
    }
    const auto effect = paired_effect(base, other, false, comparisons, static_cast<unsigned>(e), kResamples);
    r.better += effect.verdict == PairedEffect::Verdict::kBetter;
    r.worse += effect.verdict == PairedEffect::Verdict::kWorse;
    r.covered += effect.low && *effect.low <= truth && truth <= *effect.high;
  }
  for (double* rate : {&r.better, &r.worse, &r.covered}) *rate /= experiments;
  return r;
}

// Two commands that are the same: at most one of twenty experiments may find a difference.
TEST(PairedEffect, FindsNothingWhereNothingIs) {
  constexpr int kExperiments = 2000;
  const double slack = 2.6 * std::sqrt(0.05 * 0.95 / kExperiments);  // 99 % of the counts of a fair 5 % lie below
  for (const int pairs : {6, 10})
    for (const Simulation& s : {Simulation{0.02, 0, 0.05}, Simulation{0.2, 0, 0}, Simulation{0.02, 0.1, 0.01}}) {
      const auto r = simulate(s, pairs, 0, kExperiments);
      EXPECT_LE(r.better + r.worse, 0.05 + slack) << pairs << " pairs, tail " << s.tail;
    }
}

TEST(PairedEffect, FindsNothingInAnyOfManyComparisons) {
  constexpr int kExperiments = 2000, kComparisons = 4;
  const auto r = simulate({0.02, 0, 0.05}, 9, 0, kExperiments, kComparisons);
  EXPECT_LE((r.better + r.worse) * kComparisons, 0.05 + 0.02);
}

// --budget looks again after each round and stops when the interval is narrow: by its width, never by where it lies.
TEST(PairedEffect, KeepsItsLevelWhenRunsEndOnceTheIntervalIsNarrow) {
  constexpr int kExperiments = 400, kFirstLook = 8, kMost = 24, kEvery = 4;
  std::mt19937 random(20240502);
  int found = 0, early = 0;
  for (int e = 0; e < kExperiments; ++e) {
    std::vector<double> base, other;
    PairedEffect effect;
    while (static_cast<int>(base.size()) < kMost) {
      base.push_back(std::exp(0.012 * normal(random)));
      other.push_back(std::exp(0.012 * normal(random)));
      if (static_cast<int>(base.size()) < kFirstLook || base.size() % kEvery != 0) continue;
      effect = paired_effect(base, other, false, 1, static_cast<unsigned>(e), kResamples);
      if (*effect.high - *effect.low < 0.02) break;
    }
    early += static_cast<int>(base.size()) < kMost;
    found += effect.verdict != PairedEffect::Verdict::kNoEffect;
  }
  EXPECT_GT(early, kExperiments / 2) << "else this shows nothing of ending early";
  EXPECT_LE(found, kExperiments * (0.05 + 2.6 * std::sqrt(0.05 * 0.95 / kExperiments)));
}

TEST(PairedEffect, FindsWhatIsLargeAgainstTheScatter) {
  // 3 % faster, runs scatter by 2 %: the difference of two scatters by 2.8 %
  const Simulation s{0.02, 0, 0.10};
  EXPECT_GT(simulate(s, 10, -0.03, 500).better, 0.75);
  EXPECT_GT(simulate(s, 20, -0.03, 200).better, 0.97);
  EXPECT_EQ(simulate(s, 20, -0.03, 200).worse, 0);
  EXPECT_GT(simulate(s, 10, 0.10, 200).worse, 0.99);
  EXPECT_LT(simulate(s, 10, -0.002, 500).better, 0.15) << "a tenth of the scatter is not to be seen in ten runs";
}

TEST(PairedEffect, HasIntervalsThatHoldTheTruth) {
  for (const int pairs : {6, 12}) EXPECT_GE(simulate({0.02, 0, 0.05}, pairs, -0.05, 1000).covered, 0.93) << pairs;
}

TEST(PairedEffect, GivesNoVerdictOnTooFewRuns) {
  EXPECT_EQ(pairs_needed(1), 6);  // 2 of 2^6 is 3.1 %
  EXPECT_EQ(pairs_needed(3), 7);
  const std::vector<double> base{1, 1.01, 0.99, 1, 1.02}, other{2, 2.01, 1.99, 2, 2.02};
  const auto e = paired_effect(base, other, false, 1, 1);
  EXPECT_EQ(e.verdict, PairedEffect::Verdict::kTooFew);
  EXPECT_NEAR(e.relative, 0.99, 0.01);
  EXPECT_FALSE(paired_effect({1, 2}, {2, 3}, false, 1, 1).low);
  EXPECT_EQ(paired_effect({}, {}, false, 1, 1).pairs, 0);
}

TEST(PairedEffect, KnowsWhichWayIsBetter) {
  const std::vector<double> base{1, 1.01, 0.99, 1, 1.02, 1, 1.01}, other{2, 2.01, 1.98, 2, 2.02, 2, 2.01};
  EXPECT_EQ(paired_effect(base, other, true, 1, 1).verdict, PairedEffect::Verdict::kBetter);
  EXPECT_EQ(paired_effect(base, other, false, 1, 1).verdict, PairedEffect::Verdict::kWorse);
  EXPECT_EQ(paired_effect(base, base, false, 1, 1).verdict, PairedEffect::Verdict::kNoEffect);
}

// ---- metrics ------------------------------------------------------------------------------------------------------------

std::vector<double> read(std::string_view metric, const std::vector<std::string>& lines) {
  const auto spec = parse_metric(metric, false);
  EXPECT_TRUE(spec);
  MetricReader reader({*spec});
  for (const auto& line : lines) reader.line(line);
  return reader.values()[0];
}

TEST(Metric, TakesTheFirstGroupWhereverItMatches) {
  EXPECT_THAT(read("speed: ([0-9.]+) samples", {"speed: 12.5 samples, speed: 13 samples", "none", "speed: . samples"}), ElementsAre(12.5, 13));
  EXPECT_THAT(read("t=([-0-9.e+]+)", {"t=1e-3"}), ElementsAre(1e-3));
}

TEST(Metric, TakesKeysOfJsonLines) {
  EXPECT_THAT(read("json:timing.step", {R"({"timing": {"step": 0.25}})", R"({"timing": 3})", "{", "text", R"([1])", R"({"timing": {"step": "x"}})"}),
              ElementsAre(0.25));
}

TEST(Metric, MaySayWhichWayIsBetter) {
  const auto speed = parse_metric("higher:speed: ([0-9.]+)", false);
  EXPECT_TRUE(speed->higher_is_better);
  EXPECT_EQ(to_string(*speed), "speed: ([0-9.]+)");
  const auto latency = parse_metric("lower:json:ms", true);
  EXPECT_FALSE(latency->higher_is_better);
  EXPECT_EQ(to_string(*latency), "json:ms");
  EXPECT_TRUE(parse_metric("json:ms", true)->higher_is_better);
}

TEST(Metric, SaysWhatIsWrongWithAnExpression) {
  EXPECT_THAT(parse_metric("speed: [0-9]+", false).error().message, HasSubstr("no group in parentheses"));
  EXPECT_THAT(parse_metric("speed: ([0-9]+", false).error().message, HasSubstr("parse --metric"));
  EXPECT_FALSE(parse_metric("json:", false));
  EXPECT_EQ(parse_metric("wall", true)->higher_is_better, false) << "a longer run is never better";
}

// ---- the whole ------------------------------------------------------------------------------------------------------------

Comparison made(const std::vector<std::vector<double>>& by_config, bool higher = false) {
  Comparison c;
  c.command = {"true"};
  c.metrics = {higher ? *parse_metric("x=([0-9.]+)", true) : MetricSpec{}};
  const char* names[] = {"none", "cpu", "both"};
  for (std::size_t i = 0; i < by_config.size(); ++i) {
    c.configs.push_back({names[i], std::string("run as ") + names[i], ""});
    for (std::size_t round = 0; round < by_config[i].size(); ++round) {
      Trial t;
      t.config = static_cast<int>(i);
      t.round = static_cast<int>(round);
      t.values = {{by_config[i][round]}};
      t.wall_s = 1;
      c.trials.push_back(t);
    }
  }
  return c;
}

TEST(Conclusion, NamesTheLineToUse) {
  const auto c = made({{1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.01}, {0.8, 0.81, 0.79, 0.8, 0.82, 0.78, 0.8, 0.81}});
  EXPECT_THAT(conclusion(c), HasSubstr("run as cpu"));
  EXPECT_THAT(compare_text(c, 100), HasSubstr("-20.0 %"));
  EXPECT_THAT(to_json(c), HasSubstr("\"verdict\": \"better\""));
}

TEST(Conclusion, GivesNoAdviceInsideTheNoise) {
  const auto c = made({{1, 1.1, 0.9, 1, 1.2, 0.8, 1, 1.01}, {1.1, 1, 0.95, 1.02, 1, 0.99, 0.9, 1.1}});
  EXPECT_THAT(conclusion(c), HasSubstr("no measurable effect"));
  EXPECT_THAT(conclusion(c), testing::Not(HasSubstr("run as")));
}

TEST(Conclusion, CountsOnlyRoundsInWhichBothWentWell) {
  auto c = made({{1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2, 2, 2}});
  c.trials[3].status = 1;
  c.trials[3].last_lines = {"out of memory"};
  const auto r = evaluate(c, 0);
  EXPECT_EQ(r.configs[0].failed, 1);
  EXPECT_EQ(r.configs[1].effect.pairs, 7);
  EXPECT_THAT(compare_text(c, 100), HasSubstr("out of memory"));
  EXPECT_THAT(compare_text(c, 100), HasSubstr("1 of 8 failed"));
}

/// Three configurations of eight runs each; those of one failed.
Comparison with_failures(int config) {
  auto c = made({{1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.01}, {2, 2, 2, 2.1, 2, 2, 1.9, 2}, {1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.01}});
  for (auto& t : c.trials)
    if (t.config == config) t.status = 1;
  return c;
}

TEST(Conclusion, ExpectsNothingOfAConfigurationThatFails) {
  EXPECT_THAT(conclusion(with_failures(2)), HasSubstr("nothing is measurably better than 'none'")) << "not: too few runs";
  EXPECT_THAT(conclusion(with_failures(0)), HasSubstr("no run of 'none' ended well"));
  auto c = made({{1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.01}, {2, 2, 2, 2, 2, 2, 2, 2}});
  for (auto& t : c.trials) t.status = t.config;
  EXPECT_THAT(conclusion(c), HasSubstr("no run of the other configurations ended well"));
  EXPECT_THAT(conclusion(made({{1}, {2}})), HasSubstr("too few runs"));
  EXPECT_THAT(conclusion(made({{}, {}})), HasSubstr("too few runs")) << "interrupted in the warm-up";
}

TEST(Conclusion, DoesNotCallARunFailedThatSaidNoNumber) {
  auto c = made({{1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.01}, {0, -1, 2, 2, 2, 2, 2, 2}}, true);
  c.trials[9].values = {{}};
  const auto text = compare_text(c, 100);
  EXPECT_THAT(text, HasSubstr("2 of 8 without a value"));
  EXPECT_THAT(text, testing::Not(HasSubstr("failed")));
}

TEST(Evaluate, SeesADrift) {
  EXPECT_TRUE(evaluate(made({{1, 1.01, 1.1, 1.12, 1.2, 1.22}}), 0).drifted);
  EXPECT_FALSE(evaluate(made({{1, 1.2, 1.1, 1.12, 1.01, 1.22}}), 0).drifted);
  EXPECT_FALSE(evaluate(made({{1, 1.0001, 1.001, 1.001, 1.002, 1.0021}}), 0).drifted) << "0.2 % are nobody's concern";
}

TEST(Evaluate, HasTheWorstHundredthOfManyValues) {
  auto c = made({{1}}, true);
  c.trials[0].values[0].clear();
  for (int i = 1; i <= 200; ++i) c.trials[0].values[0].push_back(i);
  EXPECT_EQ(evaluate(c, 0).configs[0].p99, 3) << "higher is better: the low end is the bad one";
  c.metrics[0].higher_is_better = false;
  EXPECT_EQ(evaluate(c, 0).configs[0].p99, 198);
}

}  // namespace
}  // namespace numapin
