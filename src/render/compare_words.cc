#include "render/compare_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace numapin {
namespace {

std::string percent(double relative) { return fmt::format("{:+.1f} %", 100 * relative); }

std::string verdict_text(const ConfigResult& r, bool first) {
  const int runs = r.failed + r.without_value + static_cast<int>(r.values.size());
  if (r.values.empty()) return runs == 0 ? "no run" : r.failed == runs ? "failed" : "no value";
  std::string text;
  if (!first) {
    switch (r.effect.verdict) {
      case PairedEffect::Verdict::kBetter: text = "better"; break;
      case PairedEffect::Verdict::kWorse: text = "worse"; break;
      case PairedEffect::Verdict::kNoEffect: text = "no measurable effect"; break;
      case PairedEffect::Verdict::kTooFew: text = "too few runs"; break;
    }
  }
  const auto add = [&](int count, std::string_view what) {
    if (count > 0) text += fmt::format("{}{} of {} {}", text.empty() ? "" : ", ", count, runs, what);
  };
  add(r.failed, "failed");
  add(r.without_value, "without a value");
  return text;
}

}  // namespace

std::string metric_figure(double value) {
  if (value == 0) return "0";
  const int before = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  return before >= 7 || before < -3 ? fmt::format("{:.4g}", value) : fmt::format("{:.{}f}", value, std::clamp(4 - before, 0, 6));
}

CompareWords compare_words(const ConfigResult& r, bool first) {
  CompareWords w;
  w.median = r.median ? metric_figure(*r.median) : "-";
  w.p99 = r.p99 ? metric_figure(*r.p99) : "-";
  if (!first && r.effect.pairs > 0) w.relative = percent(r.effect.relative);
  if (r.effect.low) w.interval = fmt::format("{} to {}", percent(*r.effect.low), percent(*r.effect.high));
  w.verdict = verdict_text(r, first);
  return w;
}

std::string drift_sentence(const Comparison& c, const MetricResult& result) {
  return fmt::format("'{}' drifted by {:+.1f} % from its first runs to its last: the machine was not steady; run again, or longer",
                     c.configs.at(0).name, 100 * result.drift);
}

std::vector<std::string> failure_lines(const Comparison& c) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < c.configs.size(); ++i) {
    const auto failed = std::find_if(c.trials.begin(), c.trials.end(), [&](const Trial& t) {
      return t.config == static_cast<int>(i) && t.status != 0;
    });
    if (failed == c.trials.end()) continue;
    out.push_back(fmt::format("'{}' failed with status {}; its last lines:", c.configs[i].name, failed->status));
    for (const auto& line : failed->last_lines) out.push_back("  " + clean(line));
  }
  return out;
}

}  // namespace numapin
