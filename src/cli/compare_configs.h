// The placements that `compare` tries: from a name to a plan and the line a user would type for it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/job_options.h"
#include "numapin/compare.h"

namespace numapin::cli {

/// Every name that --configs takes, in the order of the help.
std::span<const std::string_view> config_names();

struct PlannedConfig {
  CompareConfig shown;
  Plan plan;
};

struct PlannedConfigs {
  std::vector<PlannedConfig> configs;
  std::vector<std::string> left_out;  ///< "'memory' comes to the same as 'none' here: one node has memory"
};

/// Plans each named configuration for the job. One that comes to the same placement as an earlier one is left out.
/// Errors: an unknown name, those of plan_job(); 'wrong' where there is no other node.
Result<PlannedConfigs> plan_configs(const std::vector<std::string>& names, const JobOptions& job,
                                    const std::vector<std::string>& command, const System& system, const Session& session);

}  // namespace numapin::cli
