// Runs the program as a user does: another process, its streams apart.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace numapin::test {

struct Ran {
  int status = -1;  ///< exit status; 128+N for signal N
  std::string out, err;
};

/// `shell` is what a user would type; numapin is found first in PATH. Standard input is empty; NO_COLOR, COLUMNS and
/// the *_VISIBLE_DEVICES are not set unless `shell` sets them.
Ran run_shell(const std::string& shell);
std::filesystem::path numapin_program();

}  // namespace numapin::test
