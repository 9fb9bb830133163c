#pragma once

#include "cli/command.h"

namespace numapin::cli {

/// numapin doctor: is this machine, container or job set up right?
Runner add_doctor(CLI::App& app);

}  // namespace numapin::cli
