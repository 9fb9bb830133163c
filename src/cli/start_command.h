// The user's command: where it is, and the exit status when it cannot be started.
#pragma once

#include <string>

#include "numapin/result.h"

namespace numapin::cli {

struct Session;

/// The file that `name` means in this session's PATH. Errors: those of find_program().
Result<std::string> find_command(const Session& s, const std::string& name);
/// Reports why the command cannot be started; 127 where it is not there, else 126.
int fail_to_start(const Session& s, const Error& error);

}  // namespace numapin::cli
