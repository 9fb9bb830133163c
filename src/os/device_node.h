// The NUMA node of a device named as numactl names it.
#pragma once

#include <string_view>

#include "numapin/file_tree.h"
#include "numapin/id_set.h"

namespace numapin {

/// The node(s) of "pci:[seg:]bus:dev[.func]", "netdev:DEV", "block:DEV", "file:PATH", "ip:HOST" on the machine whose
/// sysfs is `tree`. Looks at the device and then at what is above it. `file:` and `ip:` also ask the running system.
/// Errors: kNotFound (no such device), kUnsupported (the kernel does not know its node), kBadInput.
Result<NodeSet> device_nodes(std::string_view spec, const FileTree& tree);

}  // namespace numapin
