// Machines that are inside the program: to try every command without the hardware, and to test on.
#pragma once

#include <optional>
#include <string_view>

#include "numapin/machine.h"

namespace numapin {

/// The built-in machine of that name (builtin_machines() lists them), completed; nothing if there is none.
std::optional<System> find_builtin_machine(std::string_view name);

}  // namespace numapin
