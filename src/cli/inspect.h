#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_inspect(CLI::App& app);

}  // namespace numapin::cli
