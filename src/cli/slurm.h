#pragma once

#include <string>

#include "cli/command.h"
#include "numapin/machine.h"

namespace numapin::cli {

struct SlurmOptions {
  std::string what, job, machine, node, slurm_conf, gres_conf;
  bool self = false, json = false;
};

Runner add_slurm(CLI::App& app);
int run_slurm_check(Session& s, const SlurmOptions& o);    // slurm_check.cc
int run_slurm_explain(Session& s, const SlurmOptions& o);  // slurm_explain.cc
/// --node, $SLURMD_NODENAME inside a job, or the host's name without its domain.
std::string slurm_node_name(const Session& s, const SlurmOptions& o, const Machine& m);

}  // namespace numapin::cli
