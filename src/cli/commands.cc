// The table of commands. A new command is one declaration and one row here.
#include "cli/command.h"

#include <array>

#include "cli/topo.h"

namespace numapin::cli {

// Rows of one job stand together; the jobs are the headings of the first screen.
constexpr std::string_view kSee = "see the machine";

constexpr std::array kCommands = {
    Command{"topo", kSee, "Show the machine: nodes, cores, memory, PCIe tree, GPUs, links", add_topo},
};

std::span<const Command> commands() { return kCommands; }

}  // namespace numapin::cli
