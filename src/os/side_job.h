// This program once more, beside us: its output is collected while we go on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/result.h"

namespace numapin {

class SideJob {
 public:
  /// Starts `numapin WORDS...` in a process group of its own: it ends what it has begun, also when we are interrupted.
  static Result<SideJob> start(const std::vector<std::string>& words);
  SideJob(SideJob&& other) noexcept;
  SideJob& operator=(SideJob&& other) noexcept;
  ~SideJob();

  int fd() const { return fd_; }  ///< readable when there is something to collect
  /// Takes what is there. The exit status once it has ended (128+N by signal N), nothing before.
  std::optional<int> collect();
  const std::string& output() const { return output_; }  ///< standard output and error, as they came

 private:
  SideJob(int pid, int fd) : pid_(pid), fd_(fd) {}
  int pid_ = -1, fd_ = -1;
  std::string output_;
};

}  // namespace numapin
