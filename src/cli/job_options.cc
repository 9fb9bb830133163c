#include "cli/job_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/numbers.h"
#include "cli/measured_file.h"
#include "cli/options.h"
#include "cli/session.h"
#include "numapin/visible.h"
#include "render/plan_text.h"
#include "sources/gpu_lists.h"

namespace numapin::cli {
namespace {

constexpr const char* kWhich = "which processes";
constexpr const char* kWhere = "where they go";

Result<GpuChoice> choose(const System& system, const JobOptions& o, const Session& session) {
  const auto& [m, allowance, disagreements] = system;
  if (!o.gpu.empty()) return choose_gpus(m, allowance, o.gpu);
  if (o.gpus == "all") return choose_gpus(m, allowance, std::nullopt);
  if (const auto count = parse_number<int>(o.gpus)) {
    if (!o.machine.empty()) return choose_best_connected(m, allowance, *count);  // of a recorded machine nothing is running
    return choose_best_connected(m, allowance, *count, sources::gpu_use(session.live, m, session.nvml()));
  }
  return choose_gpus(m, allowance, o.gpus);
}

Result<void> read_worker_cores(const std::string& text, Job& job) {
  if (text.empty()) return {};
  if (text == "auto") {
    job.auto_worker_cores = true;
    return {};
  }
  const auto count = parse_number<int>(text);
  if (!count || *count < 0)
    return bad_input(fmt::format("parse --worker-cores '{}': not a number of cores", text), "as in --worker-cores 4, or auto");
  job.worker_cores = *count;
  return {};
}

Result<Job> read_job(const JobOptions& o) {
  Job job;
  if (!o.profile.empty()) apply_profile(*parse_profile(o.profile), job);
  // These words were checked when the options were parsed.
  job.cpus = *parse_cpu_scope(o.cpus);
  if (!o.memory.empty()) job.memory = *parse_memory_mode(o.memory);
  if (o.smt == "off") job.smt = false;
  job.one_process_per_gpu = true;
  job.processes_per_gpu = o.processes_per_gpu;
  job.reserve_cores_per_node = o.reserve;
  job.set_visible = o.visible == "own";
  NUMAPIN_CHECK_OK(read_worker_cores(o.worker_cores, job));
  return job;
}

/// Every rank sees the GPUs of all ranks, in their order: the number of its own is its local rank.
void show_all_gpus(const System& system, const Job& job, Plan& plan) {
  const auto variables = visible_environment(system.machine, system.allowance, job.gpus);
  for (auto& p : plan.placements)
    for (const auto& [name, value] : variables) {
      p.because.push_back(fmt::format("{}={}: the GPUs of all ranks", name, value));
      p.env.emplace_back(name, value);
    }
  if (job.processes_per_gpu > 1)
    plan.notes.push_back("--visible all with several processes a GPU: LOCAL_RANK is not the number of a rank's GPU; NUMAPIN_RANK_GPU "
                         "tells which it is");
}

bool without_gpus(const JobOptions& o) { return o.gpu.empty() && (o.gpus == "none" || (o.processes > 0 && o.gpus == "all")); }

}  // namespace

void add_job_options(CLI::App& app, JobOptions& o) {
  auto* gpus = app.add_option("--gpus", o.gpus, "One process per GPU: all (default), none, a number N (the N best connected "
                                                "idle ones), or a list as 0-3 or UUIDs")
                   ->type_name("all|none|N|LIST")->group(kWhich);
  app.add_option("--gpu", o.gpu, "GPUs by index, UUID or PCI address; a single number is an index")
      ->type_name("LIST")->excludes(gpus)->group(kWhich);
  app.add_option("--nproc-per-gpu", o.processes_per_gpu, "Processes that share a GPU and its CPUs")
      ->check(number_from(1, 1024))->type_name("N")->group(kWhich);
  app.add_option("--nproc", o.processes, "Without GPUs: processes to share out over the NUMA nodes")
      ->check(number_from(1, 65536))->type_name("N")->group(kWhich);
  app.add_option("--cpus", o.cpus, "CPUs of each process: exclusive (default: cores of its own, counted over all GPUs of "
                                   "the node), node, socket, l3, spread, all, none")
      ->check(one_of({"node", "socket", "l3", "exclusive", "spread", "all", "none"}))->type_name("WORD")->group(kWhere);
  app.add_option("--smt", o.smt, "off: one logical CPU of each core; default on")
      ->check(one_of({"on", "off"}))->type_name("WORD")->group(kWhere);
  app.add_option("--memory", o.memory, "Memory of the GPU's node: preferred (default; spills when full), bind (never elsewhere), "
                                       "interleave, weighted-interleave, local, none")
      ->check(one_of({"preferred", "bind", "interleave", "weighted-interleave", "local", "none"}))->type_name("WORD")
      ->group(kWhere);
  app.add_option("--profile", o.profile, "training (the defaults), inference (bind, one thread a core), big-memory (interleave)")
      ->check(one_of({"training", "inference", "big-memory"}))->type_name("WORD")->group(kWhere);
  app.add_option("--reserve", o.reserve, "Physical cores of each node to leave to the system")
      ->check(number_from(0))->type_name("N")->group(kWhere);
  app.add_option("--worker-cores", o.worker_cores, "Cores of each share for data-loading workers (NUMAPIN_WORKER_CPUS)")
      ->type_name("N|auto")->group(kWhere);
  app.add_option("--visible", o.visible, "GPUs that each process sees: own (default): its own alone, as number 0; all: those of "
                                         "all ranks, its own as number LOCAL_RANK")
      ->check(one_of({"own", "all"}))->type_name("WORD")->group(kWhere);
  app.add_option("--machine", o.machine, "Plan for this recorded or built-in machine")->type_name("FILE|NAME");
  add_measured_option(app, o.measured);
}

Result<PlannedJob> plan_job(const JobOptions& o, const Session& session) {
  const bool needs_devices = !without_gpus(o) || !o.measured.empty();
  NUMAPIN_TRY(auto system, needs_devices ? session.system(o.machine) : session.system_without_devices(o.machine));
  return plan_job(o, std::move(system), session);
}

Result<PlannedJob> plan_job(const JobOptions& o, System system, const Session& session) {
  NUMAPIN_TRY(auto job, read_job(o));
  GpuChoice choice;
  NUMAPIN_TRY(const auto measured, read_measured(o.measured, system));
  if (!without_gpus(o)) {
    NUMAPIN_TRY(choice, choose(system, o, session));
    if (choice.gpus.empty())
      return fail(Error::Kind::kNotFound, "plan one process per GPU: no GPU is here, or none is visible",
                  "--nproc N shares N processes out over the NUMA nodes; `numapin topo` shows what is here");
    if (o.processes > 0)
      return bad_input("--nproc counts processes without GPUs; with --gpus it would say the number twice",
                       "give --nproc-per-gpu, or --gpus none --nproc N");
  } else {
    job.one_process_per_gpu = false;
    job.processes = std::max(1, o.processes);
  }
  job.gpus = choice.gpus;
  NUMAPIN_TRY(auto plan, make_plan(system.machine, system.allowance, job));
  if (o.visible == "all") show_all_gpus(system, job, plan);
  plan.notes.insert(plan.notes.begin(), choice.warnings.begin(), choice.warnings.end());
  return PlannedJob{std::move(system), std::move(plan), std::move(choice.because)};
}

std::string text_of(const PlannedJob& planned, bool explain) {
  std::string text;
  if (explain)
    for (const auto& reason : planned.because) text += fmt::format("because {}\n", reason);
  return text + plan_text(planned.plan, explain);
}

void warn_once(const Session& session, const Plan& plan) {
  std::vector<std::string> all = plan.notes;
  for (const auto& p : plan.placements) all.insert(all.end(), p.warnings.begin(), p.warnings.end());
  for (auto warning = all.begin(); warning != all.end(); ++warning) {
    if (std::find(all.begin(), warning, *warning) == warning) session.warn(*warning);
  }
}

}  // namespace numapin::cli
