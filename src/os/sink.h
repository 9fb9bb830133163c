// A way out of this process that never makes it wait: what the reader does not take yet is kept, and whoever fills it is
// told to stop for a while.
#pragma once

#include <string>
#include <string_view>

#include "os/fd.h"

namespace numapin {

class Sink {
 public:
  /// When this much waits to be written, `full()` says so.
  static constexpr std::size_t kFullBytes = 64 * 1024;

  /// Of somebody else's descriptor, which stays as it is: O_NONBLOCK belongs to the open file, which the shell and the
  /// ranks share. Pipes and terminals are opened once more instead; where that is refused, small writes after poll(2)
  /// do, which wait only if another process fills the pipe at that moment.
  explicit Sink(int fd);

  std::string& text() { return text_; }  ///< append here
  /// Writes as much as goes now.
  void flush();
  bool full() const { return text_.size() >= kFullBytes; }
  bool empty() const { return text_.empty(); }
  int fd() const { return own_.open() ? own_.get() : fd_; }  ///< to poll for room
  /// errno of the write that failed; 0: none. What comes after a failure is dropped.
  int error() const { return error_; }

 private:
  enum class Kind { kFile, kSocket, kOwn, kShared };
  ssize_t write_some(std::string_view text);

  int fd_;
  Fd own_;
  Kind kind_ = Kind::kFile;
  std::string text_;
  int error_ = 0;
};

}  // namespace numapin
