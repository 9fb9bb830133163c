// The place that belongs to some GPUs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

struct NearPlace {
  NodeSet nodes;   ///< of the GPUs
  CpuSet cpus;     ///< of these nodes
  NodeSet memory;  ///< these nodes, or the nearest that have memory; and the GPUs' own (Grace): pages there are at home
};

/// Nothing where a GPU is not known, or its node.
std::optional<NearPlace> place_near(const Machine& m, const std::vector<int>& gpus);
/// The nodes themselves where they have memory, else the nearest ones that do.
NodeSet memory_near(const Machine& m, const NodeSet& nodes);

}  // namespace numapin
