#include "cli/rebind_target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/session.h"
#include "numapin/plan.h"
#include "numapin/visible.h"
#include "plan/ground.h"
#include "render/layout.h"

namespace numapin::cli {
namespace {

Result<NodeSet> parse_nodes(const Machine& m, const std::string& text, std::string_view option) {
  NUMAPIN_TRY(const auto nodes, NodeSet::parse(text));
  NodeSet known;
  for (const auto& node : m.nodes) known.insert(node.id);
  if (nodes.empty() || !known.contains(nodes))
    return bad_input(fmt::format("{} {}: this machine has nodes {}", option, text, known.to_list()), "numapin topo shows them");
  return nodes;
}

Result<NodeSet> memory_target(const RebindOptions& o, const Machine& m, const NodeSet& by_default) {
  if (o.cpus_only || o.memory == "none") return NodeSet{};
  if (o.memory.empty()) return by_default;
  NUMAPIN_TRY(const auto nodes, parse_nodes(m, o.memory, "--memory"));
  if (!memory_nodes(m).contains(nodes)) return bad_input(fmt::format("--memory {}: a node of it has no memory", o.memory), "numapin topo shows which have");
  return nodes;
}

Result<RebindTarget> target_of_node(const RebindOptions& o, const Machine& m) {
  NUMAPIN_TRY(const auto nodes, parse_nodes(m, o.node, "--node"));
  RebindTarget t;
  t.cpus = cpus_of(m, nodes);  // none for a node of memory only: the masks stay
  const NodeSet with_memory = nodes & memory_nodes(m);
  NUMAPIN_TRY(t.nodes, memory_target(o, m, with_memory.empty() ? nearest(m, nodes, dram_nodes(m)) : with_memory));
  return t;
}

Result<RebindTarget> target_of_list(const RebindOptions& o, const Machine& m) {
  RebindTarget t;
  NUMAPIN_TRY(t.cpus, CpuSet::parse(o.cpu_list));
  if (!t.cpus.intersects(online_cpus(m)))
    return bad_input(fmt::format("--cpu-list {}: none of these CPUs is online", o.cpu_list), fmt::format("online are {}", online_cpus(m).to_list()));
  t.named = true;
  NUMAPIN_TRY(t.nodes, memory_target(o, m, {}));
  return t;
}

Result<RebindTarget> target_of_gpus(const RebindOptions& o, const Machine& m, std::vector<ChosenGpu> gpus, const NodeSet& mems) {
  Job job;
  job.gpus = std::move(gpus);
  job.set_visible = false;
  if (!o.cpus.empty()) job.cpus = *parse_cpu_scope(o.cpus);
  // Not what this process may use: the other one may have a wider mask or cpuset.
  Allowance allowance;
  if (!mems.empty()) allowance.mems = {mems, Source::kProcfs};
  NUMAPIN_TRY(const auto plan, make_plan(m, allowance, job));
  const auto& p = plan.placements.at(0);
  if (p.near_nodes.empty() && memory_nodes(m).size() > 1)
    return fail(Error::Kind::kNotFound, "rebind: the node of the GPU is not known", "name the node: --node N; numapin topo says why");
  RebindTarget t;
  t.cpus = p.cpus;
  t.named = !o.cpus.empty();
  NUMAPIN_TRY(t.nodes, memory_target(o, m, p.memory.nodes));
  return t;
}

bool is_zombie(const ProcessInfo& p) {
  return std::all_of(p.threads.begin(), p.threads.end(), [](const auto& t) { return t.state == 'Z' || t.state == 'X'; });
}

constexpr int kThreadDaemon = 2;  // kthreadd, the parent of all kernel threads
bool is_kernel_thread(const ProcessInfo& p) {
  return p.command.empty() && (p.pid == kThreadDaemon || p.parent == kThreadDaemon);
}

Result<void> check_movable(const ProcessInfo& p) {
  if (is_kernel_thread(p))
    return bad_input(fmt::format("rebind process {} ({}): it is a thread of the kernel", p.pid, clean(p.name)),
                     "the kernel places its own threads");
  if (is_zombie(p))
    return fail(Error::Kind::kNotFound, fmt::format("rebind process {} ({}): it has ended (a zombie)", p.pid, clean(p.name)),
                "its parent has only to collect its exit status");
  return {};
}

}  // namespace

Result<RebindTarget> rebind_target(const RebindOptions& o, const System& system, const std::vector<int>& gpus,
                                   const NodeSet& mems) {
  const Machine& m = system.machine;
  const auto decide = [&]() -> Result<RebindTarget> {
    if (!o.cpu_list.empty()) return target_of_list(o, m);
    if (!o.node.empty()) return target_of_node(o, m);
    if (!o.gpu.empty()) {
      NUMAPIN_TRY(auto choice, choose_gpus(m, system.allowance, o.gpu));
      return target_of_gpus(o, m, std::move(choice.gpus), mems);
    }
    std::vector<ChosenGpu> chosen;
    for (const int gpu : gpus) chosen.push_back({gpu, {}, {}});
    return target_of_gpus(o, m, std::move(chosen), mems);
  };
  NUMAPIN_TRY(auto target, decide());
  target.force = o.force;
  return target;
}

RebindCrowd::RebindCrowd(const RebindOptions& o, const Session& session, System system, GpuUsers users)
    : options_(o), session_(session), system_(std::move(system)), users_(std::move(users)) {}

Result<RebindCrowd> RebindCrowd::make(const RebindOptions& o, const Session& session) {
  NUMAPIN_TRY(auto system, session.system(""));
  GpuUsers users;
  if (!o.names_target() || o.all_gpu) users = find_gpu_users(session.live, system.machine, session.nvml());
  RebindCrowd crowd(o, session, std::move(system), std::move(users));
  if (o.names_target()) {  // a wrong option is told before anything is looked at
    NUMAPIN_TRY(crowd.targets_[{}], rebind_target(o, crowd.system_, {}, {}));
  }
  return crowd;
}

Result<void> RebindCrowd::add(int pid, int root, const std::vector<int>& inherited, const std::multimap<int, int>& children,
                              std::vector<Member>& members) {
  if (pid == getpid() || !seen_.insert(pid).second) return {};
  if (const auto held = guards_.find(pid); held != guards_.end() && !held->second.alive()) guards_.erase(held);
  if (!guards_.contains(pid)) {
    NUMAPIN_TRY(auto guard, ProcessGuard::open(pid));
    guards_.emplace(pid, std::move(guard));
  }
  const bool with_memory = first_ && !options_.cpus_only;
  NUMAPIN_TRY(auto process, read_process(session_.live, pid, {.threads = true, .memory = with_memory}));
  NUMAPIN_CHECK_OK(check_movable(process));
  Member member{std::move(process), {}, root};
  if (!options_.names_target()) {
    const auto listed = std::find_if(users_.users.begin(), users_.users.end(), [&](const auto& u) { return u.pid == pid; });
    member.gpus = listed != users_.users.end() ? listed->gpus : open_gpus(system_.machine, member.process);
    if (member.gpus.empty()) member.gpus = inherited;
  }
  const auto gpus = member.gpus;
  members.push_back(std::move(member));
  if (options_.no_children) return {};
  for (auto [it, end] = children.equal_range(pid); it != end; ++it)
    (void)add(it->second, root, gpus, children, members);  // it may have ended by now
  return {};
}

Result<std::vector<RebindCrowd::Member>> RebindCrowd::gather() {
  seen_.clear();
  const auto children = children_by_parent(session_.live);
  std::vector<Member> members;
  if (!options_.all_gpu) {
    auto added = add(options_.pid, options_.pid, {}, children, members);
    if (!added && added.error().kind == Error::Kind::kNotFound && !first_) return members;  // it ended meanwhile
    if (!added) return Unexpected(std::move(added).error());
  }
  if (options_.all_gpu)
    for (const auto& user : users_.users) (void)add(user.pid, user.pid, user.gpus, children, members);
  if (!options_.names_target()) std::erase_if(members, [](const Member& m) { return m.gpus.empty(); });
  return members;
}

/// What the first look decides for all later ones.
Result<void> RebindCrowd::settle(const std::vector<Member>& members) {
  for (const auto& member : members) {
    if (first_)
      for (const auto& t : member.process.threads) whole_[{member.root, member.gpus}] |= t.allowed_cpus;
    if (targets_.contains(member.gpus)) continue;
    NUMAPIN_TRY(targets_[member.gpus], rebind_target(options_, system_, member.gpus, member.process.allowed_mems));
  }
  return {};
}

Result<std::vector<ProcessChange>> RebindCrowd::look() {
  NUMAPIN_TRY(const auto members, gather());
  if (members.empty() && first_ && !options_.all_gpu)
    return fail(Error::Kind::kNotFound, fmt::format("rebind process {}: neither it nor its children use a GPU, as far as can be seen", options_.pid),
                "name the place: --gpu N, --node N or --cpu-list LIST");
  NUMAPIN_CHECK_OK(settle(members));
  first_ = false;
  std::vector<ProcessChange> changes;
  for (const auto& member : members) {
    CpuSet& whole = whole_[{member.root, member.gpus}];
    if (whole.empty()) whole = whole_mask({&member.process, 1});  // a process that came later
    changes.push_back(change_process(system_.machine, member.process, whole, targets_.at(member.gpus)));
  }
  return changes;
}

bool RebindCrowd::alive(int pid) const {
  const auto guard = guards_.find(pid);
  return guard != guards_.end() && guard->second.alive();
}

}  // namespace numapin::cli
