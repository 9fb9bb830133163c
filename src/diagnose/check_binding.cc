// Is a shell, a process or a command bound to where its GPU is, CPUs and memory both? And who bound it?
#include <algorithm>
#include <cerrno>
#include <functional>

#include "base/numbers.h"
#include "base/text.h"
#include "base/units.h"
#include "diagnose/result.h"
#include "numapin/findings.h"
#include "numapin/visible.h"
#include "plan/export.h"

namespace numapin::doctor {
namespace {

using Kind = Subject::Kind;

// ---- what several checks need ---------------------------------------------------------------------------------------

/// Runs `judge` for every subject. It adds findings, or says by its result that nothing is wrong ("") or what is missing.
CheckResult for_each(const Setup& s, const std::string& line,
                     const std::function<std::string(const Subject&, std::vector<Finding>&)>& judge) {
  if (s.subjects.empty()) return unknown("no process to look at");
  std::vector<Finding> found;
  std::string missing;
  for (const auto& subject : s.subjects) {
    const auto lacks = judge(subject, found);
    if (!lacks.empty()) missing = lacks;
  }
  if (found.empty() && !missing.empty()) return unknown(missing);
  return settle(std::move(found), line);
}

std::string gpu_option(const Subject& s) {
  if (s.gpus.empty() || !s.means_gpus) return "--gpu N";
  CpuSet set;
  for (const int gpu : s.gpus) set.insert(CpuId{gpu});
  return "--gpu " + set.to_list();
}

/// How such a thing is started right, or put right while it runs.
Finding mended(const Subject& s, Severity severity, std::string is, std::string should, const std::string& rebind_options = "") {
  Finding f{severity, name_of(s), std::move(is), std::move(should), "", ""};
  if (s.kind == Kind::kProcess) {
    const auto state = fmt::format("numapin-rebind-{}.json", s.process.pid);
    f.mend = fmt::format("numapin rebind {}{} --state {}", s.process.pid, rebind_options, state);
    f.undo = "numapin rebind --undo " + state;
  } else if (s.kind == Kind::kShell) {
    f.mend = fmt::format("# start programs with: numapin run {} -- COMMAND", gpu_option(s));
  } else {
    f.mend = fmt::format("# instead of it: numapin run {} -- COMMAND", gpu_option(s));
  }
  return f;
}

/// A variable is set in the shell that doctor was started from; what runs, or sets its own, has to be started anew.
std::string in_its_shell(const Subject& s, const std::string& line) {
  return s.kind == Kind::kShell ? line : by_hand("in what starts it", line);
}

bool is_narrowed(const Machine& m, const Subject& s) {
  const auto allowed = allowed_cpus(m, s);
  return !allowed.empty() && allowed != online_cpus(m);
}

/// Nodes of ordinary memory that the subject may use; nothing where that is not known.
std::optional<NodeSet> allowed_memory(const Machine& m, const Subject& s) {
  if (s.process.allowed_mems.empty()) return std::nullopt;
  return s.process.allowed_mems & dram_nodes(m);
}

// ---- CPUs and memory ------------------------------------------------------------------------------------------------

CheckResult gpu_other_node(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (has_one_node(m)) return fine("one node");
  return for_each(s, "CPUs and memory are near the GPU, or free", [&](const Subject& subject, auto& found) -> std::string {
    if (subject.gpus.empty()) return "";
    const auto verdict = judge_placement(m, subject.process, subject.gpus);
    if (verdict.state == PlacementState::kUnknown) return verdict.line;
    if (verdict.state != PlacementState::kWrong) return "";
    found.push_back(mended(subject, Severity::kProblem, verdict.line, "CPUs and memory on the GPU's node",
                           verdict.mend.ends_with("--cpus-only") ? " --cpus-only" : ""));
    return "";
  });
}

CheckResult job_unbound(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (has_one_node(m)) return fine("one node");
  return for_each(s, "no running job is free to migrate", [&](const Subject& subject, auto& found) -> std::string {
    if (subject.kind != Kind::kProcess || subject.gpus.empty()) return "";
    const auto verdict = judge_placement(m, subject.process, subject.gpus);
    if (verdict.state == PlacementState::kUnknown) return verdict.line;
    if (verdict.state == PlacementState::kLoose)
      found.push_back(
          mended(subject, Severity::kWarning, verdict.line, "bound to the GPU's node; the kernel may move it away at any time"));
    return "";
  });
}

CheckResult cpus_only(const Setup& s) {
  const auto& m = s.system.machine;
  if (has_one_node(m)) return not_here("one node");
  return for_each(s, "no CPU mask without a memory policy", [&](const Subject& subject, auto& found) -> std::string {
    const auto policy = policy_of(subject);
    if (!policy) return "the memory policy cannot be read";
    const auto nodes = nodes_of(m, allowed_cpus(m, subject));
    const auto memory = allowed_memory(m, subject);
    if (!memory) return "the allowed memory nodes are not known";
    const bool follows = policy->mode == "default" || policy->mode == "local";
    // Where no memory of these nodes is allowed, a policy cannot help: cpuset-mems tells.
    if (!follows || nodes.empty() || nodes == cpu_nodes(m) || nodes.contains(*memory) || !nodes.intersects(*memory)) return "";
    // A job whose memory is there all the same has touched it late and alone: nothing to mend.
    if (subject.kind == Kind::kProcess && judge_without_gpu(m, subject.process).state != PlacementState::kWrong) return "";
    found.push_back(
        mended(subject, Severity::kWarning,
               fmt::format("CPUs on {}, memory may come from nodes {}: no memory policy", nodes_text(nodes), memory->to_list()),
               "a policy for the same nodes: first touch puts memory near only while the node has free pages"));
    return "";
  });
}

CheckResult memory_only(const Setup& s) {
  const auto& m = s.system.machine;
  if (has_one_node(m)) return not_here("one node");
  return for_each(s, "no memory policy without a CPU mask", [&](const Subject& subject, auto& found) -> std::string {
    const auto policy = policy_of(subject);
    if (!policy) return "the memory policy cannot be read";
    if (policy->mode != "bind" && !policy->mode.starts_with("prefer")) return "";
    const auto far = nodes_of(m, allowed_cpus(m, subject)) - policy->nodes;
    // Memory-only nodes (CXL, HBM) have no CPUs to bind to.
    if (far.empty() || policy->nodes.empty() || !cpu_nodes(m).contains(policy->nodes)) return "";
    found.push_back(mended(
        subject, Severity::kWarning, fmt::format("memory {}, CPUs also on {}", subject.process.memory->policy, nodes_text(far)),
        fmt::format("CPUs of {} only: threads elsewhere reach all their memory across the sockets", nodes_text(policy->nodes))));
    return "";
  });
}

CheckResult interleaved(const Setup& s) {
  const auto& m = s.system.machine;
  if (has_one_node(m)) return not_here("one node");
  if (m.gpus.empty()) return not_here("no GPU");
  return for_each(s, "no GPU job interleaves its memory", [&](const Subject& subject, auto& found) -> std::string {
    const auto policy = policy_of(subject);
    if (!policy) return "the memory policy cannot be read";
    if (subject.gpus.empty() || policy->mode.find("interleave") == std::string::npos) return "";
    const bool wanted = variable(subject, "NUMAPIN_MEMORY").value_or("").find("interleave") != std::string::npos;
    found.push_back(mended(subject, wanted ? Severity::kNote : Severity::kWarning,
                           fmt::format("memory policy {}{}", subject.process.memory->policy, wanted ? ", set by numapin" : ""),
                           "memory of the GPU's node; interleave single large buffers that only the CPUs read, not the job"));
    return "";
  });
}

CheckResult strict_memory(const Setup& s) {
  const auto& m = s.system.machine;
  if (has_one_node(m)) return not_here("one node");
  return for_each(s, "no strict binding that memory is too short for", [&](const Subject& subject, auto& found) -> std::string {
    const auto policy = policy_of(subject);
    if (!policy) return "the memory policy cannot be read";
    if (policy->mode != "bind" || subject.kind != Kind::kProcess) return "";
    if (!subject.peak_bytes) return "the job's past peak is not known";
    std::uint64_t room = 0;
    for (const NodeId id : policy->nodes) {
      const auto use = s.kernel.nodes.find(id);
      if (use == s.kernel.nodes.end() || !use->second.free)
        return fmt::format("the free memory of node {} is not known", number(id));
      room += *use->second.free + use->second.clean_cache.value_or(0);
      const auto own = subject.process.memory->total();
      const auto it = own.find(number(id));
      room += it == own.end() ? 0 : it->second;
    }
    if (room >= *subject.peak_bytes) return "";
    auto f = mended(subject, Severity::kWarning,
                    fmt::format("bound strictly to {} ({} its own, free or reclaimable), and has needed {}",
                                nodes_text(policy->nodes), size_text(room), size_text(*subject.peak_bytes)),
                    "room for its peak, or a preferred policy, which spills to other nodes instead of being killed");
    f.mend = "# restart it with: numapin run --memory preferred " + gpu_option(subject) + " -- COMMAND";
    f.undo.clear();
    found.push_back(f);
    return "";
  });
}

/// Where nobody looked, by the cgroup's path; without a name as docker's, which most others' command lines follow.
ContainerName container_of(const Subject& s) {
  if (s.container) return *s.container;
  return find_container(s.cgroup).value_or(ContainerName{});
}

CheckResult mems_exclude_node(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (has_one_node(m)) return fine("one node");
  return for_each(s, "the GPU's memory node is allowed", [&](const Subject& subject, auto& found) -> std::string {
    const auto near = near_nodes(m, subject.gpus);
    if (subject.gpus.empty()) return "";
    const auto memory = allowed_memory(m, subject);
    if (!near) return "the node of a GPU is unknown";
    if (!memory) return "the allowed memory nodes are not known";
    const auto missing = (*near & dram_nodes(m)) - *memory;
    if (missing.empty()) return "";
    found.push_back({subject.means_gpus ? Severity::kProblem : Severity::kWarning, name_of(subject),
                     fmt::format("cpuset.mems allows {}; {} {} on {}", nodes_text(*memory), gpus_text(subject.gpus),
                                 subject.gpus.size() == 1 ? "is" : "are", nodes_text(*near)),
                     fmt::format("{} allowed too; a policy for it is refused with EINVAL", nodes_text(missing)),
                     fmt::format("# {}, or as root: echo {} >CGROUP/cpuset.mems (cgroup {})",
                                 outer_command(container_of(subject), {}, *memory | missing), (*memory | missing).to_list(), subject.cgroup.empty() ? "unknown" : subject.cgroup),
                     fmt::format("# echo {} >CGROUP/cpuset.mems", memory->to_list())});
    return "";
  });
}

CheckResult policy_refused(const Setup& s) {
  if (has_one_node(s.system.machine)) return not_here("one node");
  return for_each(s, "the kernel takes memory policies from here", [&](const Subject& subject, auto& found) -> std::string {
    if (!subject.policy_error) return "it can be tried only from inside: run doctor there";
    if (*subject.policy_error == 0) return "";
    if (*subject.policy_error != EPERM && *subject.policy_error != EACCES) {
      found.push_back({Severity::kWarning, name_of(subject), fmt::format("set_mempolicy fails (errno {})", *subject.policy_error),
                       "a kernel with NUMA support (CONFIG_NUMA)", "# another kernel; until then only CPUs can be bound", ""});
      return "";
    }
    found.push_back({Severity::kWarning, name_of(subject),
                     "set_mempolicy is refused (EPERM): a seccomp filter, as container runtimes have",
                     "allowed: else memory cannot be bound, only CPUs",
                     fmt::format("# {}, or a seccomp profile with set_mempolicy and mbind; from outside: numapin oci-runtime",
                                 outer_permission(container_of(subject))),
                     ""});
    return "";
  });
}

// ---- masks and who made them ----------------------------------------------------------------------------------------

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](auto w) { return text.find(w) != text.npos; });
}

