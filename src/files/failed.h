// What an errno means for a tree of files.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "numapin/result.h"

namespace numapin::files {

inline Error::Kind kind_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENODEV:  // a sysfs file whose device went away
    case ESRCH:   // a /proc/PID file whose process ended
      return Error::Kind::kNotFound;
    case EACCES:
    case EPERM: return Error::Kind::kDenied;
    default: return Error::Kind::kSystem;
  }
}

inline Unexpected failed(int error, std::string_view verb, std::string_view path) {
  return fail(kind_of(error), fmt::format("{} {}: {}", verb, path, std::strerror(error)));
}

}  // namespace numapin::files
