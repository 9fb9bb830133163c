// A whole file that a user names.
#pragma once

#include <string>

#include "numapin/result.h"

namespace numapin::cli {

Result<std::string> read_text_file(const std::string& file);

}  // namespace numapin::cli
