// What `compare` prints: the table people want, why the rows differ, and the sentence to act on.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "numapin/compare.h"
#include "numapin/measured.h"
#include "render/compare_words.h"
#include "render/layout.h"

namespace numapin {
namespace {

std::vector<Cell> row_of(const CompareConfig& config, const ConfigResult& r, bool first, bool with_p99) {
  const auto w = compare_words(r, first);
  std::vector<Cell> row{{{config.name}}, {{w.median}}};
  if (with_p99) row.push_back({{w.p99}});
  for (const auto& text : {w.relative, w.interval, w.verdict}) row.push_back({{text}});
  return row;
}

std::string paragraph(std::string_view text, std::size_t width) {
  std::vector<std::string> words;
  for (const auto word : split_words(text)) words.emplace_back(word);
  return flow("", "", words, " ", width);
}

std::string metric_table(const Comparison& c, std::size_t metric, std::size_t width) {
  const auto result = evaluate(c, metric);
  const bool p99 = std::any_of(result.configs.begin(), result.configs.end(), [](const auto& r) { return r.p99.has_value(); });
  std::vector<std::vector<Cell>> rows;
  for (std::size_t i = 0; i < result.configs.size(); ++i) rows.push_back(row_of(c.configs[i], result.configs[i], i == 0, p99));
  std::vector<std::string> heading{"CONFIGURATION", "MEDIAN"};
  if (p99) heading.emplace_back("P99");
  for (const char* name : {"RELATIVE", "95 % INTERVAL", "VERDICT"}) heading.emplace_back(name);
  auto text = fmt::format("{}, {} is better\n", to_string(c.metrics[metric]), c.metrics[metric].higher_is_better ? "higher" : "lower");
  text += table(heading, rows, width);
  return result.drifted ? text + paragraph(drift_sentence(c, result), width) : text;
}

std::string ranks_text(const Comparison& c) {
  std::string text;
  for (int i = 0; i < static_cast<int>(c.configs.size()); ++i) {
    std::vector<std::vector<double>> by_rank;
    for (const auto& t : c.trials)
      if (t.config == i && t.round >= 0 && t.status == 0)
        for (std::size_t r = 0; r < t.rank_values.size(); ++r) {
          if (by_rank.size() <= r) by_rank.resize(r + 1);
          by_rank[r].insert(by_rank[r].end(), t.rank_values[r].begin(), t.rank_values[r].end());
        }
    if (by_rank.size() < 2) continue;
    text += fmt::format("  {}:", c.configs[static_cast<std::size_t>(i)].name);
    for (const auto& values : by_rank) text += values.empty() ? " -" : " " + metric_figure(*median(values));
    text += "\n";
  }
  return text.empty() ? "" : "by rank\n" + text;
}

/// The conclusion; a line to use stands alone, to be copied.
std::string advice(const Comparison& c, std::size_t width) {
  const auto sentence = conclusion(c);
  for (const auto& config : c.configs) {
    if (sentence.ends_with(": " + config.stands_for))
      return paragraph(sentence.substr(0, sentence.size() - config.stands_for.size()), width) + "  " + config.stands_for + "\n";
  }
  return paragraph(sentence, width);
}

}  // namespace

std::string compare_text(const Comparison& c, std::size_t width) {
  std::string text;
  for (std::size_t i = 0; i < c.metrics.size(); ++i) text += metric_table(c, i, width) + "\n";
  text += ranks_text(c);
  for (const auto& line : failure_lines(c)) text += line + "\n";
  text += table({"CONFIG", "WALL", "CPU", "MAX RSS", "SWITCHES", "MIGR", "MISSES", "MEMORY"}, why_cells(c), width) + "\n";
  for (const auto& config : c.configs) text += fmt::format("{}: {}\n  {}\n", config.name, config.stands_for, config.what);
  text += "\n";
  if (!c.stopped.empty()) text += paragraph(c.stopped, width);
  text += advice(c, width);
  return text;
}

}  // namespace numapin
