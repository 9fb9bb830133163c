#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "render/layout.h"
#include "render/node_card.h"

namespace numapin {
namespace {

constexpr double kTextSize = 9.5, kThreadHeight = 16, kThreadGap = 1, kCoreGap = 4, kPad = 6, kLabelHeight = 13, kGroupGap = 6;
constexpr std::size_t kMostNumberedCores = 256;  // more of them in one node are drawn as small squares

struct Group {
  std::string label;
  std::vector<CpuSet> cores;  // threads of one core each
};

/// The logical CPUs of each core that are in `cpus`; a CPU whose core is unknown stands alone.
std::vector<CpuSet> cores_of(const Machine& m, const CpuSet& cpus) {
  std::vector<CpuSet> cores;
  CpuSet rest = cpus;
  for (const auto& core : m.cores) {
    const auto here = core.cpus & cpus;
    if (here.empty()) continue;
    cores.push_back(here);
    rest -= here;
  }
  for (const auto cpu : rest) cores.push_back(CpuSet::of(cpu));
  std::sort(cores.begin(), cores.end(), [](const CpuSet& a, const CpuSet& b) { return a.first() < b.first(); });
  return cores;
}

std::vector<Group> groups_of(const Machine& m, const CpuSet& cpus) {
  std::vector<Group> groups;
  auto left = cores_of(m, cpus);
  for (const auto& l3 : m.l3) {
    Group group;
    group.label = l3.size_bytes ? "L3 " + size_text(*l3.size_bytes) : "L3";
    const auto inside = [&](const CpuSet& core) { return l3.cpus.contains(core); };
    std::copy_if(left.begin(), left.end(), std::back_inserter(group.cores), inside);
    std::erase_if(left, inside);
    if (!group.cores.empty()) groups.push_back(std::move(group));
  }
  if (!left.empty()) groups.push_back({groups.empty() ? "" : "no L3", std::move(left)});
  return groups;
}

/// How the cores of all groups are set: the same for each, so that they line up.
struct Grid {
  double thread_width = 0, thread_height = kThreadHeight, core_width = 0, group_width = 0;
  bool numbered = true;
  int columns = 1, groups_in_row = 1;

  int rows(const Group& g) const { return (static_cast<int>(g.cores.size()) + columns - 1) / columns; }
  double group_height(const Group& g) const {
    return (g.label.empty() ? 0 : kLabelHeight) + rows(g) * (thread_height + kCoreGap) - kCoreGap + 2 * kPad;
  }
};

double height_of(const std::vector<Group>& groups, const Grid& grid) {
  double height = 0, row = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    row = std::max(row, grid.group_height(groups[i]));
    const bool last = i + 1 == groups.size() || (i + 1) % static_cast<std::size_t>(grid.groups_in_row) == 0;
    if (last) height += std::exchange(row, 0) + kGroupGap;
  }
  return height - kGroupGap;
}

/// The arrangement that takes the least height.
Grid best_grid(const std::vector<Group>& groups, Grid grid, double width) {
  std::size_t most_cores = 1;
  for (const auto& g : groups) most_cores = std::max(most_cores, g.cores.size());
  std::optional<Grid> best;
  for (int in_row = 1; in_row <= static_cast<int>(groups.size()); ++in_row) {
    const double each = (width - (in_row - 1) * kGroupGap) / in_row;
    grid.groups_in_row = in_row;
    grid.group_width = each;
    grid.columns = static_cast<int>(std::floor((each - 2 * kPad + kCoreGap) / (grid.core_width + kCoreGap)));
    if (grid.columns < 1) break;
    grid.columns = std::min(grid.columns, static_cast<int>(most_cores));
    if (!best || height_of(groups, grid) < height_of(groups, *best) - 0.5) best = grid;
  }
  if (best) return *best;
  grid.group_width = std::max(width, grid.core_width + 2 * kPad);
  grid.columns = grid.groups_in_row = 1;  // wider than the card: one core a row
  return grid;
}

Grid make_grid(const std::vector<Group>& groups, const CpuSet& cpus, double width) {
  Grid grid;
  std::size_t cores = 0;
  int most_threads = 1;
  for (const auto& g : groups) {
    cores += g.cores.size();
    for (const auto& core : g.cores) most_threads = std::max(most_threads, core.size());
  }
  grid.numbered = cores <= kMostNumberedCores;
  grid.thread_width = grid.numbered ? text_width(std::to_string(number(cpus.last())), kTextSize) + 5 : 7;
  if (!grid.numbered) grid.thread_height = 7;
  grid.core_width = most_threads * (grid.thread_width + kThreadGap) - kThreadGap;
  return best_grid(groups, grid, width);
}

struct Painter {
  const PlanTints& tints;
  const std::optional<CpuSet>& allowed;
  const Grid& grid;
  SvgCanvas& canvas;

  void thread(CpuId cpu, double x, double y) const {
    const SvgCanvas::Box box{x, y, grid.thread_width, grid.thread_height, 2.5};
    const auto rank = tints.rank_of_cpu(cpu);
    const auto title = fmt::format("CPU {}{}", number(cpu), rank ? fmt::format(", planned for rank {}", *rank) : "");
    if (allowed && !allowed->contains(cpu)) {
      canvas.dashed_rect(box, "link", title + ", not allowed here");
    } else {
      canvas.rect(box, tints.of_cpu(cpu).value_or("core"), "line", title);
    }
    if (!grid.numbered) return;
    canvas.text(x + grid.thread_width / 2, y + grid.thread_height - 4.5, std::to_string(number(cpu)),
                {.size = kTextSize, .anchor = SvgText::Anchor::kMiddle});
  }

  void group(const Group& g, double x, double y) const {
    canvas.rect({x, y, grid.group_width, grid.group_height(g), 5}, "card", "line");
    if (!g.label.empty()) {
      const auto text = fitted_text(g.label, kTextSize, grid.group_width - 2 * kPad);
      canvas.text(x + kPad, y + kPad + 7, text, {.size = kTextSize, .ink = "muted"});
      y += kLabelHeight;
    }
    for (std::size_t i = 0; i < g.cores.size(); ++i) {
      const auto column = static_cast<int>(i) % grid.columns, row = static_cast<int>(i) / grid.columns;
      double at = x + kPad + column * (grid.core_width + kCoreGap);
      for (const auto cpu : g.cores[i]) {
        thread(cpu, at, y + kPad + row * (grid.thread_height + kCoreGap));
        at += grid.thread_width + kThreadGap;
      }
    }
  }
};

}  // namespace

Drawing draw_cores(const Machine& m, const CpuSet& cpus, const PlanTints& tints, const std::optional<CpuSet>& allowed,
                   double width) {
  const auto groups = groups_of(m, cpus);
  if (groups.empty()) return {width, 0, ""};
  const auto grid = make_grid(groups, cpus, width);
  SvgCanvas canvas;
  const Painter painter{tints, allowed, grid, canvas};
  double y = 0, row = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto column = i % static_cast<std::size_t>(grid.groups_in_row);
    if (column == 0 && i > 0) y += std::exchange(row, 0) + kGroupGap;
    painter.group(groups[i], static_cast<double>(column) * (grid.group_width + kGroupGap), y);
    row = std::max(row, grid.group_height(groups[i]));
  }
  return {width, y + row, canvas.body()};
}

}  // namespace numapin
