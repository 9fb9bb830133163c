#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_topo(CLI::App& app);

}  // namespace numapin::cli
