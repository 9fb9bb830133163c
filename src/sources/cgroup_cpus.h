// What a process's cgroup allows, whatever its own mask says.
#pragma once

#include <string_view>

#include "numapin/file_tree.h"
#include "numapin/machine.h"

namespace numapin {

/// The CPUs of the cpuset; unknown where the process is in the root cgroup, or no cpuset is seen.
Fact<CpuSet> read_cgroup_cpus(const FileTree& tree, std::string_view pid = "self");

}  // namespace numapin
