// Splits a share into cores of the main process and of its data-loading workers.
#pragma once

#include "plan/ground.h"

namespace numapin {

/// Fills main_cpus, worker_cpus and the variables NUMAPIN_MAIN_CPUS and NUMAPIN_WORKER_CPUS where the job asks for it.
/// Preferred cores go to the main process. Error kBadInput where no core would be left for it.
Result<void> split_workers(const Ground& g, const Job& job, Placement& p);

}  // namespace numapin
