#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_analyze(CLI::App& app);

}  // namespace numapin::cli
