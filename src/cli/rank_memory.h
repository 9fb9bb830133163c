// Where the memory of a launch's ranks is, while they run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "numapin/file_tree.h"
#include "numapin/plan.h"

namespace numapin::cli {

/// Memory of a rank and its descendants, without page cache of files.
struct RankMemory {
  std::uint64_t total_bytes = 0;
  std::uint64_t elsewhere_bytes = 0;  ///< on nodes that its placement does not name
};

/// Reads the numa_maps of all of them: seconds, where they have much memory. A line a rank that could be read.
std::string look_at_memory(const FileTree& tree, const Plan& plan, const std::vector<int>& pids);
/// What look_at_memory() returned, into `seen` by rank; ranks that it says nothing of keep what they have.
void take_memory(const std::string& text, std::vector<std::optional<RankMemory>>& seen);

}  // namespace numapin::cli
