// The text of the first screen and of a command's help page.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace numapin::cli {

/// What `numapin` alone prints: what it is, the commands by job, two examples.
std::string first_screen();
/// "usage: numapin run [OPTION...] [--] COMMAND [ARG...]"
std::string usage_line(const CLI::App& app);
/// What `numapin NAME --help` prints.
std::string command_help(const CLI::App& app, int width);

}  // namespace numapin::cli
