// One run of the user's command under one placement, with all that tells why it took what it took.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/compare.h"
#include "numapin/plan.h"

namespace numapin::cli {

struct Session;

struct TrialSpec {
  std::string file;                ///< the program, as find_program() gave it
  std::vector<std::string> words;
  const Plan* plan = nullptr;
  const std::vector<MetricSpec>* metrics = nullptr;
};

struct TrialResult {
  Trial trial;
  int told_to_end_by = 0;  ///< signal number: the user wants no more runs
};

/// Inside run_guarded(). Error: the command could not be started at all.
Result<TrialResult> run_trial(const TrialSpec& spec, const Session& session);

}  // namespace numapin::cli
