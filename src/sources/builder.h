// What several sources need to fill a Machine.
#pragma once

#include <map>
#include <utility>

#include "numapin/machine.h"

namespace numapin {

/// The node with this id, made if it is not there yet. Keeps the nodes sorted.
NumaNode& node_of(Machine& m, NodeId id);

/// Marks nodes that have memory and no CPUs; of what kind that memory is, a text does not tell.
void mark_memory_only_nodes(Machine& m, Source source);

/// A damaged or edited text may contradict itself. What is contradicted is dropped with a note: of two statements that
/// exclude each other we cannot tell which is right. CPUs both online and offline; CPUs of nodes, packages, cores and L3
/// groups that are not online; cores and L3 groups that overlap; cores outside their node or package.
void drop_contradictions(Machine& m);

/// A UUID or an NVML index that several GPUs have names none of them: files made public may have one UUID for all, and a
/// damaged text "GPU1" and "GPU01". Partitions share their function's UUID.
void drop_repeated_names(Machine& m);

using LinkMap = std::map<std::pair<DeviceRef, DeviceRef>, Link>;
/// Stores the links, and for one whose other direction is missing (a row that is cut off) also that: a path is the
/// same both ways.
void set_links(Machine& m, LinkMap links);

}  // namespace numapin
