// The screen of `watch`: what is on it and what a key does to it. Values only; src/cli/watch_screen.cc draws them.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diagnose/watch.h"
#include "numapin/result.h"
#include "render/topo.h"

namespace numapin {

enum class WatchSort { kPlace, kCpu, kRemote, kMemory, kMigrations, kPid };  // kPlace: the worst placed first
std::string_view to_string(WatchSort s);
/// Reads such a word; nothing where it is none.
std::optional<WatchSort> parse_watch_sort(std::string_view word);

enum class Look { kPlain, kTitle, kHead, kWrong, kLoose, kGood, kFaint };
struct ScreenLine {
  std::string text;
  Look look = Look::kPlain;
  std::pair<int, int> row{-1, -1};  ///< (Gpu::index, pid) of a process's own line
  bool selected = false;
  bool operator==(const ScreenLine&) const = default;
};

struct WatchView {
  WatchSort sort = WatchSort::kPlace;
  std::set<int> expanded;              ///< pids whose threads are shown
  std::pair<int, int> selected{-1, -1};
  std::size_t top = 0;                 ///< first line of the body that is on the screen
  bool paused = false, help = false;
  int asked = 0;                       ///< a process that is to be rebound, if the answer to `question` is y
  std::vector<std::string> question;
  std::string message;                 ///< last line, until the next key
  std::string clock;                   ///< "14:02:07", or where a replay is
  double interval_s = 1;
};

/// Keys that are no characters.
enum WatchKey : int { kKeyUp = 0x110000, kKeyDown, kKeyPageUp, kKeyPageDown, kKeyHome, kKeyEnd, kKeyEnter };
enum class WatchWish {
  kNone,
  kQuit,
  kPlanRebind,  ///< find out what rebinding the selected process means, then ask
  kRebind,      ///< rebind view.asked
};
/// Changes the view as the key says, and returns what the view cannot do itself.
WatchWish press(WatchView& view, const WatchFrame& frame, int key);

/// Nodes, GPUs, processes, threads, from the top; no line is wider than `style.width`.
std::vector<ScreenLine> watch_body(const WatchFrame& frame, const WatchView& view, const TextStyle& style);
/// A whole screen of `height` lines: title, headings, the part of the body around the selected process, keys.
/// Settles what the view leaves open: a selection that is gone, a scroll that is too far.
std::vector<ScreenLine> watch_screen(const WatchFrame& frame, WatchView& view, const TextStyle& style, int height);
/// The whole table as text.
std::string watch_text(const WatchFrame& frame, const WatchView& view, const TextStyle& style);

/// One line, schema "numapin/watch/1" (docs/json.md), newline at the end.
std::string to_json_line(const WatchFrame& frame);
/// Reads such a line back. Errors: kBadInput.
Result<WatchFrame> parse_watch_line(std::string_view line, const std::string& name);

}  // namespace numapin
