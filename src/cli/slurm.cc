// numapin slurm: files for Slurm, files of Slurm, and what it gave a job.
#include "cli/slurm.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/options.h"
#include "cli/session.h"
#include "cli/variable.h"
#include "plan/slurm_node.h"

namespace numapin::cli {
namespace {

int run_gres(Session& s, const SlurmOptions& o) {
  const auto system = s.system(o.machine);
  if (!system) return s.report(system.error());
  const auto node = slurm_node(system->machine, slurm_node_name(s, o, system->machine));
  if (!node) return s.report(node.error());
  s.out << (o.json ? to_json(*node) : slurm_conf_text(*node));
  return kDone;
}

/// What the parser cannot say: each WHAT has options of its own.
Result<void> check_options(const SlurmOptions& o) {
  if (o.what != "explain" && (o.self || !o.job.empty())) return bad_input("slurm " + o.what + ": it takes no job", "numapin slurm explain JOBID");
  if (o.what == "explain" && o.self != o.job.empty())
    return bad_input("slurm explain: which job?", "numapin slurm explain JOBID, or inside a job step: numapin slurm explain --self");
  if (o.self && !o.machine.empty()) return bad_input("slurm explain --self: a task has no recorded machine", "leave out --machine, or name a job by its number");
  if (o.what != "check" && (!o.slurm_conf.empty() || !o.gres_conf.empty())) return bad_input("slurm " + o.what + ": it reads no slurm.conf", "numapin slurm check");
  return {};
}

int run_slurm(Session& s, const SlurmOptions& o) {
  if (const auto fine = check_options(o); !fine) return s.report(fine.error());
  if (o.what == "gres") return run_gres(s, o);
  return o.what == "check" ? run_slurm_check(s, o) : run_slurm_explain(s, o);
}

}  // namespace

std::string slurm_node_name(const Session& s, const SlurmOptions& o, const Machine& m) {
  if (!o.node.empty()) return o.node;
  if (const auto name = variable(s, "SLURMD_NODENAME"); name && o.machine.empty()) return *name;
  const auto host = m.hostname.value_or("NODE");
  return host.substr(0, host.find('.'));
}

Runner add_slurm(CLI::App& app) {
  auto o = std::make_shared<SlurmOptions>();
  app.add_option("WHAT", o->what,
                 "gres: gres.conf and the NodeName line of this machine; check: this site's slurm.conf and gres.conf against the machine; "
                 "explain: what Slurm gave a job here, what its GPUs' node would want, the srun line for it")
      ->required()->check(one_of({"gres", "check", "explain"}));
  app.add_option("JOBID", o->job, "explain: a job that runs on this node (scontrol tells its CPUs and GPUs)");
  app.add_flag("--self", o->self, "explain: the task that this very command is");
  add_machine_option(app, o->machine);
  app.add_option("--node", o->node, "The node's name in Slurm (default: $SLURMD_NODENAME, or the host's name)")->type_name("NAME");
  app.add_option("--slurm-conf", o->slurm_conf, "check: this file (default: $SLURM_CONF, /etc/slurm/slurm.conf, ...); the others lie beside it")->type_name("FILE");
  app.add_option("--gres-conf", o->gres_conf, "check: this file (default: gres.conf beside slurm.conf)")->type_name("FILE");
  add_json_flag(app, o->json);
  set_examples(app,
               "  numapin slurm gres                          lines for gres.conf and slurm.conf\n"
               "  numapin slurm gres --machine dgx-h100       of a recorded or built-in machine\n"
               "  numapin slurm check                         does Slurm know where the GPUs are?\n"
               "  srun --gpus-per-task=1 numapin slurm explain --self\n"
               "  numapin slurm explain 4711                  on the node where the job runs\n");
  return [o](Session& s) { return run_slurm(s, *o); };
}

}  // namespace numapin::cli
