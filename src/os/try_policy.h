// May memory policies be set here?
#pragma once

#include <optional>

#include "numapin/id_set.h"

namespace numapin {

/// Prefers `node` in a child process, which ends at once: seccomp profiles allow get_mempolicy(2) and refuse the other.
/// errno of set_mempolicy(2), 0 where it is allowed; nothing where no child could be made.
std::optional<int> try_memory_policy(NodeId node);

}  // namespace numapin
