#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_completion(CLI::App& app);

}  // namespace numapin::cli
