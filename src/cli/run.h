#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_run(CLI::App& app);

}  // namespace numapin::cli
