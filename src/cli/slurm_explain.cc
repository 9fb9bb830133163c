// numapin slurm explain: a job by its number, or the task that this command is.
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/slurm.h"
#include "cli/variable.h"
#include "diagnose/slurm_explain.h"
#include "numapin/process.h"
#include "numapin/sources.h"
#include "os/gpu_files.h"
#include "os/output_of.h"
#include "plan/slurm_gpus.h"
#include "render/slurm.h"
#include "sources/cgroup.h"

namespace numapin::cli {
namespace {

constexpr std::size_t kMostBytes = 16 << 20;  // a job on thousands of nodes has a line for each
constexpr std::chrono::seconds kPatience{20};  // scontrol itself waits for a controller that is down: MessageTimeout is 10 s

std::optional<int> number_of(const Session& s, const std::string& name) {
  const auto text = variable(s, name);
  return text ? parse_number<int>(*text) : std::nullopt;
}

Result<std::string> ask_scontrol(const std::string& job) {
  auto text = output_of("scontrol", {"scontrol", "show", "job", "-d", job}, kPatience, kMostBytes, ErrorOutput::kJoined);
  if (text && text->find("JobId=") != text->npos) return text;
  return fail(Error::Kind::kNotFound, fmt::format("ask scontrol for job {}: {}", job, text ? "it knows none" : text.error().message),
              "on a node of the cluster, with $SLURM_CONF or /etc/slurm/slurm.conf");
}

/// "17", "17_3" (of an array), "17+1" (of a heterogeneous job)
bool is_job_number(const std::string& text) { return !text.empty() && text.find_first_not_of("0123456789_+") == text.npos; }

/// "2(x3),1": the tasks on the first node where it is the only one; else not told.
std::optional<int> tasks_here(const Session& s) {
  const auto text = variable(s, variable(s, "SLURM_STEP_TASKS_PER_NODE") ? "SLURM_STEP_TASKS_PER_NODE" : "SLURM_TASKS_PER_NODE");
  if (!text || text->find(',') != text->npos) return std::nullopt;
  return parse_number<int>(std::string_view(*text).substr(0, text->find('(')));
}

/// Its own cgroup's CPUs, or by scontrol, or, where nothing fences the job in, all.
void find_job_cpus(const Session& s, const Machine& m, const std::string& node, const Allowance& allowance, SlurmGiven& g) {
  const auto cpuset = read_cgroup_cpus(s.live);
  if (cpuset && allowance.cgroup.find("slurm") != std::string::npos) {
    g.job_cpus = *cpuset & online_cpus(m);
    g.because.push_back(fmt::format("cgroup {}: CPUs {}", allowance.cgroup, cpuset->to_list()));
    return;
  }
  if (const auto job = variable(s, "SLURM_JOB_ID"); job && is_job_number(*job))
    if (const auto text = ask_scontrol(*job))
      if (auto told = parse_scontrol_job(*text, m, node); told && !told->job_cpus.empty()) {
        g.job_cpus = told->job_cpus;
        g.because.push_back(fmt::format("{}, which no cpuset enforces", told->because.back()));
        return;
      }
  g.job_cpus = online_cpus(m);
  g.because.emplace_back("no cpuset of Slurm's confines the job");
}

Result<SlurmGiven> given_to_self(const Session& s, const SlurmOptions& o, const Machine& m) {
  if (!variable(s, "SLURM_JOB_ID")) return fail(Error::Kind::kUnsupported, "explain this task: no SLURM_JOB_ID, so this is no job", "srun numapin slurm explain --self");
  SlurmGiven g;
  // A batch script inherits none of a step's variables, and SLURM_LOCALID=0 from nobody.
  g.is_step = variable(s, "SLURM_STEP_ID") && variable(s, "SLURM_STEP_ID") != "4294967291";
  g.what = "job " + *variable(s, "SLURM_JOB_ID") + (g.is_step ? " step " + *variable(s, "SLURM_STEP_ID") + " task " + variable(s, "SLURM_PROCID").value_or("?") : " batch script");
  const auto allowance = read_allowance(s.live);
  find_job_cpus(s, m, slurm_node_name(s, o, m), allowance, g);
  if (allowance.cpus) g.task_cpus = *allowance.cpus & online_cpus(m);
  g.mems = allowance.mems.value;
  if (const auto self = read_process(s.live, getpid(), {.threads = false, .memory = true}); self && self->memory) g.policy = self->memory->policy;
  g.tasks = tasks_here(s);
  g.cpus_per_task = number_of(s, "SLURM_CPUS_PER_TASK");
  const auto files = find_gpu_files(m);
  NUMAPIN_TRY(const auto choice, slurm_gpus(m, {files.may_open, s.env}));
  for (const auto& gpu : choice.gpus)  // MIG instances of one GPU: that GPU once
    if (std::find(g.gpus.begin(), g.gpus.end(), gpu.gpu) == g.gpus.end()) g.gpus.push_back(gpu.gpu);
  for (const auto& [gpu, open] : files.may_open) g.may_open_others = g.may_open_others && open;
  g.because.insert(g.because.end(), files.notes.begin(), files.notes.end());
  g.because.insert(g.because.end(), choice.because.begin(), choice.because.end());
  g.warnings = choice.warnings;
  return g;
}

Result<SlurmGiven> given_to_job(const Session& s, const SlurmOptions& o, const Machine& m) {
  if (!is_job_number(o.job)) return bad_input("read job '" + o.job + "': no job number", "17, or 17_3 of an array");
  NUMAPIN_TRY(const auto text, ask_scontrol(o.job));
  return parse_scontrol_job(text, m, slurm_node_name(s, o, m));
}

}  // namespace

int run_slurm_explain(Session& s, const SlurmOptions& o) {
  const auto system = s.system(o.machine);
  if (!system) return s.report(system.error());
  const auto& m = system->machine;
  auto given = o.self ? given_to_self(s, o, m) : given_to_job(s, o, m);
  if (!given) return s.report(given.error());
  const auto e = explain_slurm(m, std::move(*given));
  s.out << (o.json ? to_json(e) : slurm_explain_text(m, e, {s.width, s.unicode_out, s.color_out}));
  return e.wrong.empty() ? kDone : kFailed;
}

}  // namespace numapin::cli
