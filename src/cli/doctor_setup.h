// Fills a Setup from the live system, for doctor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/doctor.h"

namespace numapin::cli {

struct Session;

struct DoctorTargets {
  std::string gpu;                   ///< --gpu; "": what is visible
  std::vector<int> pids;
  std::vector<std::string> command;  ///< to be judged, not started
};

/// Machine, kernel, devices, software, and as subjects the processes named, the command, or else this shell.
/// Errors: the machine cannot be read, no such process or GPU, a command whose binding cannot be told from here.
Result<Setup> read_setup(const DoctorTargets& targets, const Session& session, std::vector<std::string>& notes);

/// The command as if it had been started by `shell`: what env, taskset, numactl, numapin run, docker run and the like in
/// front of it would change. Error kUnsupported for launchers that bind anew (srun, mpirun, ...).
Result<Subject> imagine(const Subject& shell, const std::vector<std::string>& words, const Machine& m, const Session& session);

}  // namespace numapin::cli
