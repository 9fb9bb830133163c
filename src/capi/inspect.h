// A process, and below it what descends from it, each judged against its GPUs.
#pragma once

#include <vector>

#include "capi/request.h"
#include "numapin/file_tree.h"
#include "numapin/process.h"
#include "render/inspect.h"

namespace numapin::capi {

/// `nvml` may be null. Error kNotFound where there is no such process.
Result<std::vector<Inspection>> inspect(const FileTree& live, const System& system, const NvmlApi* nvml, const Request& request);

}  // namespace numapin::capi
