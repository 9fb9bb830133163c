// Bytes of a pipe as lines.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

namespace numapin {

/// Ends a line at "\n", "\r\n", or a lone "\r" (progress bars); a line longer than `max_line` is handed out in parts.
class LineSplitter {
 public:
  static constexpr std::size_t kMaxLine = 64 * 1024;
  explicit LineSplitter(std::size_t max_line = kMaxLine) : max_line_(max_line) {}

  void feed(std::string_view bytes, const std::function<void(std::string_view)>& line) {
    while (!bytes.empty()) {
      const auto part = bytes.substr(0, std::min(end_of_line(bytes), max_line_ - text_.size()));
      if (!part.empty()) after_return_ = cut_ = false;
      text_ += part;
      bytes.remove_prefix(part.size());
      if (text_.size() >= max_line_) {
        hand_out(line);
        cut_ = true;
      } else if (!bytes.empty()) {
        take_end(bytes, line);
      }
    }
  }
  /// What is left when the pipe ends without an end of line.
  void finish(const std::function<void(std::string_view)>& line) {
    if (!text_.empty()) hand_out(line);
  }

 private:
  static std::size_t end_of_line(std::string_view bytes) {
    std::size_t i = 0;
    while (i < bytes.size() && bytes[i] != '\n' && bytes[i] != '\r') ++i;
    return i;
  }
  void take_end(std::string_view& bytes, const std::function<void(std::string_view)>& line) {
    const bool second_half = bytes.front() == '\n' && after_return_;
    after_return_ = bytes.front() == '\r';
    bytes.remove_prefix(1);
    if (!second_half && !cut_) hand_out(line);  // the end of a line that was just handed out makes no empty one
    cut_ = false;
  }
  void hand_out(const std::function<void(std::string_view)>& line) {
    line(text_);
    text_.clear();
    if (text_.capacity() > kKeep) text_ = {};  // one long line must not cost memory for ever
  }

  static constexpr std::size_t kKeep = 1024;
  std::size_t max_line_;
  std::string text_;
  bool after_return_ = false, cut_ = false;
};

}  // namespace numapin
