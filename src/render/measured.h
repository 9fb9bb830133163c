// A report of measurements as text: tables with the best and worst of each row told apart, then the verdict.
#pragma once

#include <string>

#include "numapin/measured.h"
#include "render/topo.h"

namespace numapin {

/// The tables alone: host memory, then GPUs.
std::string measured_tables(const Measured& m, const TextStyle& style);
/// Tables of all that was measured; sections without figures are left out. `verdict` and `command` end it.
std::string measured_text(const Measured& m, const std::string& verdict, const std::string& command, const TextStyle& style);

/// Sections by themselves, for other pages ("" where nothing of it was measured).
std::string memory_tables(const Measured& m, const TextStyle& style);
std::string gpu_tables(const Measured& m, const TextStyle& style);

}  // namespace numapin