struct Binder {
  std::string name;  ///< "Slurm (job 17)"
  std::string advice;
};

/// Who may have made the mask, likeliest first; `near` are the CPUs that it should have had.
std::vector<Binder> binders(const Subject& s, const CpuSet& near) {
  std::vector<Binder> out;
  const auto has = [&](const char* name) { return variable(s, name).has_value(); };
  if (has("NUMAPIN_CPUS"))
    out.push_back({"numapin (NUMAPIN_CPUS=" + *variable(s, "NUMAPIN_CPUS") + ")", "numapin run --cpus node"});
  if (has("OMPI_COMM_WORLD_RANK"))
    out.push_back({"mpirun (Open MPI binds each rank to a core unless told otherwise)",
                   "mpirun --bind-to none, then numapin run in each rank"});
  if (has("SLURM_JOB_ID") || s.cgroup.find("slurm") != std::string::npos)
    out.push_back({fmt::format("Slurm (job {})", variable(s, "SLURM_JOB_ID").value_or("unknown")),
                   "srun --cpus-per-task=N --cpu-bind=none (since 22.05 srun does not take --cpus-per-task from sbatch)"});
  if (has("KUBERNETES_SERVICE_HOST") || container_of(s).kubernetes)
    out.push_back(
        {"Kubernetes (the kubelet's CPU manager)", "request more whole CPUs, with topologyManagerPolicy single-numa-node"});
  else if (s.in_container.value_or(false) || find_container(s.cgroup))
    out.push_back({fmt::format("the cpuset of {}", describe(container_of(s))), outer_command(container_of(s), near, {})});
  if (has("TORCHELASTIC_RUN_ID"))
    out.push_back({"torchrun, or what started it", "torchrun --numa-binding=node, or numapin launch"});
  if (contains_any(variable(s, "OMP_PROC_BIND").value_or(""), {"true", "TRUE", "close", "spread"}) || has("GOMP_CPU_AFFINITY") ||
      has("KMP_AFFINITY"))
    out.push_back({"the OpenMP run-time (OMP_PROC_BIND, GOMP_CPU_AFFINITY or KMP_AFFINITY)", "unset them"});
  if (out.empty()) out.push_back({"taskset, numactl or a cpuset", "numapin run"});
  return out;
}

