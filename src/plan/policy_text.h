// Words for a memory policy, the same in every message.
#pragma once

#include <string>
#include <string_view>

#include "numapin/plan.h"

namespace numapin {

/// "bind", "preferred", "weighted-interleave", ...: the words of --memory
std::string_view to_string(MemoryMode mode);
/// As to_string(), but with the kernel's distinction "preferred-many" and "preferred": the words of JSON documents.
std::string_view kernel_word(MemoryMode mode);
/// "node 0", "nodes 0-1"
std::string node_words(const NodeSet& nodes);
/// "bind node 0", "preferred nodes 0-1", "local", "left as it was"
std::string describe(const MemoryPolicy& policy);

}  // namespace numapin
