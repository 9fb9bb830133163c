// What `rebind` was asked for.
#pragma once

#include <string>

namespace numapin::cli {

struct RebindOptions {
  int pid = 0;                        ///< 0: not given
  bool all_gpu = false;
  std::string gpu, node, cpu_list;    ///< where to, named by hand
  std::string cpus, memory;           ///< CPU scope; "none", or the nodes that pages go to
  bool cpus_only = false, force = false, no_children = false, dry_run = false, json = false;
  std::string undo, state;

  bool names_target() const { return !(gpu.empty() && node.empty() && cpu_list.empty()); }
};

}  // namespace numapin::cli
