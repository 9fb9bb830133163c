// Why the configurations of a comparison differ: what was seen of their runs besides the metric.
#include <fmt/format.h>

#include "numapin/measured.h"
#include "render/compare_words.h"

namespace numapin {
namespace {

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

Cell nodes_cell(const Comparison& c, int config) {
  std::map<int, std::vector<double>> by_node;
  for (const auto& t : c.trials)
    if (t.config == config && t.round >= 0)
      for (const auto& [node, bytes] : t.bytes_by_node) by_node[node].push_back(static_cast<double>(bytes));
  Cell cell;
  for (const auto& [node, bytes] : by_node) {
    if (!cell.pieces.empty()) cell.pieces.back() += ", ";
    cell.pieces.push_back(fmt::format("node {}: {}", node, size_text(static_cast<std::uint64_t>(*median(bytes)))));
  }
  return cell.pieces.empty() ? Cell{{"-"}} : cell;
}

}  // namespace

std::vector<std::vector<Cell>> why_cells(const Comparison& c) {
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
                    nodes_cell(c, i)});
  }
  return rows;
}

}  // namespace numapin
