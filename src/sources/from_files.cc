#include "sources/builder.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin {

Result<Machine> from_files(const FileTree& tree) {
  Machine m;
  NUMAPIN_CHECK_OK(sources::add_cpu_list(tree, m));
  sources::add_nodes(tree, m);
  sources::add_cores(tree, m);
  sources::add_names(tree, m);
  sources::add_pci(tree, m);
  sources::add_nvidia_proc(tree, m);
  sources::add_kfd(tree, m);
  drop_repeated_names(m);
  return m;
}

}  // namespace numapin
