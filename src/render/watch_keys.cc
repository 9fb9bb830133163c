// What a key does to the screen of `watch`.
#include <algorithm>
#include <array>

#include "render/watch.h"

namespace numapin {
namespace {

constexpr std::array<std::pair<WatchSort, std::string_view>, 6> kSorts = {{{WatchSort::kPlace, "place"},
                                                                           {WatchSort::kCpu, "cpu"},
                                                                           {WatchSort::kRemote, "remote"},
                                                                           {WatchSort::kMemory, "memory"},
                                                                           {WatchSort::kMigrations, "migrations"},
                                                                           {WatchSort::kPid, "pid"}}};
constexpr std::array<double, 9> kIntervals = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60};

WatchSort next(WatchSort s) {
  const auto at = std::find_if(kSorts.begin(), kSorts.end(), [&](const auto& k) { return k.first == s; });
  return at + 1 == kSorts.end() ? kSorts.front().first : (at + 1)->first;
}

void step_interval(WatchView& view, bool slower) {
  if (slower) {
    const auto at = std::find_if(kIntervals.begin(), kIntervals.end(), [&](double s) { return s > view.interval_s; });
    if (at != kIntervals.end()) view.interval_s = *at;
    return;
  }
  const auto at = std::find_if(kIntervals.rbegin(), kIntervals.rend(), [&](double s) { return s < view.interval_s; });
  if (at != kIntervals.rend()) view.interval_s = *at;
}

void move_selection(WatchView& view, const WatchFrame& frame, int by) {
  std::vector<std::pair<int, int>> rows;
  for (const auto& line : watch_body(frame, view, {}))
    if (line.row.second > 0) rows.push_back(line.row);
  if (rows.empty()) return;
  const auto at = std::find(rows.begin(), rows.end(), view.selected);
  const auto last = static_cast<int>(rows.size()) - 1;
  const int from = at == rows.end() ? 0 : static_cast<int>(at - rows.begin());
  view.selected = rows[static_cast<std::size_t>(std::clamp(from + by, 0, last))];
}

void expand(WatchView& view, const WatchFrame& frame, bool all) {
  if (!all) {
    const int pid = view.selected.second;
    if (pid > 0 && view.expanded.erase(pid) == 0) view.expanded.insert(pid);
    return;
  }
  if (!view.expanded.empty()) return view.expanded.clear();
  for (const auto& p : frame.processes) view.expanded.insert(p.pid);
}

WatchWish answer(WatchView& view, int key) {
  view.question.clear();
  const int pid = std::exchange(view.asked, 0);
  if (pid == 0) return WatchWish::kNone;
  if (key != 'y' && key != 'Y') {
    view.message = "not rebound";
    return WatchWish::kNone;
  }
  view.asked = pid;
  return WatchWish::kRebind;
}

}  // namespace

std::string_view to_string(WatchSort s) {
  return std::find_if(kSorts.begin(), kSorts.end(), [&](const auto& k) { return k.first == s; })->second;
}

std::optional<WatchSort> parse_watch_sort(std::string_view word) {
  for (const auto& [sort, name] : kSorts)
    if (name == word) return sort;
  return std::nullopt;
}

WatchWish press(WatchView& view, const WatchFrame& frame, int key) {
  constexpr int kPageRows = 10, kAll = 1 << 20;
  if (!view.question.empty()) return answer(view, key);
  view.message.clear();
  switch (key) {
    case 'q': case 'Q': return WatchWish::kQuit;
    case 's': view.sort = next(view.sort); break;
    case 't': case kKeyEnter: expand(view, frame, false); break;
    case 'T': expand(view, frame, true); break;
    case 'p': view.paused = !view.paused; break;
    case '?': case 'h': view.help = !view.help; break;
    case '+': step_interval(view, true); break;
    case '-': step_interval(view, false); break;
    case 'j': case kKeyDown: move_selection(view, frame, 1); break;
    case 'k': case kKeyUp: move_selection(view, frame, -1); break;
    case kKeyPageDown: move_selection(view, frame, kPageRows); break;
    case kKeyPageUp: move_selection(view, frame, -kPageRows); break;
    case kKeyHome: move_selection(view, frame, -kAll); view.top = 0; break;
    case kKeyEnd: move_selection(view, frame, kAll); break;
    case 'b':
      if (view.selected.second > 0) return WatchWish::kPlanRebind;
      view.message = "no process to rebind";
      break;
    default: break;
  }
  return WatchWish::kNone;
}

}  // namespace numapin
