#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_watch(CLI::App& app);

}  // namespace numapin::cli
