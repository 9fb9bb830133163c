// Which memory policy a placement gets.
#pragma once

#include "plan/ground.h"

namespace numapin {

struct MemoryChoice {
  MemoryPolicy policy;
  std::string because;
  std::vector<std::string> warnings;
};

/// `near`: the nodes of the process's GPUs, narrowed to those its CPUs are on. Empty: unknown, or a process that is near
/// to nothing.
MemoryChoice choose_memory(const Ground& g, const Job& job, const NodeSet& near);

}  // namespace numapin
