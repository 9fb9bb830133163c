#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_launch(CLI::App& app);

}  // namespace numapin::cli
