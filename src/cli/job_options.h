// What `plan` and `launch` ask of a placement: the same options, the same answer.
#pragma once

#include <string>
#include <vector>

#include "numapin/plan.h"
#include "numapin/result.h"

namespace CLI {
class App;
}

namespace numapin::cli {

struct Session;

struct JobOptions {
  std::string gpus = "all";     ///< --gpus all|none|N|LIST
  std::string gpu;              ///< --gpu LIST: by name, so that one number is an index
  int processes = 0;            ///< --nproc; 0: not given
  int processes_per_gpu = 1;
  std::string cpus = "exclusive", smt = "on", memory, profile, worker_cores, visible = "own";
  int reserve = 0;
  std::string machine, measured;
};

void add_job_options(CLI::App& app, JobOptions& o);

struct PlannedJob {
  System system;
  Plan plan;
  std::vector<std::string> because;  ///< how its GPUs were chosen
};
/// Errors: those of the machine, of the GPU selection and of make_plan.
Result<PlannedJob> plan_job(const JobOptions& o, const Session& session);
/// The same on a machine that was read already.
Result<PlannedJob> plan_job(const JobOptions& o, System system, const Session& session);
/// For people: one line a rank, with `explain` the reasons too.
std::string text_of(const PlannedJob& planned, bool explain);
/// The plan's notes and the ranks' warnings on session.err; one that several ranks have is said once.
void warn_once(const Session& session, const Plan& plan);

}  // namespace numapin::cli
