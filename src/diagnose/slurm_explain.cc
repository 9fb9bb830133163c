#include "diagnose/slurm_explain.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "diagnose/result.h"
#include "diagnose/slurm_conf.h"
#include "plan/slurm_node.h"

namespace numapin {

using namespace doctor;

namespace {

/// The words of a line that says CPUs and GPUs of a task anew.
std::string srun_line(const SlurmGiven& g, const std::string& option) {
  auto line = std::string("srun");
  if (g.tasks) line += fmt::format(" --ntasks-per-node={}", *g.tasks);
  if (g.cpus_per_task && *g.cpus_per_task > 1) line += fmt::format(" --cpus-per-task={}", *g.cpus_per_task);
  return line + " " + option + " COMMAND";
}

struct Judge {
  const Machine& m;
  SlurmExplanation out;

  void cpus();
  void inheritance();
  void memory();
  void peers();
  bool outside_job(const CpuSet& usable);
  std::string gpus() const { return gpus_text(out.given.gpus); }
  std::string want() const { return fmt::format("{} {} on {}, CPUs {}", gpus(), out.given.gpus.size() == 1 ? "is" : "are", nodes_text(out.near), out.near_cpus.to_list()); }
};

/// The job itself has no CPU beside its GPUs: only another allocation helps.
bool Judge::outside_job(const CpuSet& usable) {
  if (usable.empty() || usable.intersects(out.near_cpus)) return false;
  out.wrong.push_back(fmt::format("the job has CPUs {} ({}), none beside its GPUs: {}", usable.to_list(), nodes_text(nodes_of(m, usable)), want()));
  out.notes.emplace_back("Slurm picks GPU and cores together only by the Cores= of gres.conf: 'numapin slurm check' tells whether they are right");
  out.line = "sbatch --gres-flags=enforce-binding ...";
  return true;
}

void Judge::cpus() {
  const auto& g = out.given;
  if (outside_job(g.job_cpus)) return;
  const auto usable = g.task_cpus.value_or(g.job_cpus);
  if (usable.empty()) {
    out.notes.emplace_back("the CPUs of the job are not known here");
    return;
  }
  const auto right = usable & out.near_cpus;
  if (right.empty()) {
    out.wrong.push_back(fmt::format("this task runs on CPUs {} ({}), though the job has {} beside the GPU", usable.to_list(), nodes_text(nodes_of(m, usable)),
                                    (g.job_cpus & out.near_cpus).to_list()));
    out.line = srun_line(g, "--cpu-bind=none numapin run --");
    return;
  }
  if (right == usable) return;
  out.wrong.push_back(fmt::format("CPUs {} reach beyond {}: threads may run far from the GPU", usable.to_list(), nodes_text(out.near)));
  out.line = srun_line(g, "numapin run --");
}

/// Since 22.05 a step gets one CPU a task unless it says more.
void Judge::inheritance() {
  const auto& g = out.given;
  if (!g.is_step || !g.cpus_per_task || !g.task_cpus || g.task_cpus->size() >= *g.cpus_per_task) return;
  out.wrong.push_back(fmt::format("{} asked for {} CPUs a task, this task has {}: since Slurm 22.05 srun does not take --cpus-per-task from sbatch or salloc",
                                  "the job", *g.cpus_per_task, g.task_cpus->size()));
  out.notes.emplace_back("or once in the script: export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK");
  if (out.line.empty()) out.line = srun_line(g, "numapin run --");
}

void Judge::memory() {
  const auto& g = out.given;
  const auto near_memory = out.near & memory_nodes(m);
  if (g.mems && !near_memory.empty() && !g.mems->intersects(near_memory))
    out.wrong.push_back(fmt::format("memory may come from {} only, and {} is on {}", nodes_text(*g.mems), gpus(), nodes_text(out.near)));
  if (g.policy.empty() || memory_nodes(m).size() < 2) return;
  const auto policy = parse_policy(g.policy);
  if (policy.mode == "default" || policy.mode == "local") {
    out.notes.emplace_back("memory comes from the node a thread runs on, while that has free pages");
    if (out.line.empty() && !out.wrong.empty()) out.line = srun_line(g, "numapin run --");
  } else if (!policy.nodes.empty() && !policy.nodes.intersects(near_memory)) {
    out.wrong.push_back(fmt::format("memory policy {}: away from {} of {}", g.policy, nodes_text(out.near), gpus()));
    if (out.line.empty()) out.line = srun_line(g, "--mem-bind=none numapin run --");
  }
}

void Judge::peers() {
  const auto& g = out.given;
  if (g.may_open_others || g.gpus.size() != 1 || g.tasks.value_or(1) < 2) return;
  out.notes.emplace_back("the other GPUs' device files are closed to this task: no peer access (CUDA IPC, NCCL's P2P) between the tasks of this node. With "
                         "--gpus-per-node instead of --gpus-per-task, or --gpu-bind=none, each task sees all and picks its own (numapin run --gpu "
                         "$SLURM_LOCALID)");
}

}  // namespace

SlurmExplanation explain_slurm(const Machine& m, SlurmGiven given) {
  Judge judge{m, {}};
  auto& out = judge.out;
  out.given = std::move(given);
  out.notes = out.given.warnings;
  if (out.given.gpus.empty()) {
    out.notes.emplace_back("no GPU: nothing to be near to");
    judge.inheritance();
    return std::move(out);
  }
  const auto near = near_nodes(m, out.given.gpus);
  if (!near) {
    out.notes.push_back(fmt::format("the node of {} is not known: 'numapin topo' says why", judge.gpus()));
    judge.inheritance();
    return std::move(out);
  }
  out.near = *near;
  out.near_cpus = cpus_of(m, *near);
  judge.cpus();
  judge.inheritance();
  judge.memory();
  judge.peers();
  return std::move(out);
}

// ---- scontrol show job -d ----------------------------------------------------------------------------------------------

namespace {

/// "gpu:fake:2(IDX:0-1),gpu:b:1(IDX:3)" -> 0,1,3, counted over the node
CpuSet gres_indices(std::string_view gres) {
  CpuSet out;
  constexpr std::string_view kIdx = "(IDX:";
  for (std::size_t at = 0; (at = gres.find("gpu", at)) != gres.npos;) {
    const auto open = gres.find(kIdx, at), close = gres.find(')', at);
    if (open == gres.npos || close == gres.npos || close < open) break;
    if (const auto set = CpuSet::parse(gres.substr(open + kIdx.size(), close - open - kIdx.size()))) out |= *set;
    at = close;
  }
  return out;
}

/// CPU_IDs count each core's threads one after the other, in Slurm's order of cores.
CpuSet kernel_cpus(const Machine& m, const CpuSet& ids) {
  int threads = 1;
  for (const auto& core : m.cores) threads = std::max(threads, core.cpus.size());
  CpuSet cores;
  for (const auto id : ids) cores.insert(CpuId{number(id) / threads});
  return cpus_of_slurm_cores(m, cores);
}

}  // namespace

Result<SlurmGiven> parse_scontrol_job(std::string_view text, const Machine& m, const std::string& node) {
  SlurmGiven given;
  bool found = false;
  std::string nodes;
  for (const auto& line : conf_lines(text)) {
    if (const auto id = line.value("JobId")) given.what = "job " + *id;
    if (const auto per_task = line.value("CPUs/Task"))
      if (const auto n = parse_number<int>(*per_task)) given.cpus_per_task = *n;
    const auto names = line.value("Nodes"), cpu_ids = line.value("CPU_IDs");
    if (!names || !cpu_ids) continue;
    nodes += (nodes.empty() ? "" : ", ") + *names;
    if (!names_host(*names, node)) continue;
    found = true;
    if (const auto ids = CpuSet::parse(*cpu_ids)) given.job_cpus = kernel_cpus(m, *ids);
    const auto gres = line.value("GRES").value_or("");
    for (const auto index : gres_indices(gres))
      if (static_cast<std::size_t>(number(index)) < m.gpus.size()) given.gpus.push_back(m.gpus[static_cast<std::size_t>(number(index))].index);
    given.because.push_back(fmt::format("scontrol: {} has CPU_IDs={} and GRES={}", node, *cpu_ids, gres.empty() ? "(none)" : gres));
  }
  if (!found)
    return fail(Error::Kind::kNotFound, fmt::format("find {} on node {}: scontrol names {}", given.what.empty() ? "the job" : given.what, node, nodes.empty() ? "no node" : nodes),
                nodes.empty() ? "it has not started, or has ended" : "run it there, or name the node by --node, and its machine by --machine");
  return given;
}

}  // namespace numapin
