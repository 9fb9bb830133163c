#pragma once

#include "cli/command.h"

namespace numapin::cli {

Runner add_report(CLI::App& app);

}  // namespace numapin::cli
