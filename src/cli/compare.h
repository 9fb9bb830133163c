#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_compare(CLI::App& app);

}  // namespace numapin::cli
