// `slurm check` and `slurm explain` for people.
#pragma once

#include <string>

#include "diagnose/check_slurm.h"
#include "diagnose/slurm_explain.h"
#include "render/topo.h"

namespace numapin {

std::string slurm_check_text(const SlurmFindings& f, const SlurmSite& site, const TextStyle& style);
std::string slurm_explain_text(const Machine& m, const SlurmExplanation& e, const TextStyle& style);

}  // namespace numapin
