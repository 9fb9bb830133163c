// What a cgroup allows: a process's, whatever its own mask says, or one that no process is in yet.
#pragma once

#include <string>
#include <string_view>

#include "numapin/file_tree.h"
#include "numapin/machine.h"

namespace numapin {

/// The cpuset of the cgroup at `cgroup` ("/kubepods.slice"), or of the nearest one above it that has one (v1, v2 or both).
Allowance read_cgroup_allowance(const FileTree& tree, const std::string& cgroup);
/// The CPUs of a process's cpuset; unknown where it is in the root cgroup, or no cpuset is seen.
Fact<CpuSet> read_cgroup_cpus(const FileTree& tree, std::string_view pid = "self");

}  // namespace numapin
