// The whole of a file that a user names.
#pragma once

#include <cstddef>
#include <string>

#include "numapin/result.h"

namespace numapin::cli {

struct FileDemands {
  bool regular = false;  ///< no pipe, device or directory; it is opened without waiting for a writer
  bool own = false;      ///< of this user, and not reached through a symbolic link
  std::size_t most_bytes = std::size_t{256} << 20;
  std::string hint = {}; ///< what to do where it cannot be read
};

/// An Error where it cannot be read or is not as demanded.
Result<std::string> read_text_file(const std::string& file, const FileDemands& demands = {});

}  // namespace numapin::cli
