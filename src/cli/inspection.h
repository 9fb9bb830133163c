// Looks at processes one by one and judges each: what `inspect` and `report` show.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "numapin/process.h"
#include "render/inspect.h"

namespace numapin::cli {

/// How a process's memory is found out: counted, estimated from a sample, or estimated where counting would take long.
enum class Counting { kAsNeeded, kExact, kSample };

struct Inspector {
  const FileTree& tree;
  const Machine& machine;
  std::map<int, std::vector<int>> gpus_of;  // what the driver says
  std::multimap<int, int> children;
  std::set<int> seen;
  std::vector<Inspection> list;
  Counting counting = Counting::kAsNeeded;

  /// Adds the process and, `with_children`, those below it; `inherited` are the GPUs of the process above.
  Result<void> add(int pid, int depth, bool with_children, const std::vector<int>& inherited);
  /// Adds every process that uses a GPU, and those below it, but not this one.
  void add_users(const GpuUsers& users);
  /// Of the processes in the list: a worker bound to the second threads of its parent's cores.
  void tell_of_shared_cores();
};

Inspector make_inspector(const FileTree& tree, const Machine& machine, const GpuUsers& users);

}  // namespace numapin::cli
