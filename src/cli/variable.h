// A variable of the session's environment.
#pragma once

#include <optional>
#include <string>

#include "cli/session.h"

namespace numapin::cli {

/// Nothing where it is not set; set to nothing is "".
inline std::optional<std::string> variable(const Session& s, const std::string& name) {
  const auto it = s.env.find(name);
  return it == s.env.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace numapin::cli
