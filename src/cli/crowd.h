// Ranks that another launcher squeezed onto too few CPUs: seen from one of them.
#pragma once

#include <optional>
#include <string>

#include "numapin/file_tree.h"
#include "numapin/machine.h"
#include "plan/local_rank.h"

namespace numapin::cli {

/// What to say when the processes that were started beside this one have its CPUs and no others, and are more than these
/// CPUs, while the machine has more: numapin never widens a mask, so that must be mended where it was made. Looked up
/// in /proc: a launcher's ranks are the children of one process. Nothing where they do not share, or nobody can tell.
std::optional<std::string> crowd_warning(const FileTree& tree, const System& system, const LocalRank& local);

}  // namespace numapin::cli
