// Completions for shells, made from the command tree. What changes from machine to machine (GPUs, processes) the script
// asks the program for: `numapin completion --list gpus`.
#pragma once

#include <string>
#include <vector>

#include "cli/pages.h"

namespace numapin::cli {

std::string bash_completion(const std::vector<CommandPage>& commands);
std::string zsh_completion(const std::vector<CommandPage>& commands);
std::string fish_completion(const std::vector<CommandPage>& commands);

}  // namespace numapin::cli
