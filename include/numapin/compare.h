// What `numapin compare` finds out: the same command under several placements, run by run, and what follows from it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/result.h"

namespace numapin {

/// What is measured of each run.
struct MetricSpec {
  enum class Kind {
    kWall,   ///< seconds from start to end
    kRegex,  ///< the first capture group, wherever it matches in the output
    kJson,   ///< the number at this key of lines that are JSON objects: "loss", "timing.step"
  } kind = Kind::kWall;
  std::string text;              ///< the expression, or the key
  bool higher_is_better = false;
  bool operator==(const MetricSpec&) const = default;
};
/// "wall", "json:KEY", or else a regular expression (ECMAScript) with a capture group; "higher:" or "lower:" before it says
/// which is better of this one. Error kBadInput: not an expression, no capture group.
Result<MetricSpec> parse_metric(std::string_view text, bool higher_is_better);
std::string to_string(const MetricSpec& metric);

/// Collects what the output of one process says of the metrics.
class MetricReader {
 public:
  explicit MetricReader(const std::vector<MetricSpec>& specs);
  ~MetricReader();
  MetricReader(MetricReader&&) noexcept;
  void line(std::string_view text);
  /// By metric, in the order they came; empty for kWall.
  const std::vector<std::vector<double>>& values() const { return values_; }

 private:
  struct Pattern;
  std::vector<Pattern> patterns_;
  std::vector<std::vector<double>> values_;
};

/// One run of the command under one configuration.
struct Trial {
  int config = 0;                  ///< index into Comparison::configs
  int round = 0;                   ///< every configuration runs once a round; -1: warm-up
  int status = 0;                  ///< exit status, 128+N for a signal; other than 0: failed
  std::vector<std::string> last_lines;              ///< of a run that failed
  std::vector<std::vector<double>> values;          ///< by metric; several where the output says several
  std::vector<std::vector<double>> rank_values;     ///< by rank: the median of the first metric, where there are several ranks
  double wall_s = 0, cpu_s = 0;
  std::uint64_t max_rss_bytes = 0;
  std::uint64_t voluntary_switches = 0, involuntary_switches = 0;
  std::optional<std::uint64_t> migrations;          ///< between CPUs, as last seen; short runs end unseen
  std::map<int, std::uint64_t> bytes_by_node;       ///< of the job's own memory, as last seen
  std::optional<std::uint64_t> numa_misses;         ///< pages the whole machine took from another node than wanted, meanwhile
};

struct CompareConfig {
  std::string name;          ///< "none", "cpu", "memory", "both", ...
  std::string stands_for;    ///< the command line a user would type
  std::string what;          ///< "CPUs 0-11,24-35, memory preferred node 0"
};

struct Comparison {
  std::vector<std::string> command;
  std::vector<MetricSpec> metrics;      ///< at least one; the first decides
  std::vector<CompareConfig> configs;   ///< the first is what the others are compared with
  std::vector<Trial> trials;            ///< in the order they ran, warm-ups too
  unsigned seed = 0;
  std::string stopped;                  ///< why fewer runs were made than asked: "interrupted", "the budget is spent"
};

/// The order of each round: a permutation of 0..configs-1. Every configuration stands in every place and follows every
/// other one equally often as far as the number of rounds allows (Williams' Latin squares, rows in an order drawn from
/// `seed`), so that a drift of the machine and what a run leaves behind fall on all alike.
std::vector<std::vector<int>> balanced_order(int configs, int rounds, unsigned seed);

/// Two configurations, run in the same rounds. `relative` is other / base - 1.
struct PairedEffect {
  int pairs = 0;
  double relative = 0;                       ///< of the geometric means
  std::optional<double> low, high;           ///< interval of `relative`; unknown for fewer than 3 pairs
  double p = 1;                              ///< of a sign-flip test: as large a difference by chance alone
  enum class Verdict { kBetter, kWorse, kNoEffect, kTooFew } verdict = Verdict::kTooFew;
};
/// Paired differences of logarithms: a studentized bootstrap interval of their mean, and an exact
/// sign-flip test (up to 14 pairs; more: random flips). There is an effect where both agree. `comparisons`: into
/// how many the 5 % are divided (Bonferroni), for intervals and verdicts alike. Values must be positive.
PairedEffect paired_effect(const std::vector<double>& base, const std::vector<double>& other, bool higher_is_better,
                           int comparisons, unsigned seed, int resamples = 20000);
/// The least number of pairs with which paired_effect() can find anything.
int pairs_needed(int comparisons);

/// What stands in one row of the table, for one metric.
struct ConfigResult {
  std::vector<double> values;        ///< one a run that went well, in the order of rounds
  std::optional<double> median, p99; ///< p99: the worst hundredth of all values, where runs have several
  PairedEffect effect;               ///< against the first configuration; pairs 0 for itself
  int failed = 0;                    ///< runs
  int without_value = 0;             ///< runs that ended well and said no number above zero
};
struct MetricResult {
  std::vector<ConfigResult> configs;
  double drift = 0;                  ///< of the first configuration from its first third of runs to its last, relative
  bool drifted = false;              ///< more than its own scatter explains, and 1 %
};
MetricResult evaluate(const Comparison& c, std::size_t metric);

/// The sentence at the end: which configuration to use, or that there is no measurable effect.
std::string conclusion(const Comparison& c);

/// For a terminal of `width` columns.
std::string compare_text(const Comparison& c, std::size_t width);
/// Schema "numapin/compare/1" (docs/compare.md), two-space indented, newline at the end.
std::string to_json(const Comparison& c);
/// One page that needs nothing else: the table, and every run as a dot.
std::string compare_html(const Comparison& c);

}  // namespace numapin
