// The scale of distances between nodes.
#pragma once

namespace numapin {

/// ACPI System Locality Information Table: a node's distance to itself, by definition.
constexpr int kLocalDistance = 10;

}  // namespace numapin
