// The table of commands. A new command is one declaration and one row here.
#include "cli/command.h"

#include <array>


namespace numapin::cli {


constexpr std::array<Command, 0> kCommands = {
};

std::span<const Command> commands() { return kCommands; }

}  // namespace numapin::cli
