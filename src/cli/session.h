// What a command may use of the outside world, so that a test can hand it another one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>

#include "numapin/file_tree.h"
#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {
struct NvmlApi;
}

namespace numapin::cli {

struct Session {
  std::ostream& out;  ///< the result
  std::ostream& err;  ///< for people
  bool color_out = false, color_err = false;  ///< a terminal, and NO_COLOR is not set
  bool unicode_out = false;                   ///< a terminal in a UTF-8 locale
  int width = 80;                             ///< columns of the terminal, or $COLUMNS; 80 when it is none
  const FileTree& live;                       ///< "/"
  std::map<std::string, std::string> env;
  /// Loaded on first use; null where there is no driver.
  std::function<const NvmlApi*()> nvml;

  /// The live system, or the recorded or built-in machine named by --machine (not empty).
  Result<System> system(const std::string& machine_option) const;
  /// The same, where no device matters; in less time.
  Result<System> system_without_devices(const std::string& machine_option) const;
  /// The variables of the environment that choose GPUs: *_VISIBLE_DEVICES and their like.
  std::map<std::string, std::string> visible_env() const;
  /// Prints "numapin: message" and "  hint: ...", and returns the exit status that fits.
  int report(const Error& error) const;
  /// One line on err, "numapin: " before it.
  void say(std::string_view line) const;
  void warn(std::string_view line) const;
  /// The text that warn() writes.
  std::string warning(std::string_view line) const;
};

/// kBadInput 2, kUnsupported 3, everything else 1.
int exit_status(const Error& error);

}  // namespace numapin::cli
