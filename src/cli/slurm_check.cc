// numapin slurm check: a site's files against the machine.
#include <fmt/format.h>

#include <filesystem>

#include "cli/session.h"
#include "cli/slurm.h"
#include "cli/text_file.h"
#include "diagnose/check_slurm.h"
#include "gpu/nvml.h"
#include "render/slurm.h"
#include "sources/setup.h"

namespace numapin::cli {
namespace {

std::optional<std::string> beside(const std::string& file, const std::string& name, std::string& path) {
  path = (std::filesystem::path(file).parent_path() / name).string();
  auto text = read_text_file(path);
  return text ? std::optional(std::move(*text)) : std::nullopt;
}

/// The named files, or those that slurmd would read here.
Result<SlurmSite> read_site(const Session& s, const SlurmOptions& o, const Machine& m) {
  SlurmSite site;
  site.host = slurm_node_name(s, o, m);
  if (o.slurm_conf.empty()) {
    auto facts = read_software_facts(s.live, {}, nullptr, true, s.env);
    if (!facts.slurm_conf)
      return fail(Error::Kind::kNotFound, "find slurm.conf: neither $SLURM_CONF nor /etc/slurm/slurm.conf can be read", "name it: --slurm-conf FILE");
    site.slurm_conf = std::move(*facts.slurm_conf);
    site.slurm_conf_path = std::move(facts.slurm_conf_path);
  } else {
    NUMAPIN_TRY(site.slurm_conf, read_text_file(o.slurm_conf));
    site.slurm_conf_path = o.slurm_conf;
  }
  std::string ignored;
  site.gres_conf = beside(site.slurm_conf_path, "gres.conf", site.gres_conf_path);
  if (!o.gres_conf.empty()) {
    NUMAPIN_TRY(site.gres_conf, read_text_file(o.gres_conf));
    site.gres_conf_path = o.gres_conf;
  }
  site.cgroup_conf = beside(site.slurm_conf_path, "cgroup.conf", ignored);
  site.plugstack = beside(site.slurm_conf_path, "plugstack.conf", ignored);
  return site;
}

}  // namespace

int run_slurm_check(Session& s, const SlurmOptions& o) {
  const auto system = s.system(o.machine);
  if (!system) return s.report(system.error());
  const auto site = read_site(s, o, system->machine);
  if (!site) return s.report(site.error());
  const auto findings = check_slurm(system->machine, *site);
  s.out << (o.json ? to_json(findings) : slurm_check_text(findings, *site, {s.width, s.unicode_out, s.color_out}));
  const bool found = !findings.findings.empty() && findings.findings.front().severity != Severity::kNote;
  return found ? kFailed : kDone;
}

}  // namespace numapin::cli