std::string names_of(const std::vector<Binder>& list) {
  std::vector<std::string> names;
  for (const auto& b : list) names.push_back(b.name);
  return join(names, ", or ");
}

constexpr int kNarrowShare = 4;    // less than a quarter of its share of the node's cores
constexpr int kSmallestShare = 4;  // on small machines a core or two is all there is

CheckResult narrow_mask(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (m.cores.empty()) return unknown("cores are not known");
  return for_each(s, "no GPU job is squeezed into a few cores", [&](const Subject& subject, auto& found) -> std::string {
    if (subject.gpus.empty() || !is_narrowed(m, subject)) return "";
    auto near = near_nodes(m, subject.gpus);
    if (!near && has_one_node(m)) near = cpu_nodes(m);
    if (!near) return "the node of a GPU is unknown";
    const auto beside = std::count_if(m.gpus.begin(), m.gpus.end(),
                                      [&](const Gpu& g) { return !g.numa_nodes || g.numa_nodes->intersects(*near); });
    const int share = core_count(m, cpus_of(m, *near)) / std::max(1, static_cast<int>(beside)) *
                      (subject.means_gpus ? static_cast<int>(subject.gpus.size()) : 1);
    const auto allowed = allowed_cpus(m, subject);
    const int cores = core_count(m, allowed);
    if (share < kSmallestShare || cores * kNarrowShare >= share) return "";
    const auto by = binders(subject, cpus_of(m, *near));
    auto f = mended(subject, Severity::kWarning,
                    fmt::format("allowed on CPUs {} ({}), its share of the node is {}; set by {}", allowed.to_list(),
                                count_text(static_cast<std::size_t>(cores), "core"), share, names_of(by)),
                    "a share of the GPU's node: the thread that feeds the GPU, data-loading workers and the driver's threads "
                    "queue up for these");
    if (subject.kind != Kind::kProcess) f.mend = fmt::format("# {}", by.front().advice);
    found.push_back(f);
    return "";
  });
}

