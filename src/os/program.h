// Finding a program as execvp(3) does, and becoming it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "numapin/result.h"

namespace numapin {

/// The file that `name` means: itself where it has a slash, else the first executable one in the directories of
/// `path_variable` (the value of PATH). Errors: kNotFound (exit status 127), kDenied (126).
Result<std::string> find_program(const std::string& name, std::string_view path_variable);

/// Replaces this process by `file`, with `words` as its arguments (words[0] as the user typed it) and the environment
/// as it is now. Returns only on failure. A file without "#!" is given to /bin/sh, as execvp(3) does.
Error become(const std::string& file, const std::vector<std::string>& words);

/// Pointers to the words, and a null behind them, as execve(2) takes them.
std::vector<char*> exec_pointers(const std::vector<std::string>& words);
/// What starts a script without "#!": /bin/sh, the file, the arguments.
std::vector<std::string> shell_words(const std::string& file, const std::vector<std::string>& words);
/// Why execve(2) of a file that find_program() had found failed with that errno.
Error start_error(std::string_view name, int error);

}  // namespace numapin
