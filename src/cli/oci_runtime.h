#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace numapin::cli {

/// numapin oci-runtime: an OCI runtime that places containers with GPUs and then is runc or crun.
Runner add_oci_runtime(CLI::App& app);
/// The same with the arguments that an engine gives a runtime, as they are. Returns only when no runtime could be started.
int run_oci_runtime(Session& s, const std::vector<std::string>& args);
/// The program was called by a name that says so: "numapin-runtime", "numapin-oci-runtime".
bool is_runtime_name(std::string_view program);

}  // namespace numapin::cli
