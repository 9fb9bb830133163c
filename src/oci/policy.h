// What an administrator or a container's annotation asks of the wrapper runtime.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "numapin/plan.h"

namespace numapin::oci {

struct Policy {
  bool off = false;
  bool strict = false;            ///< cpuset.mems too, and no container that cannot be placed
  CpuScope cpus = CpuScope::kNode;
  bool smt = true;
  MemoryMode memory = MemoryMode::kPreferred;
  std::vector<std::string> unknown;  ///< words that mean nothing; in a strict policy no container starts with them
};

/// Words between commas or blanks, later ones above earlier ones, applied to `p`: "off", "auto" (the defaults), "strict", "node", "socket",
/// "l3", "exclusive", "all", "smt-off", "memory=preferred|bind|interleave|local|none".
void apply_words(std::string_view words, Policy& p);

inline constexpr std::string_view kPolicyAnnotation = "numapin.policy";

}  // namespace numapin::oci
