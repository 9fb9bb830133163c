// A plan for people: one line a rank.
#pragma once

#include <string>

#include "numapin/plan.h"

namespace numapin {

/// "0", "0,2"; "-" for a rank without a GPU.
std::string gpu_numbers(const Placement& placement);
/// One line a rank: its GPU, node, CPUs and memory; with `explain`, every reason below it.
std::string plan_text(const Plan& plan, bool explain);

}  // namespace numapin
