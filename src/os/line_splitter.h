// Bytes of a pipe as lines.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace numapin {

/// Ends a line at "\n", "\r\n", or a lone "\r" (progress bars); a line longer than kMaxLine is handed out in parts.
class LineSplitter {
 public:
  static constexpr std::size_t kMaxLine = 64 * 1024;
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& line) {
    for (char c : bytes) {
      if (c == '\n' || c == '\r') {
        const bool second_half = c == '\n' && after_return_;
        after_return_ = c == '\r';
        if (!second_half) hand_out(line);
        continue;
      }
      after_return_ = false;
      text_ += c;
      if (text_.size() >= kMaxLine) hand_out(line);
    }
  }
  /// What is left when the pipe ends without an end of line.
  void finish(const std::function<void(std::string_view)>& line) {
    if (!text_.empty()) hand_out(line);
  }

 private:
  void hand_out(const std::function<void(std::string_view)>& line) {
    line(text_);
    text_.clear();
  }
  std::string text_;
  bool after_return_ = false;
};

}  // namespace numapin
