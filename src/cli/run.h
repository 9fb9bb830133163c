#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "numapin/result.h"

namespace numapin::cli {

Runner add_run(CLI::App& app);

struct RunOptions;
/// The words after `numapin run` (or numactl), for others who have to know what they would bind; kBadInput as there.
Result<RunOptions> parse_run_words(std::vector<std::string> words);

}  // namespace numapin::cli
