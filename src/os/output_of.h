// The output of a program that is expected to end soon.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "numapin/result.h"

namespace numapin {

enum class ErrorOutput { kDropped, kJoined };

/// Runs `file` (looked for in PATH where it has no slash) with `words` (words[0] is its name) and gives what it wrote to
/// standard output, and to standard error if joined. An Error where it cannot start, fails (with the first line, if
/// joined), writes more than `limit_bytes` or is not done in `time`: then it is killed.
Result<std::string> output_of(const std::string& file, const std::vector<std::string>& words, std::chrono::milliseconds time,
                              std::size_t limit_bytes, ErrorOutput errors = ErrorOutput::kDropped);

}  // namespace numapin
