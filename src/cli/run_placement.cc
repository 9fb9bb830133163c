#include "cli/run_placement.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/crowd.h"
#include "cli/numactl_options.h"
#include "cli/session.h"
#include "numapin/sources.h"
#include "numapin/visible.h"
#include "plan/local_rank.h"
#include "plan/policy_text.h"
#include "sources/container.h"

namespace numapin::cli {
namespace {

std::optional<std::string_view> gpu_spec(const RunOptions& o) {
  if (o.gpu.empty()) return std::nullopt;
  return o.gpu;
}

Job read_job(const RunOptions& o, std::vector<ChosenGpu> gpus) {
  Job job;
  job.gpus = std::move(gpus);
  if (!o.profile.empty()) apply_profile(*parse_profile(o.profile), job);
  // The words were checked when the options were parsed.
  if (!o.cpus.empty()) job.cpus = *parse_cpu_scope(o.cpus);
  if (!o.memory.empty()) job.memory = *parse_memory_mode(o.memory);
  if (!o.smt.empty()) job.smt = o.smt == "on";
  return job;
}

std::string subject_of(const Machine& m, const Placement& p, bool named) {
  if (p.gpus.empty()) return "no GPU";
  CpuSet numbers;  // for its way to write a list
  for (int gpu : p.gpus) numbers.insert(static_cast<CpuId>(gpu));
  const std::string gpus = fmt::format("GPU{} {}{}", numbers.size() == 1 ? "" : "s", numbers.to_list(),
                                       named || numbers.size() == 1 ? "" : " (all that are visible)");
  NodeSet nodes = p.near_nodes;
  if (nodes.empty()) {
    for (int index : p.gpus) {
      if (const auto& known = m.gpus.at(static_cast<std::size_t>(index)).numa_nodes) nodes |= *known;
    }
  }
  return gpus + " → " + (nodes.empty() ? "node unknown" : node_words(nodes));
}

constexpr std::string_view kLocalRank = "local-rank";

/// `--gpu local-rank` with the number in its place. Nothing where something else was asked for.
Result<std::optional<LocalRank>> settle_local_rank(RunOptions& o, const Session& session) {
  if (o.gpu != kLocalRank) return std::optional<LocalRank>{};
  auto found = find_local_rank(session.env);
  if (!found)
    return bad_input("find the GPU of the local rank: no launcher's variable is set",
                     "start it by mpirun, srun, flux or torchrun --no-python; or set LOCAL_RANK (docs/launch.md lists all)");
  o.gpu = std::to_string(found->rank);
  return found;
}

void tell_local_rank(const LocalRank& local, Placement& p) {
  p.because.insert(p.because.begin(), fmt::format("local rank {}: from {}", local.rank, local.variable));
  // set_device(LOCAL_RANK), in most scripts for torchrun, has no device of that number where one alone is visible.
  p.because.push_back("visible GPUs left as they are: inside a launcher a program picks its own by its local rank");
  if (local.differing.empty()) return;
  p.warnings.insert(p.warnings.begin(), fmt::format("local rank {} from {}, though {}", local.rank, local.variable,
                                                    join(local.differing, ", ")));
}

/// srun --gpus-per-task and the like leave each process one GPU, which is then number 0 in every rank.
Error in_local_rank(Error e, const LocalRank& local) {
  e.message = fmt::format("local rank {} from {}: {}", local.rank, local.variable, e.message);
  if (!e.hint.empty()) e.hint += "; ";
  e.hint += "where the launcher gave each process a GPU of its own already, leave --gpu away";
  return e;
}

/// What only the outside can mend of a container whose cpuset lacks the GPUs' nodes; nothing where it has them, or where
/// this is no container.
std::optional<std::string> outer_hint(const System& system, const Placement& p, const Session& session) {
  const Machine& m = system.machine;
  const auto& a = system.allowance;
  const CpuSet cpus = cpus_of(m, p.near_nodes) & online_cpus(m);
  const NodeSet mems = p.near_nodes & dram_nodes(m);
  const bool no_cpu = a.cpus && !cpus.empty() && !a.cpus->intersects(cpus);
  const bool no_memory = a.mems && !a.mems->contains(mems);
  if (!no_cpu && !no_memory) return std::nullopt;
  const auto container = read_own_container(session.live, session.env);
  if (!container) return std::nullopt;
  return fmt::format("this is {}; its cpuset can be changed from outside only: {}", describe(*container),
                     outer_command(*container, no_cpu ? cpus : CpuSet{}, no_memory ? *a.mems | mems : NodeSet{}));
}

Result<RunPlacement> near_gpus(const RunOptions& o, const System& system, const Session& session, bool keep_visible) {
  const Machine& m = system.machine;
  NUMAPIN_TRY(auto choice, choose_gpus(m, system.allowance, gpu_spec(o)));
  auto job = read_job(o, choice.gpus);
  job.set_visible = choice.named && !keep_visible;  // not named: the environment says already what is visible
  NUMAPIN_TRY(auto plan, make_plan(m, system.allowance, job));
  RunPlacement where;
  where.placement = std::move(plan.placements.at(0));
  auto& p = where.placement;
  where.shortfalls = p.warnings;
  if (o.machine.empty())
    if (auto hint = outer_hint(system, p, session)) p.warnings.push_back(std::move(*hint));
  p.because.insert(p.because.begin(), choice.because.begin(), choice.because.end());
  p.warnings.insert(p.warnings.begin(), choice.warnings.begin(), choice.warnings.end());
  p.warnings.insert(p.warnings.end(), plan.notes.begin(), plan.notes.end());
  where.subject = subject_of(m, p, choice.named);
  return where;
}

/// What numactl's and taskset's options name stands above what follows from the GPU.
Result<void> apply_named(const RunOptions& o, const NumactlFacts& facts, Placement& p) {
  if (o.names_cpus()) {
    NUMAPIN_TRY(p.cpus, named_cpus(o, facts));
    if (o.smt == "off") {
      NUMAPIN_TRY(p.cpus, one_cpu_per_core(p.cpus, facts));
    }
    p.because.push_back(fmt::format("CPUs {}: named on the command line, above all else", p.cpus.to_list()));
  }
  if (o.names_memory()) {
    NUMAPIN_TRY(p.memory, named_memory(o, facts));
    p.because.push_back(fmt::format("memory {}: named on the command line, above all else", describe(p.memory)));
  }
  if (o.balancing && p.memory.mode != MemoryMode::kBind) {
    p.warnings.push_back("--balancing has no effect without --membind (as in numactl)");
  }
  return {};
}

/// The default mode needs the GPU's node and the node's CPUs, which a few small files tell. Cores, caches, packages and
/// other nodes need the whole machine.
bool is_narrow(const RunOptions& o) {
  return o.machine.empty() && o.smt != "off" && (o.profile.empty() || o.profile == "training") &&
         (o.cpus.empty() || o.cpus == "node" || o.cpus == "none");
}

Result<System> read_system(const RunOptions& o, const Session& session) {
  if (is_narrow(o)) {
    if (auto system = discover_narrow(session.live, session.visible_env(), gpu_spec(o))) return std::move(*system);
  }
  return session.system(o.machine);
}

}  // namespace

Result<RunPlacement> place(RunOptions o, const Session& session, Kernel& kernel) {
  RunPlacement where;
  NUMAPIN_TRY(const auto local_rank, settle_local_rank(o, session));
  if (!o.is_about_gpus() && o.machine.empty()) {
    NUMAPIN_CHECK_OK(apply_named(o, *live_facts(session.live, kernel), where.placement));
    return where;
  }
  NUMAPIN_TRY(const auto system, read_system(o, session));
  if (o.is_about_gpus()) {
    auto found = near_gpus(o, system, session, local_rank.has_value());
    if (!found) return Unexpected(local_rank ? in_local_rank(found.error(), *local_rank) : found.error());
    where = std::move(*found);
    if (local_rank) tell_local_rank(*local_rank, where.placement);
    if (local_rank && o.machine.empty())
      if (auto crowd = crowd_warning(session.live, system, *local_rank)) where.placement.warnings.push_back(std::move(*crowd));
  }
  const auto facts = o.machine.empty() ? live_facts(session.live, kernel) : recorded_facts(system);
  NUMAPIN_CHECK_OK(apply_named(o, *facts, where.placement));
  return where;
}

}  // namespace numapin::cli
