// The terminal as a screen of lines (ncurses). Whatever ends the program, the terminal is as it was.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "numapin/result.h"
#include "render/watch.h"

namespace numapin::cli {

class Terminal {
 public:
  /// Errors: standard input or output is no terminal, or of a kind that cannot be drawn on.
  static Result<std::unique_ptr<Terminal>> open(bool color);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int width() const;
  int height() const;
  bool unicode() const;
  void draw(const std::vector<ScreenLine>& lines);

  struct Event {
    enum class Kind { kTime, kKey, kResize, kOther, kSignal, kClosed } kind = Kind::kTime;
    int value = 0;  ///< the key (a character or a WatchKey), the signal
  };
  /// The next event, at the latest after `seconds`. `other_fd` (or -1) is a descriptor to watch as well.
  Event wait(double seconds, int other_fd);

 private:
  Terminal() = default;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace numapin::cli
