#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_plan(CLI::App& app);

}  // namespace numapin::cli
