// Where `run` puts the command: from GPUs, from numactl's options, or from both.
#pragma once

#include <string>
#include <vector>

#include "cli/run_options.h"
#include "numapin/perform.h"
#include "numapin/plan.h"

namespace numapin::cli {

struct Session;

struct RunPlacement {
  Placement placement;
  std::vector<std::string> shortfalls;  ///< of the warnings: what is less than was asked for; --strict stops at one
  std::string subject;  ///< "GPU 0 → node 0"; "" where only numactl's options were given
};

/// Errors: those of the GPU selection, of make_plan and of numactl's options.
Result<RunPlacement> place(RunOptions options, const Session& session, Kernel& kernel);

/// The JSON document of `run --dry-run --json`, schema "numapin/run/1" (docs/json.md).
std::string run_json(const RunPlacement& where, const std::vector<std::string>& words);

}  // namespace numapin::cli
