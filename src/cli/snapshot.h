#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_snapshot(CLI::App& app);

}  // namespace numapin::cli
