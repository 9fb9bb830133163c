// The first steps of a rank: from the launcher's copy to the user's command.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "numapin/perform.h"

namespace numapin {

/// Everything the child needs, made before it is there.
struct RankStart {
  const std::string* file = nullptr;
  char* const* argv = nullptr;
  char* const* shell_argv = nullptr;  ///< for a script without "#!"
  char* const* environment = nullptr;
  std::span<const Action> actions;    ///< without SetEnv
  bool strict = false;
  int in = -1, out = -1, err = -1;    ///< to become 0, 1, 2; -1: as they are
  sigset_t mask{};                    ///< of the command
  std::optional<rlimit> open_files;   ///< of the command
};

/// What became of a start.
struct StartNews {
  std::vector<Error> losses;   ///< bindings that were refused
  std::optional<Error> error;  ///< why the command does not run; its exit status is 1, 126 or 127 then
};

/// A page or two for each rank that its child writes to and we read: costs nothing until something goes wrong, where a
/// pipe would cost five system calls and a wake-up a rank.
class NewsBoard {
 public:
  explicit NewsBoard(std::size_t ranks);
  ~NewsBoard();
  NewsBoard(const NewsBoard&) = delete;
  NewsBoard& operator=(const NewsBoard&) = delete;

  bool works() const { return base_ != nullptr; }
  /// In the child: adds to what this rank has to say. What does not fit is dropped.
  void post(std::size_t rank, bool fatal, const Error& e);
  /// In the launcher: what is new of this rank.
  StartNews take(std::size_t rank);

 private:
  struct Slot;
  Slot& slot(std::size_t rank) const;
  std::size_t bytes_;
  void* base_ = nullptr;
  std::vector<std::size_t> read_;  // of each slot
};

/// Starts the command in a process group of its own that dies with this process; its pid, or -1 and errno.
pid_t start_rank(const RankStart& start, NewsBoard& board, std::size_t rank);

}  // namespace numapin
