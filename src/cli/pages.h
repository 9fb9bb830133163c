// The command tree as values: what man pages and completions are made of.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace numapin::cli {

/// What a shell can offer as the value of an option or argument.
enum class Offer { kNothing, kWords, kFile, kDirectory, kMachine, kGpus, kProcess, kCheck };

struct OptionPage {
  std::vector<std::string> names;  ///< "-h", "--help"; of an argument: "process"
  std::string value;               ///< "FILE"; "" for a flag
  std::string help, group;
  bool is_argument = false;        ///< stands without a name
  bool required = false;
  Offer offer = Offer::kNothing;
  std::vector<std::string> words;  ///< kWords: all that are allowed
};

struct CommandPage {
  std::string name, summary, usage;
  std::vector<OptionPage> options;
  std::vector<std::string> examples;  ///< lines that stand indented in the help
  std::vector<std::string> remarks;   ///< the other lines behind them
  bool starts_program = false;        ///< ends in a command of the user's
};

/// Every command of the table.
std::vector<CommandPage> command_pages();

}  // namespace numapin::cli
