// What `compare` prints: the table people want, why the rows differ, and the sentence to act on.
#include <fmt/format.h>

#include <algorithm>

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
  if (result.drifted)
    text += fmt::format("'{}' drifted by {} from its first runs to its last: the machine was not steady; run again, or longer\n",
                        c.configs[0].name, fmt::format("{:+.1f} %", 100 * result.drift));
  return text;
}

// ---- why ----------------------------------------------------------------------------------------------------------------

template <class Get>
std::string median_of(const Comparison& c, int config, Get get, const auto& print) {
  std::vector<double> values;
  for (const auto& t : c.trials) {
    const std::optional<double> value = t.config == config && t.round >= 0 && t.status == 0 ? get(t) : std::nullopt;
    if (value) values.push_back(*value);
  }
  const auto m = median(values);
  return m ? print(*m) : "-";
}

std::string nodes_text(const Comparison& c, int config) {
  std::map<int, std::vector<double>> by_node;
  for (const auto& t : c.trials)
    if (t.config == config && t.round >= 0)
      for (const auto& [node, bytes] : t.bytes_by_node) by_node[node].push_back(static_cast<double>(bytes));
  std::string text;
  for (const auto& [node, bytes] : by_node)
    text += fmt::format("{}node {}: {}", text.empty() ? "" : ", ", node, size_text(static_cast<std::uint64_t>(*median(bytes))));
  return text.empty() ? "-" : text;
}

std::string why_table(const Comparison& c, std::size_t width) {
  const auto seconds = [](double s) { return fmt::format("{:.2f} s", s); };
  const auto count = [](double n) { return fmt::format("{:.0f}", n); };
  const auto size = [](double n) { return size_text(static_cast<std::uint64_t>(n)); };
  using T = const Trial&;
  using O = std::optional<double>;
  std::vector<std::vector<Cell>> rows;
  for (int i = 0; i < static_cast<int>(c.configs.size()); ++i) {
    const auto cell = [&](auto get, const auto& print) { return Cell{{median_of(c, i, get, print)}}; };
    rows.push_back({{{c.configs[static_cast<std::size_t>(i)].name}},
                    cell([](T t) -> O { return t.wall_s; }, seconds),
                    cell([](T t) -> O { return t.cpu_s; }, seconds),
                    cell([](T t) -> O { return static_cast<double>(t.max_rss_bytes); }, size),
                    cell([](T t) -> O { return static_cast<double>(t.voluntary_switches + t.involuntary_switches); }, count),
                    cell([](T t) -> O { return t.migrations ? O(static_cast<double>(*t.migrations)) : std::nullopt; }, count),
                    cell([](T t) -> O { return t.numa_misses ? O(static_cast<double>(*t.numa_misses)) : std::nullopt; }, count),
                    {{nodes_text(c, i)}}});
  }
  return table({"CONFIGURATION", "WALL", "CPU TIME", "MAX RSS", "SWITCHES", "MIGRATIONS", "NUMA MISSES", "MEMORY"}, rows, width);
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

}  // namespace

std::string compare_text(const Comparison& c, std::size_t width) {
  std::string text;
  for (std::size_t i = 0; i < c.metrics.size(); ++i) text += metric_table(c, i, width) + "\n";
  text += ranks_text(c);
  for (const auto& line : failure_lines(c)) text += line + "\n";
  text += why_table(c, width) + "\n";
  std::vector<std::vector<Cell>> rows;
  for (const auto& config : c.configs) rows.push_back({{{config.name}}, {{config.stands_for}}, {{config.what}}});
  text += table({"CONFIGURATION", "STANDS FOR", "PLACEMENT"}, rows, width) + "\n";
  if (!c.stopped.empty()) text += c.stopped + "\n";
  text += conclusion(c) + "\n";
  return text;
}

}  // namespace numapin
