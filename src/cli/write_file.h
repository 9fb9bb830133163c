// A file that is either whole or not there.
#pragma once

#include <string>
#include <string_view>

#include "numapin/result.h"

namespace numapin::cli {

/// Writes a temporary file beside `path`, then gives it the name. Without `replace` an existing file stays, kBadInput.
/// A device or pipe is written to.
Result<void> write_file(const std::string& path, std::string_view text, bool replace);

}  // namespace numapin::cli
