#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "numapin/compare.h"
#include "numapin/measured.h"

namespace numapin {
namespace {

/// One number a run: the median of what the output said.
std::optional<double> value_of(const Trial& t, std::size_t metric) {
  return t.status == 0 && metric < t.values.size() ? median(t.values[metric]) : std::nullopt;
}

std::map<int, double> by_round(const Comparison& c, int config, std::size_t metric) {
  std::map<int, double> out;
  for (const auto& t : c.trials)
    if (t.config == config && t.round >= 0)
      if (const auto value = value_of(t, metric); value && *value > 0) out[t.round] = *value;
  return out;
}

/// The hundredth of all values that is worst, where the output says at least a hundred.
std::optional<double> worst_hundredth(const Comparison& c, int config, std::size_t metric) {
  std::vector<double> all;
  for (const auto& t : c.trials)
    if (t.config == config && t.round >= 0 && t.status == 0 && metric < t.values.size())
      all.insert(all.end(), t.values[metric].begin(), t.values[metric].end());
  if (all.size() < 100) return std::nullopt;
  std::sort(all.begin(), all.end());
  if (c.metrics[metric].higher_is_better) std::reverse(all.begin(), all.end());
  return all[static_cast<std::size_t>(std::ceil(0.99 * static_cast<double>(all.size()))) - 1];
}

constexpr double kDriftWorthTelling = 0.01;

/// First third of the runs against the last: a machine that warms up or fills its page cache.
void add_drift(MetricResult& result) {
  const auto& v = result.configs.at(0).values;
  const auto third = static_cast<std::ptrdiff_t>(v.size() / 3);
  if (third < 2) return;
  const std::vector<double> early(v.begin(), v.begin() + third), late(v.end() - third, v.end());
  result.drift = *median(late) / *median(early) - 1;
  const auto [low, high] = std::minmax_element(early.begin(), early.end());
  if (std::abs(result.drift) < kDriftWorthTelling) return;
  result.drifted = *std::min_element(late.begin(), late.end()) > *high || *std::max_element(late.begin(), late.end()) < *low;
}

}  // namespace

MetricResult evaluate(const Comparison& c, std::size_t metric) {
  MetricResult out;
  const auto base = by_round(c, 0, metric);
  const int comparisons = std::max(1, static_cast<int>(c.configs.size()) - 1);
  for (int config = 0; config < static_cast<int>(c.configs.size()); ++config) {
    ConfigResult r;
    const auto own = by_round(c, config, metric);
    std::vector<double> left, right;
    for (const auto& [round, value] : own) {
      r.values.push_back(value);
      if (const auto pair = base.find(round); config != 0 && pair != base.end()) {
        left.push_back(pair->second);
        right.push_back(value);
      }
    }
    int went_well = 0;
    for (const auto& t : c.trials)
      if (t.config == config && t.round >= 0) ++(t.status != 0 ? r.failed : went_well);
    r.without_value = went_well - static_cast<int>(r.values.size());
    r.median = median(r.values);
    r.p99 = worst_hundredth(c, config, metric);
    if (config != 0)
      r.effect = paired_effect(left, right, c.metrics[metric].higher_is_better, comparisons, c.seed + static_cast<unsigned>(config));
    out.configs.push_back(std::move(r));
  }
  if (!out.configs.empty()) add_drift(out);
  return out;
}

std::string conclusion(const Comparison& c) {
  const auto result = evaluate(c, 0);
  const auto better = [&](std::size_t x, std::size_t y) {
    const double dx = result.configs[x].effect.relative, dy = result.configs[y].effect.relative;
    return c.metrics[0].higher_is_better ? dx > dy : dx < dy;
  };
  const auto& base = c.configs.empty() ? std::string("none") : c.configs[0].name;
  const auto failed = [&](std::size_t i) { return result.configs[i].values.empty() && result.configs[i].failed > 0; };
  if (!result.configs.empty() && failed(0))
    return fmt::format("no run of '{}' ended well: the others have nothing to be compared with", base);
  std::optional<std::size_t> best;
  bool too_few = false, worse = false, any = false;
  for (std::size_t i = 1; i < result.configs.size(); ++i) {
    if (failed(i)) continue;
    const auto verdict = result.configs[i].effect.verdict;
    any = true;
    too_few |= verdict == PairedEffect::Verdict::kTooFew;
    worse |= verdict == PairedEffect::Verdict::kWorse;
    if (verdict == PairedEffect::Verdict::kBetter && (!best || better(i, *best))) best = i;
  }
  if (best) {
    const auto& e = result.configs[*best].effect;
    return fmt::format("'{}' is better by {:.1f} % ({:.1f} to {:.1f} %): {}", c.configs[*best].name, 100 * std::abs(e.relative),
                       100 * std::min(std::abs(*e.low), std::abs(*e.high)), 100 * std::max(std::abs(*e.low), std::abs(*e.high)),
                       c.configs[*best].stands_for);
  }
  if (!any) return fmt::format("no run of the other configurations ended well: stay with '{}'", base);
  if (too_few)
    return fmt::format("too few runs for a verdict: {} runs of each configuration are needed",
                       pairs_needed(static_cast<int>(c.configs.size()) - 1));
  if (worse) return fmt::format("nothing is measurably better than '{}': stay with it", base);
  return "no measurable effect: placement does not matter for this command here, as far as these runs can tell";
}

}  // namespace numapin
