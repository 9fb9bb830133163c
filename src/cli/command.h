// A command of the program: one file each (options struct, add_NAME, run_NAME), one row in the table in commands.cc.
#pragma once

#include <functional>
#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace numapin::cli {

struct Session;

/// Does the work after the options were parsed; returns the exit status.
using Runner = std::function<int(Session&)>;

struct Command {
  std::string_view name;     ///< "topo"
  std::string_view summary;  ///< one line, a verb first
  /// Adds options, help and at least two real examples (footer) to the parser of this command and returns what runs
  /// it. Man pages and completions are made by calling it on an empty App, so it must touch nothing outside.
  Runner (*add)(CLI::App& app);
};

/// Every command, in the order of the help page.
std::span<const Command> commands();

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
