// Starts bound processes and stands by them: output by line, first failure ends all, nobody stays behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/perform.h"

namespace numapin {

struct RankSpec {
  std::vector<Action> actions;  ///< performed in the child before exec
};

struct LaunchSpec {
  std::string file;                ///< the program, as find_program() gave it
  std::vector<std::string> words;  ///< its arguments, words[0] as the user typed it
  std::vector<RankSpec> ranks;
  bool strict = false;             ///< a refused binding ends the launch
  std::chrono::milliseconds grace{10000};  ///< between SIGTERM and SIGKILL
  std::string log_dir;             ///< rank-N.out and rank-N.err there instead of lines here; "" for none
  int out_fd = 1, err_fd = 2;      ///< where lines go; one that does not take them makes the ranks wait, never us
};

enum class OutputStream { kOut, kErr };

/// What happens, as it happens. What these write to the end of `text` goes to out_fd or err_fd when there is room.
struct LaunchEvents {
  /// One line without its end.
  std::function<void(int rank, OutputStream, std::string_view line, std::string& text)> line;
  /// A binding that was refused in the child: "set memory bind node 0: set_mempolicy: ..."; to err_fd.
  std::function<void(int rank, const Error&, std::string& text)> loss;
  /// Called in a child of its own, now and then while ranks run, with their pids by rank (0: ended): it may take its
  /// time, /proc/PID/numa_maps of a large process takes seconds. What it returns comes back as `seen`.
  std::function<std::string(const std::vector<int>& pids)> look;
  std::function<void(const std::string& text)> seen;
};

struct RankReport {
  int pid = 0;
  std::optional<Error> start_error;   ///< bind (strict) or exec failed; status is then 126, 127 or 1
  int status = 0;                     ///< exit status, or 128+N
  int signal = 0;                     ///< N where a signal ended it, else 0
  bool ended_by_us = false;           ///< because another rank failed, or we were told to end
  std::chrono::duration<double> wall{0}, user{0}, system{0};
  std::uint64_t max_rss_bytes = 0;
  std::uint64_t voluntary_switches = 0, involuntary_switches = 0;
  std::vector<std::string> last_lines;  ///< at most ten, of both streams, the first 500 bytes of each
};

struct LaunchReport {
  std::vector<RankReport> ranks;
  std::optional<int> first_failed;    ///< rank
  int told_to_end_by = 0;             ///< signal number; 0: none. SIGPIPE: the reader of our output has gone
  std::optional<Error> output_error;  ///< lines were lost: a full disk
  /// Status to exit with: of the first failed rank, 128+N when we were told to end, else 0.
  int status() const;
};

/// Starts every rank and returns when all have ended. Call it inside run_guarded(): it relies on being a subreaper
/// with a process group of its own. Error: a rank could not be forked, or its pipes or log file not be made; the ranks
/// already started are ended first.
Result<LaunchReport> launch(const LaunchSpec& spec, const LaunchEvents& events);

}  // namespace numapin