CheckResult container_cpuset(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (has_one_node(m)) return fine("one node");
  return for_each(
      s, "no container spans nodes that its GPUs are not on", [&](const Subject& subject, auto& found) -> std::string {
        if (!subject.in_container) return "it is not known whether this is a container";
        const auto near = near_nodes(m, subject.gpus);
        if (!*subject.in_container || !subject.means_gpus || subject.gpus.empty()) return "";
        if (!near) return "the node of a GPU is unknown";
        const auto allowed = allowed_cpus(m, subject);
        if (allowed.empty() || cpus_of(m, *near).contains(allowed) || !allowed.intersects(cpus_of(m, *near))) return "";
        found.push_back({Severity::kWarning, name_of(subject),
                         fmt::format("{} without a fitting cpuset: CPUs on {}, {} on {}", describe(container_of(subject)),
                                     nodes_text(nodes_of(m, allowed)), gpus_text(subject.gpus), nodes_text(*near)),
                         "the CPUs and the memory of the GPUs' nodes: --gpus gives the container a GPU, not its node",
                         fmt::format("# {}; or inside: numapin run -- COMMAND",
                                     outer_command(container_of(subject), cpus_of(m, *near), *near)),
                         "# start it without these options"});
        return "";
      });
}

/// Numbers that a variable gives for threads.
std::optional<std::pair<std::string, int>> thread_count(const Subject& s) {
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"})
    if (const auto text = variable(s, name))
      if (const auto n = parse_number<int>(trim(split(*text, ',').front()))) return std::pair{std::string(name), *n};
  return std::nullopt;
}

