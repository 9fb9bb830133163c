// Reading back the document of `topo --json` (docs/json.md); writing it is to_json() in machine.h.
#pragma once

#include <string_view>

#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

/// Unknown keys are skipped, absent ones are unknown facts. A value of the wrong type or out of range is kBadInput with
/// its JSON pointer ("/gpus/0/address"). A fact without source counts as the user's word. Not completed, not checked.
Result<System> from_json(std::string_view text);

}  // namespace numapin
