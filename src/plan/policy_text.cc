#include "plan/policy_text.h"

namespace numapin {

std::string_view to_string(MemoryMode mode) {
  switch (mode) {
    case MemoryMode::kDefault: return "default";
    case MemoryMode::kPreferred:
    case MemoryMode::kPreferredOne: return "preferred";
    case MemoryMode::kBind: return "bind";
    case MemoryMode::kInterleave: return "interleave";
    case MemoryMode::kWeightedInterleave: return "weighted-interleave";
    case MemoryMode::kLocal: return "local";
    case MemoryMode::kNone: return "none";
  }
  return "";
}

std::string_view kernel_word(MemoryMode mode) {
  return mode == MemoryMode::kPreferred ? "preferred-many" : to_string(mode);
}

std::string node_words(const NodeSet& nodes) {
  return (nodes.size() == 1 ? "node " : "nodes ") + nodes.to_list();
}

std::string describe(const MemoryPolicy& policy) {
  switch (policy.mode) {
    case MemoryMode::kNone: return "left as it was";
    case MemoryMode::kDefault:
    case MemoryMode::kLocal: return std::string(to_string(policy.mode));
    default: break;
  }
  return std::string(to_string(policy.mode)) + ' ' + node_words(policy.nodes) +
         (policy.balancing ? " with balancing" : "");
}

}  // namespace numapin