CheckResult siblings_as_cores(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.cores.empty()) return unknown("cores are not known");
  if (std::none_of(m.cores.begin(), m.cores.end(), [](const Core& c) { return c.cpus.size() > 1; }))
    return not_here("one thread a core");
  return for_each(s, "no thread count takes SMT siblings for cores", [&](const Subject& subject, auto& found) -> std::string {
    if (!subject.env) return "the environment cannot be read";
    const auto threads = thread_count(subject);
    const auto allowed = allowed_cpus(m, subject);
    const int cores = core_count(m, allowed);
    if (!threads || allowed.empty() || threads->second <= cores || threads->second > allowed.size()) return "";
    found.push_back({Severity::kWarning, name_of(subject),
                     fmt::format("{}={}, but CPUs {} are {} cores", threads->first, threads->second, allowed.to_list(), cores),
                     fmt::format("{}: two threads of a core share its arithmetic units", cores),
                     in_its_shell(subject, fmt::format("export {}={}", threads->first, cores)),
                     in_its_shell(subject, fmt::format("export {}={}", threads->first, threads->second))});
    return "";
  });
}

// ---- OpenMP ---------------------------------------------------------------------------------------------------------

/// CPUs of an OMP_PLACES list "{0,1},{4:2}" or of GOMP_CPU_AFFINITY "0-3 8"; nothing for names of places.
std::optional<CpuSet> listed_cpus(std::string_view text) {
  CpuSet out;
  std::string plain(text);
  std::replace_if(
      plain.begin(), plain.end(), [](char c) { return c == '{' || c == '}' || c == ','; }, ' ');
  for (const auto word : split_words(plain)) {
    const auto parts = split(word, ':');
    const auto first = parse_number<int>(parts[0]);
    if (parts.size() > 1 && text.find('{') != text.npos) {  // {start:count}, {start:count:stride}
      const auto count = parse_number<int>(parts[1]), stride = parts.size() > 2 ? parse_number<int>(parts[2]) : std::optional(1);
      if (!first || !count || !stride || *first < 0 || *count > kMaxIds || *stride < 0) return std::nullopt;
      for (int i = 0; i < *count && *first + i * *stride < kMaxIds; ++i) out.insert(CpuId{*first + i * *stride});
      continue;
    }
    const auto cpus = CpuSet::parse(word);
    if (!cpus) return std::nullopt;
    out |= *cpus;
  }
  return out;
}

bool binds_threads(std::string_view variable_name, const std::string& value) {
  const auto v = to_lower(value);
  if (variable_name == "OMP_PROC_BIND") return contains_any(v, {"true", "close", "spread", "master", "primary"});
  if (variable_name == "KMP_AFFINITY") return contains_any(v, {"compact", "scatter", "balanced", "explicit", "norespect"});
  return !v.empty();
}

