#include "capi/request.h"

#include <fmt/format.h>
#include <unistd.h>

#include "numapin/visible.h"
#include "plan/local_rank.h"
#include "plan/policy_text.h"
#include "plan/slurm_gpus.h"

namespace numapin::capi {
namespace {

struct Rank {
  int rank = 0;
  std::string from;                   ///< "LOCAL_RANK", "asked for"
  std::vector<std::string> warnings;
};

/// The rank asked for, or the launcher's where that was asked for and there is one.
std::optional<Rank> rank_of(const Request& r, const Environment& env) {
  if (r.local_rank) return Rank{*r.local_rank, "asked for", {}};
  if (!r.find_local_rank) return std::nullopt;
  const auto found = find_local_rank(env);
  // In a batch script, which is no step, Slurm sets it to 0 too.
  if (!found || (found->variable == "SLURM_LOCALID" && !env.contains("SLURM_STEP_ID"))) return std::nullopt;
  Rank rank{found->rank, found->variable, {}};
  for (const auto& other : found->differing)
    rank.warnings.push_back(fmt::format("local rank {} from {}, though {}", found->rank, found->variable, other));
  return rank;
}

/// A launcher that gave each of its processes one GPU has answered the question already; its number is then 0 in all.
bool one_was_given(const GpuChoice& visible, const Allowance& a, const Rank& rank, std::optional<int> local_size) {
  return visible.gpus.size() == 1 && !a.visible_env.empty() && (rank.rank > 0 || local_size.value_or(1) > 1);
}

Result<GpuChoice> gpu_of_rank(const System& s, const Rank& rank, std::optional<int> local_size) {
  NUMAPIN_TRY(auto visible, visible_gpus(s.machine, s.allowance));
  if (visible.gpus.empty()) return visible;
  if (one_was_given(visible, s.allowance, rank, local_size)) {
    visible.because.push_back(fmt::format("local rank {} ({}): the launcher left it this GPU", rank.rank, rank.from));
    return visible;
  }
  const auto at = static_cast<std::size_t>(rank.rank);
  if (at >= visible.gpus.size())
    return fail(Error::Kind::kNotFound, fmt::format("find the GPU of local rank {} ({}): {} are visible", rank.rank, rank.from, visible.gpus.size()),
                "start no more processes than there are visible GPUs, or name the GPU");
  visible.gpus = {visible.gpus[at]};
  visible.because.push_back(fmt::format("local rank {} ({}): GPU {}", rank.rank, rank.from, visible.gpus[0].gpu));
  return visible;
}

Job job_of(const Request& r, std::vector<ChosenGpu> gpus) {
  Job job;
  job.gpus = std::move(gpus);
  if (r.profile) apply_profile(*r.profile, job);
  const bool shared_out = r.per_gpu || r.worker_cores || r.auto_worker_cores;
  job.cpus = r.cpus.value_or(shared_out ? CpuScope::kExclusive : CpuScope::kNode);
  if (r.memory) job.memory = *r.memory;
  if (!r.smt) job.smt = false;
  job.reserve_cores_per_node = r.reserve;
  job.worker_cores = r.worker_cores;
  job.auto_worker_cores = r.auto_worker_cores;
  job.one_process_per_gpu = r.per_gpu && !job.gpus.empty();
  job.processes_per_gpu = r.processes_per_gpu;
  job.processes = r.processes;
  job.set_visible = r.visible;
  return job;
}

/// The system as the request wants it seen.
System seen_by(const System& system, const Request& r) {
  System s = system;
  if (r.allowed_cpus) s.allowance.cpus = {*r.allowed_cpus, Source::kUser};
  if (!r.env) return s;
  s.allowance.visible_env.clear();
  for (const auto name : visibility_variables())
    if (const auto it = r.env->find(std::string(name)); it != r.env->end()) s.allowance.visible_env.insert(*it);
  return s;
}

/// Of a rank's own among ranks without GPUs.
Result<void> keep_share_of(const Rank& rank, Plan& plan) {
  const auto at = static_cast<std::size_t>(rank.rank);
  if (at >= plan.placements.size())
    return bad_input(fmt::format("share the nodes out: local rank {} ({}) is not below the {} processes of this host", rank.rank, rank.from,
                                 plan.placements.size()), "give local_size, or set LOCAL_WORLD_SIZE");
  auto own = std::move(plan.placements[at]);
  own.because.insert(own.because.begin(), fmt::format("local rank {} ({}) of {}", rank.rank, rank.from, plan.placements.size()));
  plan.placements.clear();
  plan.placements.push_back(std::move(own));
  return {};
}

}  // namespace

Environment environment() {
  Environment env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (const auto equals = text.find('='); equals != text.npos) env.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return env;
}

Result<Placed> place(const System& system, const Request& request) {
  const System s = seen_by(system, request);
  const auto env = request.env ? *request.env : environment();
  std::optional<Rank> rank;
  if (!request.gpu && !request.slurm) rank = rank_of(request, env);
  const auto local_size = request.local_size ? request.local_size : find_local_size(env);
  GpuChoice choice;
  if (request.slurm) {
    NUMAPIN_TRY(choice, slurm_gpus(s.machine, {request.may_open, env}));
  } else if (rank) {
    NUMAPIN_TRY(choice, gpu_of_rank(s, *rank, local_size));
  } else {
    NUMAPIN_TRY(choice, choose_gpus(s.machine, s.allowance, request.gpu ? std::optional<std::string_view>(*request.gpu) : std::nullopt));
  }
  Job job = job_of(request, choice.gpus);
  if (request.slurm && choice.gpus.empty()) {  // a job without GPUs stays as Slurm made it
    job.cpus = CpuScope::kNone;
    job.memory = MemoryMode::kNone;
  }
  const bool share_of_nodes = rank && choice.gpus.empty() && local_size;
  if (share_of_nodes) job.processes = *local_size;
  if (share_of_nodes && !request.cpus) job.cpus = CpuScope::kExclusive;  // without a GPU every node is near
  NUMAPIN_TRY(auto plan, make_plan(s.machine, s.allowance, job));
  if (share_of_nodes) NUMAPIN_CHECK_OK(keep_share_of(*rank, plan));
  plan.notes.insert(plan.notes.begin(), choice.warnings.begin(), choice.warnings.end());
  if (rank) plan.notes.insert(plan.notes.begin(), rank->warnings.begin(), rank->warnings.end());
  return Placed{std::move(plan), std::move(choice.because)};
}

Result<Placement> place_self(const System& system, Request request) {
  request.per_gpu = request.visible = false;
  NUMAPIN_TRY(auto placed, place(system, request));
  Placement p = std::move(placed.plan.placements.at(0));
  p.because.insert(p.because.begin(), placed.because.begin(), placed.because.end());
  p.warnings.insert(p.warnings.begin(), placed.plan.notes.begin(), placed.plan.notes.end());
  return p;
}

Placement named_place(const Request& request) {
  Placement p;
  if (request.cpulist) p.cpus = *request.cpulist;
  if (request.nodes) p.memory = {request.memory.value_or(MemoryMode::kPreferred), *request.nodes};
  if (request.cpulist) p.because.push_back("CPUs " + p.cpus.to_list() + ": asked for");
  if (request.nodes) p.because.push_back("memory " + describe(p.memory) + ": asked for");
  return p;
}

}  // namespace numapin::capi
