// Where the pages of a range of this process's memory are, and where they shall come from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "numapin/plan.h"
#include "numapin/process.h"
#include "numapin/result.h"

namespace numapin {

/// mbind(2) without moving anything; 0 or an errno value. Of a preferred-many that the kernel does not know, preferred.
int set_range_policy(void* start, std::size_t bytes, const MemoryPolicy& policy);

/// Writes to every page what is there already, so that it exists. A thread of its own does it, on `cpus` where that can
/// be (empty: anywhere): where mbind(2) is refused, first touch still puts the pages beside the CPU.
void touch_range(void* start, std::size_t bytes, const CpuSet& cpus);

struct RangeNodes {
  NodeBytes bytes;           ///< node -> bytes
  std::uint64_t absent = 0;  ///< bytes of pages that do not exist (yet)
};
/// By move_pages(2), page by page. Errors: kDenied (seccomp), kUnsupported (a kernel without NUMA), kSystem.
Result<RangeNodes> range_nodes(const void* start, std::size_t bytes);

}  // namespace numapin
