// Whose children are whose, from /proc.
#pragma once

#include <vector>

#include "numapin/file_tree.h"

namespace numapin::cli {

/// The children of a process, of all its threads. Empty where the kernel has no lists of them (CONFIG_PROC_CHILDREN).
std::vector<int> children_of(const FileTree& tree, int pid);
/// The process, its children, theirs, and so on.
std::vector<int> family_of(const FileTree& tree, int pid);

}  // namespace numapin::cli
