// The table of commands. A new command is one declaration and one row here.
#include "cli/command.h"

#include <array>

#include "cli/run.h"
#include "cli/topo.h"

namespace numapin::cli {

// Rows of one job stand together; the jobs are the headings of the first screen.
constexpr std::string_view kSee = "see the machine";
constexpr std::string_view kStart = "start programs";

constexpr std::array kCommands = {
    Command{"topo", kSee, "Show the machine: nodes, cores, memory, PCIe tree, GPUs, links", add_topo},
    Command{"run", kStart, "Start a command beside its GPU, CPUs and memory bound", add_run},
};

std::span<const Command> commands() { return kCommands; }

}  // namespace numapin::cli
