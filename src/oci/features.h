// What a runtime can do, as `RUNTIME features` says.
#pragma once

#include <string>
#include <string_view>

namespace numapin::oci {

/// linux.memoryPolicy may have this mode ("MPOL_BIND") with static nodes: runc 1.4 and later, crun 1.24 and later.
bool sets_memory_mode(std::string_view features, const std::string& mode);

}  // namespace numapin::oci
