// A site's slurm.conf and gres.conf against the machine: what Slurm believes of it, and what it will do with GPU jobs.
#pragma once

#include <string>
#include <vector>

#include "numapin/doctor.h"

namespace numapin {

/// The files of a site as they are on a node; `host` is the node's name in them.
struct SlurmSite {
  std::string host;
  std::string slurm_conf, slurm_conf_path;
  std::optional<std::string> gres_conf, cgroup_conf, plugstack;
  std::string gres_conf_path;
};

struct SlurmFindings {
  std::vector<Finding> findings;      ///< worst first
  std::vector<std::string> fine;      ///< what was looked at and is well
  std::vector<std::string> unknown;   ///< what could not be judged, and why
};
SlurmFindings check_slurm(const Machine& m, const SlurmSite& site);
/// Schema numapin/slurm-check/1 (docs/json.md).
std::string to_json(const SlurmFindings& f);

// ---- shared with doctor's checks ----------------------------------------------------------------------------------------
namespace doctor {
/// TaskPlugin without task/affinity; nothing where it is fine or not named.
std::optional<Finding> task_plugin_finding(const SoftwareFacts& s);
/// Lines of gres.conf whose Cores are not those of their GPUs' nodes. `judged`: a line was of a GPU whose node is known.
/// With `guess`, device numbers that no source tells are taken to be in PCI order.
std::vector<Finding> gres_core_findings(const Machine& m, const std::string& gres_conf, const std::string& path, const std::string& host, bool guess,
                                        bool& judged);
}  // namespace doctor

}  // namespace numapin
