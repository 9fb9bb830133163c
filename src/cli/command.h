// A command of the program: one file each (options struct, add_NAME, run_NAME), one row in the table in commands.cc.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace numapin::cli {

struct Session;

/// Does the work after the options were parsed; returns the exit status.
using Runner = std::function<int(Session&)>;

struct Command {
  std::string_view name;     ///< "topo"
  std::string_view job;      ///< heading of the first screen that it stands under; rows of one job stand together
  std::string_view summary;  ///< one line, a verb first
  /// Adds options, help and at least two real examples (footer) to the parser of this command and returns what runs
  /// it. Man pages and completions are made by calling it on an empty App, so it must touch nothing outside.
  Runner (*add)(CLI::App& app);
  /// Set: the words go to it as they are, unless they ask for help.
  int (*run_words)(Session& s, const std::vector<std::string>& words) = nullptr;
};

/// Every command, in the order of the help page.
std::span<const Command> commands();
/// Builds the parser of `command` into `app`, with what all commands share, and returns what runs it.
Runner add_command(CLI::App& app, const Command& command);
/// Runs `numapin ARGS...` (without the program's name) and returns the exit status. Only the parser of the command
/// that is asked for is built: the start of `run` must cost no more than numactl's.
int run_program(Session& session, std::vector<std::string> args);
/// The words of the command to start, for an add_NAME that sets app.prefix_command(): everything from the first word
/// that is not an option of ours, or after "--", untouched.
std::vector<std::string> command_words(const CLI::App& app);

/// Exit status of the program (docs/exit-status.md).
enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,       ///< failed, or a problem was found
  kUsage = 2,        ///< wrong usage
  kUnsupported = 3,  ///< not supported here
  kNotExecutable = 126,
  kNotFound = 127,
};

}  // namespace numapin::cli
