#include <fmt/format.h>

#include <algorithm>

#include "numapin/plan.h"
#include "plan/gpu_families.h"
#include "plan/memory.h"
#include "plan/policy.h"
#include "plan/workers.h"

namespace numapin {
namespace {

constexpr int kMostProcesses = 4096;  // more than any machine has CPUs to give them; keeps a typing error cheap

std::vector<int> all_indices(const Machine& m) {
  std::vector<int> indices;
  for (const auto& gpu : m.gpus) indices.push_back(gpu.index);
  return indices;
}

Result<void> check_job(const Machine& m, const Job& job) {
  const auto in_range = [](int n) { return n >= 1 && n <= kMostProcesses; };
  if (!in_range(job.processes_per_gpu) || !in_range(job.processes))
    return bad_input(fmt::format("plan {} processes: the number must be between 1 and {}",
                                 in_range(job.processes) ? job.processes_per_gpu : job.processes, kMostProcesses));
  for (std::size_t i = 0; i < job.gpus.size(); ++i) {
    if (gpu_at(m, job.gpus[i].gpu) == nullptr)
      return fail(Error::Kind::kNotFound, fmt::format("plan for GPU {}: no such GPU", job.gpus[i].gpu),
                  "this machine has " + gpus_words(all_indices(m)));
    if (std::find(job.gpus.begin(), job.gpus.begin() + static_cast<std::ptrdiff_t>(i), job.gpus[i]) !=
        job.gpus.begin() + static_cast<std::ptrdiff_t>(i))
      return bad_input(fmt::format("plan for GPU {}: named twice", job.gpus[i].gpu),
                       "several processes on one GPU: --nproc-per-gpu");
  }
  return {};
}

/// Not counted among those that share a node's cores, unless a job names them: the graphics part of an Intel processor,
/// and virtual functions, which are guests' slices of a GPU that is counted itself.
bool is_no_competitor(const Machine& m, const Gpu& gpu) {
  if (!gpu.address) return false;
  if (const auto* device = find_pci(m, *gpu.address); device != nullptr && device->physfn) return true;
  return family_of(gpu) == GpuFamily::kLevelZero && gpu.address->bus == 0 && gpu.address->device == 2;
}

/// Adds a seat of `gpu` to the process, as one more process there.
void sit_down(Demand& d, Process& p, int gpu) {
  const auto it = std::find_if(d.seats.begin(), d.seats.end(), [&](const Seat& s) { return s.gpu == gpu; });
  const auto at = static_cast<std::size_t>(it - d.seats.begin());
  if (std::find(p.seats.begin(), p.seats.end(), at) != p.seats.end()) return;  // another MIG instance of the same GPU
  p.gpus.push_back(gpu);
  p.seats.push_back(at);
  p.slots.push_back(it->processes++);
  p.unknown |= it->where.cpu_nodes.empty();
}

Demand demand_with_gpus(const Ground& g, const Job& job) {
  Demand d;
  d.one_process_per_gpu = job.one_process_per_gpu;
  for (const auto& gpu : g.m.gpus) {
    const bool chosen = std::any_of(job.gpus.begin(), job.gpus.end(), [&](const auto& c) { return c.gpu == gpu.index; });
    if (chosen || !is_no_competitor(g.m, gpu)) d.seats.push_back({gpu.index, locate(g, gpu), 0});
  }
  if (!job.one_process_per_gpu) d.processes.emplace_back();
  for (const auto& chosen : job.gpus) {
    if (!job.one_process_per_gpu) sit_down(d, d.processes[0], chosen.gpu);
    for (int i = 0; job.one_process_per_gpu && i < job.processes_per_gpu; ++i)
      sit_down(d, d.processes.emplace_back(), chosen.gpu);
  }
  return d;
}

/// Without GPUs every process competes for every node.
Demand demand_without_gpus(const Ground& g, const Job& job) {
  Demand d;
  d.one_process_per_gpu = job.processes > 1;
  for (int i = 0; i < job.processes; ++i) {
    Seat seat{-1, {}, 1};
    seat.where.cpu_nodes = g.cpu_nodes;
    seat.where.reason = "no GPU to be near to: " + node_words(g.cpu_nodes);
    d.seats.push_back(seat);
    d.processes.push_back({{}, {static_cast<std::size_t>(i)}, {0}, g.cpu_nodes.empty()});
  }
  return d;
}

std::vector<Share> place_all(const Ground& g, const Demand& d) {
  const Share all{g.usable, fmt::format("all {} that are allowed", g.usable.size()), {}};
  return std::vector<Share>(d.processes.size(), all);
}

std::vector<Share> place(const Ground& g, const Demand& d, CpuScope scope) {
  switch (scope) {
    case CpuScope::kNode: return place_node(g, d);
    case CpuScope::kSocket: return place_socket(g, d);
    case CpuScope::kL3: return place_l3(g, d);
    case CpuScope::kExclusive: return place_exclusive(g, d);
    case CpuScope::kSpread: return place_spread(g, d);
    case CpuScope::kAll: return place_all(g, d);
    case CpuScope::kNone: break;
  }
  return std::vector<Share>(d.processes.size());
}

void set_cpus(const Ground& g, const Job& job, const Process& process, Share share, Placement& p) {
  const bool narrowed = !job.smt || job.reserve_cores_per_node > 0;
  if (share.cpus.empty() && job.cpus != CpuScope::kNone && narrowed) {
    share.cpus = g.usable;  // the place is unknown, but one thread a core is not a question of place
    share.because = fmt::format("all {} that are allowed", share.cpus.size());
  }
  if (process.unknown && job.cpus == CpuScope::kExclusive)
    p.warnings.push_back("no share of its own can be given at an unknown place: its CPUs overlap with the others'");
  p.cpus = share.cpus;
  p.cores = p.cpus.empty() ? 0 : g.count_cores(p.cpus);
  p.warnings.insert(p.warnings.end(), share.warnings.begin(), share.warnings.end());
  if (p.cpus.empty()) {
    p.because.push_back(job.cpus == CpuScope::kNone ? "CPUs: left alone, as asked"
                        : process.unknown           ? "CPUs: left alone, as the place is unknown"
                                                    : "CPUs: left alone");
    return;
  }
  std::string note;
  if (job.reserve_cores_per_node > 0)
    note += fmt::format("; {} of each node kept for the system",
                        job.reserve_cores_per_node == 1 ? "1 core" : fmt::format("{} cores", job.reserve_cores_per_node));
  if (!job.smt) note += "; one CPU a core";
  p.because.push_back(fmt::format("CPUs {}: {}{}", p.cpus.to_list(), share.because, note));
}

/// Nodes to be near to with memory: the GPUs' nodes, of them those that the CPUs are on where a GPU has several.
NodeSet memory_near(const Ground& g, const Job& job, const Demand& d, const Process& process, const Placement& p) {
  NodeSet on;
  for (const auto& [node, cpus] : g.cpus)
    if (cpus.intersects(p.cpus)) on.insert(node);
  if (d.seats.empty() || d.seats[0].gpu < 0) {
    // Without a GPU memory goes with the CPUs; all nodes at once is what the kernel does by itself.
    return process.unknown || on == g.cpu_nodes ? NodeSet{} : on;
  }
  if (!job.one_process_per_gpu || p.cpus.empty() || !on.intersects(p.near_nodes)) return p.near_nodes;
  return on & p.near_nodes;
}

Result<Placement> make_placement(const Ground& g, const Allowance& a, const Job& job, const Demand& d,
                                 const Process& process, Share share, std::span<const ChosenGpu> chosen) {
  Placement p;
  p.gpus = process.gpus;
  for (const auto seat : process.seats) {
    const auto& where = d.seats[seat].where;
    p.near_nodes |= where.near;
    p.warnings.insert(p.warnings.end(), where.warnings.begin(), where.warnings.end());
  }
  if (process.unknown && !process.gpus.empty()) p.near_nodes = {};
  set_cpus(g, job, process, std::move(share), p);
  if (!p.cpus.empty()) NUMAPIN_CHECK_OK(split_workers(g, job, p));
  auto memory = choose_memory(g, job, memory_near(g, job, d, process, p));
  p.memory = memory.policy;
  p.because.push_back(std::move(memory.because));
  p.warnings.insert(p.warnings.end(), memory.warnings.begin(), memory.warnings.end());
  if (!job.set_visible) return p;
  for (auto& [name, value] : visible_environment(g.m, a, chosen)) {
    p.because.push_back(fmt::format("{}={}: {}", name, value, gpus_words(p.gpus)));
    p.env.emplace_back(std::move(name), std::move(value));
  }
  return p;
}

}  // namespace

Result<Plan> make_plan(const Machine& m, const Allowance& a, const Job& job) {
  NUMAPIN_CHECK_OK(check_job(m, job));
  NUMAPIN_TRY(const auto ground, make_ground(m, a, job));
  const auto demand = job.gpus.empty() ? demand_without_gpus(ground, job) : demand_with_gpus(ground, job);
  auto shares = place(ground, demand, job.cpus);
  Plan plan;
  plan.notes.insert(plan.notes.end(), ground.warnings.begin(), ground.warnings.end());
  const std::span<const ChosenGpu> all = job.gpus;
  for (std::size_t i = 0; i < demand.processes.size(); ++i) {
    const auto chosen = !job.one_process_per_gpu || all.empty()
                            ? all
                            : all.subspan(i / static_cast<std::size_t>(job.processes_per_gpu), 1);
    NUMAPIN_TRY(auto placement,
                make_placement(ground, a, job, demand, demand.processes[i], std::move(shares[i]), chosen));
    plan.placements.push_back(std::move(placement));
  }
  return plan;
}

std::vector<Action> actions(const Placement& p) {
  std::vector<Action> steps;
  if (!p.cpus.empty()) steps.emplace_back(SetAffinity{p.cpus});
  if (p.memory.mode != MemoryMode::kNone) steps.emplace_back(SetMemoryPolicy{p.memory});
  for (const auto& [name, value] : p.env) steps.emplace_back(SetEnv{name, value});
  return steps;
}

}  // namespace numapin