std::string openmp_variables(const Subject& subject, const CpuSet& allowed, std::vector<Finding>& found) {
  for (const char* name : {"GOMP_CPU_AFFINITY", "OMP_PLACES"}) {
    const auto value = variable(subject, name);
    const auto cpus = value ? listed_cpus(*value) : std::nullopt;
    if (!cpus || allowed.contains(*cpus)) continue;
    found.push_back({Severity::kProblem, name_of(subject),
                     fmt::format("{}={} names CPUs {} that are not allowed here", name, *value, (*cpus - allowed).to_list()),
                     "left to the mask: threads are put elsewhere, or all on one CPU",
                     in_its_shell(subject, fmt::format("unset {}", name)),
                     in_its_shell(subject, fmt::format("export {}={}", name, shell_word(*value)))});
    return "";
  }
  for (const char* name : {"KMP_AFFINITY", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY"}) {
    const auto value = variable(subject, name);
    if (!value || !binds_threads(name, *value)) continue;
    const bool kmp = std::string_view(name) == "KMP_AFFINITY";
    found.push_back(
        {Severity::kWarning, name_of(subject),
         fmt::format("{}={}: the OpenMP run-time binds the main thread to one place, and processes it forks inherit that", name,
                     *value),
         "left to the mask of the job",
         in_its_shell(subject, kmp ? "export KMP_AFFINITY=disabled" : fmt::format("unset {}", name)),
         in_its_shell(subject, fmt::format("export {}={}", name, shell_word(*value)))});
    return "";
  }
  const auto threads = thread_count(subject);
  if (threads && threads->second > allowed.size())
    found.push_back({Severity::kWarning, name_of(subject),
                     fmt::format("{}={}, and {} allowed", threads->first, threads->second,
                                 count_text(static_cast<std::size_t>(allowed.size()), "CPU")),
                     "no more threads than CPUs",
                     in_its_shell(subject, fmt::format("export {}={}", threads->first, allowed.size())),
                     in_its_shell(subject, fmt::format("export {}={}", threads->first, threads->second))});
  return "";
}

CheckResult openmp(const Setup& s) {
  const auto& m = s.system.machine;
  return for_each(s, "no OpenMP variable fights the binding", [&](const Subject& subject, auto& found) -> std::string {
    if (!subject.env) return "the environment cannot be read";
    const auto allowed = allowed_cpus(m, subject);
    if (allowed.empty()) return "the CPU mask cannot be read";
    return openmp_variables(subject, allowed, found);
  });
}

// ---- several jobs, visible GPUs -------------------------------------------------------------------------------------

CpuSet mask_of(const Machine& m, const ProcessInfo& p) {
  CpuSet all;
  for (const auto& t : p.threads) all |= t.allowed_cpus;
  return all & online_cpus(m);
}

/// CPUs that two jobs were both pinned to; empty where one has a whole node or more, which many jobs may share.
CpuSet pinned_by_both(const Machine& m, const CpuSet& a, const CpuSet& b) {
  for (const auto& node : m.nodes)
    if (node.cpus && !node.cpus->empty() && (a.contains(*node.cpus) || b.contains(*node.cpus))) return {};
  return a & b;
}

CheckResult cores_shared(const Setup& s) {
  const auto& m = s.system.machine;
  if (s.gpu_jobs.size() < 2) return not_here("fewer than two GPU jobs are seen");
  std::vector<Finding> found;
  for (std::size_t i = 0; i < s.gpu_jobs.size(); ++i) {
    for (std::size_t j = i + 1; j < s.gpu_jobs.size(); ++j) {
      const auto &a = s.gpu_jobs[i], &b = s.gpu_jobs[j];
      // A job's own helpers share its cores by intention.
      if (a.process.parent == b.process.pid || b.process.parent == a.process.pid || a.gpus == b.gpus) continue;
      const auto own = mask_of(m, a.process), other = mask_of(m, b.process);
      const auto both = pinned_by_both(m, own, other), siblings = both.empty() ? shared_cores(m, own, other) : CpuSet();
      if (both.empty() && siblings.empty()) continue;
      const auto words = both.empty() ? fmt::format("bound to different threads of the same cores ({})", siblings.to_list())
                                      : fmt::format("both bound to CPUs {}", both.to_list());
      found.push_back(
          {Severity::kProblem,
           fmt::format("processes {} ({}) and {} ({})", a.process.pid, gpus_text(a.gpus), b.process.pid, gpus_text(b.gpus)),
           words, "cores of their own",
           fmt::format("numapin rebind {0} --cpus exclusive --state numapin-rebind-{0}.json\nnumapin rebind {1} --cpus exclusive "
                       "--state numapin-rebind-{1}.json",
                       a.process.pid, b.process.pid),
           fmt::format("numapin rebind --undo numapin-rebind-{1}.json\nnumapin rebind --undo numapin-rebind-{0}.json",
                       a.process.pid, b.process.pid)});
    }
  }
  return settle(std::move(found), fmt::format("{} GPU jobs on cores of their own", s.gpu_jobs.size()));
}

Allowance seen_by(const Setup& s, const Subject& subject) {
  Allowance a = s.system.allowance;
  if (!subject.env) return a;
  a.visible_env.clear();
  for (const auto name : visibility_variables())
    if (const auto value = variable(subject, std::string(name))) a.visible_env[std::string(name)] = *value;
  return a;
}

bool has_vendor(const Machine& m, std::uint16_t vendor) {
  return std::any_of(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.vendor == vendor || g.vendor == 0; });
}

/// The variables that were set and hide every GPU.
std::vector<std::pair<std::string, std::string>> hiding(const Machine& m, const Subject& subject) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, vendor] : {std::pair{"CUDA_VISIBLE_DEVICES", kNvidia},
                                     {"ROCR_VISIBLE_DEVICES", kAmd},
                                     {"HIP_VISIBLE_DEVICES", kAmd},
                                     {"ZE_AFFINITY_MASK", kIntel}}) {
    const auto value = variable(subject, name);
    // Slurm gives NoDevFiles to jobs without a GPU; -1 is how people ask for none.
    if (value && has_vendor(m, vendor) && trim(*value).empty()) out.emplace_back(name, *value);
  }
  return out;
}

