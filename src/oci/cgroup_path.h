// Where a runtime will make a container's cgroup.
#pragma once

#include <string>
#include <string_view>

namespace numapin::oci {

/// The cgroup above the one that linux.cgroupsPath names: "/kubepods/besteffort/podX/ID", a systemd manager's
/// "slice:prefix:name", or a path below `own`, the runtime's own cgroup.
std::string parent_cgroup(std::string_view cgroups_path, std::string_view own);

}  // namespace numapin::oci
