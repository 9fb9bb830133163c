// Is a difference real? Two methods that fail in different ways, and only what both see is an effect: the sign-flip test
// keeps its level for any symmetric scatter, the studentized bootstrap says how large the difference is.
#include <algorithm>
#include <cmath>
#include <random>

#include "numapin/compare.h"

namespace numapin {
namespace {

constexpr double kLevel = 0.05;
constexpr int kExactPairs = 14;  // 16,384 flips

struct Moments {
  double mean = 0, error = 0;  ///< of the mean
};

template <class Get>
Moments moments(std::size_t n, Get get) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += get(i);
  const double mean = sum / static_cast<double>(n);
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) squares += (get(i) - mean) * (get(i) - mean);
  return {mean, std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n))};
}

/// Sums of floating-point numbers in another order differ in the last bits.
bool as_large(double x, double limit) { return std::abs(x) >= std::abs(limit) * (1 - 1e-12); }

double sign_flip_p(const std::vector<double>& d, int resamples, std::mt19937& random) {
  const auto flipped_sum = [&](std::uint64_t signs) {
    double sum = 0;
    for (std::size_t i = 0; i < d.size(); ++i) sum += (signs >> (i % 64) & 1) != 0 ? d[i] : -d[i];
    return sum;
  };
  double observed = 0;
  for (const double x : d) observed += x;
  if (static_cast<int>(d.size()) <= kExactPairs) {
    const std::uint64_t all = std::uint64_t{1} << d.size();
    std::uint64_t count = 0;
    for (std::uint64_t signs = 0; signs < all; ++signs) count += as_large(flipped_sum(signs), observed);
    return static_cast<double>(count) / static_cast<double>(all);
  }
  int count = 1;
  for (int i = 0; i < resamples; ++i) {
    double sum = 0;
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < d.size(); ++k) {
      if (k % 32 == 0) bits = random();
      sum += (bits >> (k % 32) & 1) != 0 ? d[k] : -d[k];
    }
    count += as_large(sum, observed);
  }
  return static_cast<double>(count) / (resamples + 1);
}

/// Interval of the mean of `d` that holds with 1 - alpha.
std::pair<double, double> bootstrap_interval(const std::vector<double>& d, double alpha, int resamples, std::mt19937& random) {
  const auto n = d.size();
  const auto own = moments(n, [&](std::size_t i) { return d[i]; });
  if (own.error == 0) return {own.mean, own.mean};
  std::vector<double> t;
  t.reserve(static_cast<std::size_t>(resamples));
  std::vector<std::size_t> drawn(n);
  for (int i = 0; i < resamples; ++i) {
    for (auto& at : drawn) at = random() % n;
    const auto m = moments(n, [&](std::size_t k) { return d[drawn[k]]; });
    if (m.error > 0) t.push_back((m.mean - own.mean) / m.error);  // all the same draw says nothing of the scatter
  }
  std::sort(t.begin(), t.end());
  const auto quantile = [&](double q) { return t[static_cast<std::size_t>(q * static_cast<double>(t.size() - 1))]; };
  return {own.mean - quantile(1 - alpha / 2) * own.error, own.mean - quantile(alpha / 2) * own.error};
}

PairedEffect::Verdict verdict_of(const PairedEffect& e, bool higher_is_better, double alpha) {
  if (e.p > alpha || !e.low || (*e.low <= 0 && *e.high >= 0)) return PairedEffect::Verdict::kNoEffect;
  return (e.relative > 0) == higher_is_better ? PairedEffect::Verdict::kBetter : PairedEffect::Verdict::kWorse;
}

}  // namespace

int pairs_needed(int comparisons) {
  // The smallest p of n pairs is 2 of 2^n: all differences have the sign they have, or all the other.
  return 1 + static_cast<int>(std::ceil(std::log2(std::max(1, comparisons) / kLevel)));
}

PairedEffect paired_effect(const std::vector<double>& base, const std::vector<double>& other, bool higher_is_better,
                           int comparisons, unsigned seed, int resamples) {
  PairedEffect e;
  e.pairs = static_cast<int>(std::min(base.size(), other.size()));
  std::vector<double> d;
  for (std::size_t i = 0; i < static_cast<std::size_t>(e.pairs); ++i) d.push_back(std::log(other[i] / base[i]));
  if (d.empty()) return e;
  double sum = 0;
  for (const double x : d) sum += x;
  e.relative = std::expm1(sum / static_cast<double>(d.size()));
  if (e.pairs < 3) return e;
  std::mt19937 random(seed);
  const double alpha = kLevel / std::max(1, comparisons);
  const auto [low, high] = bootstrap_interval(d, alpha, resamples, random);
  e.low = std::expm1(low);
  e.high = std::expm1(high);
  e.p = sign_flip_p(d, resamples, random);
  if (e.pairs >= pairs_needed(comparisons)) e.verdict = verdict_of(e, higher_is_better, alpha);
  return e;
}

}  // namespace numapin
