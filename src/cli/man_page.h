// Manual pages in the man(7) language.
#pragma once

#include <string>
#include <vector>

#include "cli/pages.h"

namespace numapin::cli {

/// numapin(1): what it is, and every command in a line.
std::string man_page(const std::vector<CommandPage>& commands);
/// numapin-NAME(1).
std::string man_page(const CommandPage& command);

}  // namespace numapin::cli
