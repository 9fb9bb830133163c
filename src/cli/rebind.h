#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_rebind(CLI::App& app);

}  // namespace numapin::cli
