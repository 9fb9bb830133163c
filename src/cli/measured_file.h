// --measured FILE: what `numapin bench --out FILE` wrote, for the commands that reason about the machine.
#pragma once

#include <optional>
#include <string>

#include "numapin/machine.h"
#include "numapin/measured.h"
#include "numapin/result.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace numapin::cli {

CLI::Option* add_measured_option(CLI::App& app, std::string& file);
/// The report in `file`; nothing where `file` is "". Its facts are applied to `system`. Error: not readable, not such a
/// report, or of another machine.
Result<std::optional<Measured>> read_measured(const std::string& file, System& system);

}  // namespace numapin::cli