CheckResult visible_devices(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  return for_each(s, "the variables that choose GPUs make sense", [&](const Subject& subject, auto& found) -> std::string {
    if (!subject.env) return "the environment cannot be read";
    const auto allowance = seen_by(s, subject);
    if (allowance.visible_env.empty()) return "";
    for (const auto& [name, value] : hiding(m, subject))
      found.push_back({Severity::kWarning, name_of(subject), name + " is set but empty: no GPU is visible",
                       "unset, or with the GPUs meant; -1 where none is meant", in_its_shell(subject, "unset " + name),
                       in_its_shell(subject, fmt::format("export {}={}", name, shell_word(value)))});
    const auto choice = visible_gpus(m, allowance);
    const auto variables = [&] {
      std::vector<std::string> names;
      for (const auto& [name, value] : allowance.visible_env) names.push_back(name + "=" + shell_word(value));
      return join(names, " ");
    };
    if (!choice) {
      found.push_back({Severity::kWarning, name_of(subject), choice.error().message,
                       choice.error().hint.empty() ? "a list of GPUs of this machine" : choice.error().hint,
                       "# set it anew, best by UUID: numapin plan --format env", by_hand("it was", "export " + variables())});
      return "";
    }
    for (const auto& warning : choice->warnings)
      found.push_back({Severity::kWarning, name_of(subject), warning, "GPUs that exist, each once",
                       "# set it anew, best by UUID: numapin plan --format env", by_hand("it was", "export " + variables())});
    const auto by_index = [](const ChosenGpu& a, const ChosenGpu& b) { return a.gpu < b.gpu; };
    if (!std::is_sorted(choice->gpus.begin(), choice->gpus.end(), by_index)) {
      std::vector<std::string> order;
      for (const auto& gpu : choice->gpus) order.push_back(std::to_string(gpu.gpu));
      found.push_back({Severity::kNote, name_of(subject),
                       fmt::format("{}: the program's devices 0,1,... are GPUs {} in PCI order", variables(), join(order, ",")),
                       "known: nvidia-smi and numapin count in PCI order", "", ""});
    }
    return "";
  });
}

