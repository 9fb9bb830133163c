#pragma once

#include "cli/command.h"

namespace numapin::cli {
Runner add_bench(CLI::App& app);
}
