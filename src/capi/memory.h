// Puts a range of this process's memory beside a GPU and says where it came to lie.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "capi/request.h"
#include "os/memory_range.h"

namespace numapin::capi {

struct MemoryReport {
  NodeSet nodes;                    ///< where it was to go; empty: unknown
  MemoryPolicy policy;              ///< of the range; kNone: refused, or not asked for
  std::optional<RangeNodes> found;  ///< nothing: the kernel does not tell
  std::vector<std::string> because, warnings;
  std::vector<Error> losses;
};

Result<MemoryReport> place_memory(const System& system, void* start, std::size_t bytes, const Request& request);

/// Schema numapin/memory/1 (docs/json.md).
std::string to_json(const MemoryReport& report);
std::string to_json(const RangeNodes& found);

}  // namespace numapin::capi