constexpr Check kChecks[] = {
    {"gpu-other-node", Family::kBinding, Severity::kProblem, Effect::kLarge, "CPUs and memory are on the GPU's node",
     "GB200 device to host 115 instead of 330 GB/s (torchtitan#3519); 2x GH200 host to device 133 instead of 377 GB/s (dnhkng, "
     "2026-04); P100 3.8 "
     "instead of 12.2 GB/s (gearshifft#82); nothing on MI210 with EPYC 9554 (rocm_bandwidth_test#129)",
     "Every byte to and from the GPU crosses the link between the sockets. Judged by what each thread may use, and by where the "
     "job's own "
     "memory lies (as 'numapin inspect' does).\nWhere the machine has room to spare, large copies alone may not show it; latency "
     "and several "
     "jobs at once do.",
     false, gpu_other_node},
    {"job-unbound", Family::kBinding, Severity::kWarning, Effect::kModerate, "a running GPU job is bound",
     "1-10 % typical, much more or nothing for some (PyTorch documentation, torchrun --numa-binding)",
     "An unbound job may be in the right place by chance; the kernel's scheduler may move its threads at any time, and its next "
     "memory comes "
     "from where they are then. A shell is not judged by this: 'numapin run' binds at the start of the job.",
     false, job_unbound},
    {"cpus-only", Family::kBinding, Severity::kWarning, Effect::kLarge, "where CPUs are bound, memory is too",
     "99 % of 300 MiB remote when page cache had filled the node (measured in numapin's lab, Linux 6.12)",
     "A CPU mask alone (taskset, --cpuset-cpus, torchrun --numa-binding) leaves memory to first touch. That is local while the "
     "node has free "
     "pages. On a server that has read its data set, page cache fills the node, and new memory goes to the next one in "
     "silence.\nFor a "
     "running process it counts only when its memory did land elsewhere.",
     false, cpus_only},
    {"memory-only", Family::kBinding, Severity::kWarning, Effect::kLarge, "where memory is bound, CPUs are too",
     "CPU reads 112-119 instead of 348 GB/s on 2x GH200 (dnhkng, 2026-04)",
     "With a memory policy alone (numactl -m, --cpuset-mems) threads run on any socket and reach their memory across the link: "
     "worse than "
     "no binding, where at least new memory follows the thread.",
     false, memory_only},
    {"interleave-gpu", Family::kBinding, Severity::kWarning, Effect::kLarge, "a GPU job's memory is not interleaved",
     "2.32 -> 0.22 tokens/s with interleave=all on a GPU host (colibri#82); interleaving only a CPU-side cache of a job on both "
     "sockets gained 0.5-5 % (LightLLM#1399)",
     "Interleaving halves the local share of every buffer, staging buffers too. Advice for it comes from CPU-only jobs that use "
     "all sockets "
     "at once. Interleave single buffers, not the process.",
     false, interleaved},
    {"strict-memory", Family::kBinding, Severity::kWarning, Effect::kBreaks, "a strict memory binding has room",
     "the job is killed with free memory on other nodes (vllm#51584, RecStore#238)",
     "Under MPOL_BIND (numactl --membind) memory never comes from elsewhere: when the node is full, the kernel kills the "
     "process. Compared "
     "are the job's highest use so far and what its nodes have free, can reclaim, and hold of it already.",
     false, strict_memory},
    {"cpuset-mems", Family::kBinding, Severity::kProblem, Effect::kLarge, "the cpuset allows the GPU's memory node",
     "all memory is remote (see gpu-other-node), and strict launchers stop with EINVAL (sglang#27368)",
     "cpuset.mems of the cgroup (docker --cpuset-mems, Kubernetes' memory manager) leaves the node out. No "
     "memory policy can go beyond it.",
     false, mems_exclude_node},
    {"mempolicy-refused", Family::kBinding, Severity::kWarning, Effect::kLarge, "memory policies may be set",
     "memory cannot be bound: as cpus-only",
     "Docker's and containerd's seccomp profiles refuse set_mempolicy and mbind without CAP_SYS_NICE (moby#37241). Some allow "
     "get_mempolicy, so "
     "that a check of that one is no proof (sglang#28401). doctor tries the real call in a child process, which ends at once.",
     false, policy_refused},
    {"narrow-mask", Family::kBinding, Severity::kWarning, Effect::kLarge, "a GPU job has its share of cores",
     "10 s -> up to 10 min with every rank on core 1 (OLCF, PyTorch on Frontier); 15.2 instead of 41.6 GB/s with four ranks on "
     "one Grace (uccl#956); "
     "39.0 instead of 24.1 ms (pegaflow#342)",
     "Launchers bind too: srun gives a task one core unless told, Open MPI binds small jobs to cores, kubelets hand out "
     "exclusive CPUs, and all "
     "that starts below inherits it. Found when a job has less than a quarter of its share of the node's cores. The variables "
     "and the "
     "cgroup of the process say who it was.",
     false, narrow_mask},
    {"container-cpuset", Family::kBinding, Severity::kWarning, Effect::kModerate, "a container has its GPU's CPUs",
     "1-10 % typical (PyTorch documentation, torchrun --numa-binding)",
     "docker run --gpus chooses a GPU; CPUs and memory need --cpuset-cpus and --cpuset-mems. NVIDIA's container toolkit sets "
     "neither.",
     false, container_cpuset},
    {"smt-as-cores", Family::kBinding, Severity::kWarning, Effect::kSmall, "threads are counted by cores",
     "0-10 % (the article this project grew from; no data published)",
     "A thread count that equals the CPUs of the mask puts two threads of the same arithmetic on each core.", false,
     siblings_as_cores},
    {"openmp", Family::kBinding, Severity::kProblem, Effect::kLarge, "OpenMP does not fight the binding",
     "923.6 -> 855.3 s, and 691.9 -> 390.8 s, after a wrong default affinity was cleared (TensorRT-LLM#9549)",
     "GNU's and Intel's OpenMP run-times bind threads by themselves: OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY, KMP_AFFINITY. "
     "The main "
     "thread ends up on one core, and the data-loading workers that it forks inherit that (pytorch#101850). Lists of CPUs from "
     "another "
     "machine or container name CPUs that are not allowed.",
     false, openmp},
    {"shared-cores", Family::kBinding, Severity::kProblem, Effect::kLarge, "GPU jobs have cores of their own",
     "unmeasured; at worst each job gets half of its cores",
     "Two jobs started with the same recipe are bound to the same cores, or to the two threads of one core, while others idle. "
     "Jobs that "
     "share a whole node are left alone: the scheduler spreads them.",
     false, cores_shared},
    {"visible-devices", Family::kBinding, Severity::kWarning, Effect::kBreaks, "the visible-GPU variables make sense",
     "no GPU, or another GPU than meant",
     "CUDA stops reading CUDA_VISIBLE_DEVICES at the first number that names no GPU, and an empty value hides all. An order "
     "other than PCI's "
     "makes device 0 of the program another GPU than nvidia-smi's 0.",
     false, visible_devices},
};

}  // namespace

std::span<const Check> binding_checks() { return kChecks; }

}  // namespace numapin::doctor
