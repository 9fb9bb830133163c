// What hwloc XML of version 2.3 or later says of memory speed and kinds of cores.
#pragma once

#include <cstdint>
#include <map>

#include "sources/xml.h"

namespace numapin {

/// Fills NumaNode::access0 from <memattr> Bandwidth and Latency (also Read..., Write...; MB/s and ns): of each node the
/// values of its fastest initiators, as the kernel's access class 0. Nodes are named by their gp_index.
void add_hwloc_memory_attributes(Machine& m, pugi::xml_node topology, const std::map<std::uint64_t, NodeId>& node_of_gp_index);

/// Fills Core::kind from <cpukind> with the CoreType IntelCore or IntelAtom, where the machine has both.
void add_hwloc_core_kinds(Machine& m, pugi::xml_node topology);

}  // namespace numapin
