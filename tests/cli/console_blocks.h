// What a page of documentation says that the program prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace numapin::test {

struct ConsoleCommand {
  int line = 0;          ///< of the page, from 1
  std::string typed;     ///< without "$ "; lines that end in a backslash are joined
  std::string expected;  ///< standard output and error, as shown
};

/// The commands in the blocks that start with "```console", in order.
std::vector<ConsoleCommand> console_commands(std::string_view page);

/// Whether `output` is what is shown. A line "..." stands for any number of lines.
bool matches(std::string_view shown, std::string_view output);

}  // namespace numapin::test
