#include "plan/rebind.h"

#include <fmt/format.h>

#include <algorithm>

namespace numapin {
namespace {

/// The cores of `cpus`, each cut down to them; CPUs that no core is known for stand alone.
std::vector<CpuSet> cores_within(const Machine& m, const CpuSet& cpus) {
  std::vector<CpuSet> out;
  CpuSet rest = cpus;
  for (const auto& core : m.cores) {
    const CpuSet part = core.cpus & cpus;
    if (part.empty()) continue;
    out.push_back(part);
    rest -= part;
  }
  for (const CpuId cpu : rest) out.push_back(CpuSet::of(cpu));
  std::sort(out.begin(), out.end(), [](const CpuSet& a, const CpuSet& b) { return a.first() < b.first(); });
  return out;
}

CpuSet node_around(const Machine& m, CpuId cpu) {
  for (const auto& node : m.nodes)
    if (node.cpus && node.cpus->contains(cpu)) return *node.cpus;
  return online_cpus(m);
}

CpuId at(const CpuSet& cpus, int position) {
  auto it = cpus.begin();
  while (position-- > 0) ++it;
  return *it;
}

int position_in(const CpuSet& cpus, CpuId cpu) {
  return static_cast<int>(std::distance(cpus.begin(), std::find(cpus.begin(), cpus.end(), cpu)));
}

/// Core 2, second sibling of its node becomes core 2, second sibling of the target.
CpuSet carry_over(const Machine& m, const CpuSet& mask, const CpuSet& target) {
  const auto to = cores_within(m, target);
  CpuSet out;
  for (const CpuId cpu : mask) {
    const auto from = cores_within(m, node_around(m, cpu));
    const auto core = std::find_if(from.begin(), from.end(), [&](const CpuSet& c) { return c.contains(cpu); });
    if (core == from.end()) continue;  // offline: it cannot run there anyway
    const auto& place = to[static_cast<std::size_t>(core - from.begin()) % to.size()];
    out.insert(at(place, position_in(*core, cpu) % place.size()));
  }
  return out;
}

bool is_whole_nodes(const Machine& m, const CpuSet& mask) {
  CpuSet nodes;
  for (const auto& node : m.nodes)
    if (node.cpus && node.cpus->intersects(mask)) nodes |= *node.cpus;
  return nodes == mask;
}

std::vector<PageMove> plan_moves(const Machine& m, const ProcessInfo& p, const NodeSet& target) {
  std::vector<PageMove> moves;
  if (!p.memory || target.empty()) return moves;
  const auto own = p.memory->own();
  int turn = 0;
  // What lies in a GPU's own memory (Grace Hopper) was put there for the GPU.
  for (const NodeId from : dram_nodes(m) - target) {
    const auto bytes = own.find(number(from));
    const int slot = turn++ % target.size();
    if (bytes == own.end() || bytes->second == 0) continue;
    auto to = target.begin();
    std::advance(to, slot);
    moves.push_back({number(from), number(*to), bytes->second});
  }
  return moves;
}

/// "bind:1", "prefer (many):0-1", "interleave=static:0-1" -> the nodes; nothing for "default" and "local".
NodeSet nodes_in_policy(std::string_view policy) {
  const auto colon = policy.rfind(':');
  if (colon == policy.npos) return {};
  return NodeSet::parse(policy.substr(colon + 1)).value_or(NodeSet{});
}

/// Nobody can change another process's memory policy: what it allocates later goes where its policy says.
void warn_of_policy(const ProcessInfo& p, const NodeSet& target, std::vector<std::string>& warnings) {
  if (!p.memory || target.empty()) return;
  const auto strays = nodes_in_policy(p.memory->policy) - target;
  if (!strays.empty())
    warnings.push_back(fmt::format("process {} has the memory policy {}, which only it can change: what it allocates from now on "
                                   "may still go to node {}", p.pid, p.memory->policy, strays.to_list()));
  const auto own = std::count_if(p.memory->own_policy.begin(), p.memory->own_policy.end(),
                                 [&](const Vma& v) { return !(nodes_in_policy(v.policy) - target).empty(); });
  if (own > 0)
    warnings.push_back(fmt::format("process {} has {} mapping{} with a memory policy for other nodes, which only it can change",
                                   p.pid, own, own == 1 ? "" : "s"));
}

void warn_of_room(const Machine& m, const ProcessChange& change, std::vector<std::string>& warnings) {
  for (const auto& node : m.nodes) {
    std::uint64_t coming = 0;
    for (const auto& move : change.moves)
      if (move.to == number(node.id)) coming += move.bytes;
    if (node.memory_free_bytes && coming > *node.memory_free_bytes)
      warnings.push_back(fmt::format("node {} has less free memory than process {} brings: some of it may stay where it is",
                                     number(node.id), change.pid));
  }
}

const ProcessChange* find(const RebindState& state, const ProcessInfo& p) {
  for (const auto& known : state.processes)
    if (known.pid == p.pid && known.start_ticks == p.start_ticks) return &known;
  return nullptr;
}

/// The old mask of whoever made this thread.
std::optional<CpuSet> inherited(const RebindState& state, const CpuSet& now) {
  for (const auto& process : state.processes)
    for (const auto& thread : process.threads)
      if (thread.after == now) return thread.before;
  return std::nullopt;
}

}  // namespace

CpuSet whole_mask(std::span<const ProcessInfo> processes) {
  CpuSet whole;
  for (const auto& p : processes)
    for (const auto& t : p.threads) whole |= t.allowed_cpus;
  return whole;
}

ThreadChange change_thread(const Machine& m, const ThreadInfo& thread, const CpuSet& whole, const RebindTarget& target) {
  const CpuSet online = online_cpus(m);
  ThreadChange change{thread.tid, thread.allowed_cpus, thread.allowed_cpus, false};
  if (target.cpus.empty()) return change;
  const CpuSet mask = thread.allowed_cpus & online;  // the kernel's lists may name CPUs that do not exist
  const bool own = !mask.empty() && mask != (whole & online) && !is_whole_nodes(m, mask);
  const bool inside = !mask.empty() && target.cpus.contains(mask);
  change.own_shape = own && !target.force;
  if (target.force || (!own && (!inside || target.named))) change.after = target.cpus;
  else if (!inside) change.after = carry_over(m, mask, target.cpus);
  if (change.after.empty()) change.after = target.cpus;
  if (change.after == mask) change.after = change.before;
  return change;
}

ProcessChange change_process(const Machine& m, const ProcessInfo& p, const CpuSet& whole, const RebindTarget& target) {
  ProcessChange change{p.pid, p.start_ticks, p.name, {}, {}, {}};
  for (const auto& t : p.threads) change.threads.push_back(change_thread(m, t, whole, target));
  const NodeSet nodes = p.allowed_mems.empty() ? target.nodes : target.nodes & p.allowed_mems;
  if (nodes.empty() && !target.nodes.empty())
    change.warnings.push_back(fmt::format("process {} may use memory of node {} only (its cpuset): its pages stay", p.pid,
                                          p.allowed_mems.to_list()));
  for (const auto& denied : p.denied)
    if (!nodes.empty() && denied.starts_with("numa_maps"))
      change.warnings.push_back(fmt::format("the memory of process {} cannot be seen and stays where it is: {}", p.pid, denied));
  change.moves = plan_moves(m, p, nodes);
  warn_of_policy(p, nodes, change.warnings);
  warn_of_room(m, change, change.warnings);
  return change;
}

bool changes_anything(const ProcessChange& change) {
  return !change.moves.empty() ||
         std::any_of(change.threads.begin(), change.threads.end(), [](const auto& t) { return t.before != t.after; });
}

std::vector<ProcessChange> undo_changes(const RebindState& state, std::span<const ProcessInfo> processes) {
  std::vector<ProcessChange> out;
  for (const auto& p : processes) {
    const ProcessChange* known = find(state, p);
    ProcessChange change{p.pid, p.start_ticks, p.name, {}, {}, {}};
    for (const auto& t : p.threads) {
      std::optional<CpuSet> old;
      if (known)
        for (const auto& k : known->threads)
          if (k.tid == t.tid) old = k.before;
      if (!old) old = inherited(state, t.allowed_cpus);
      if (old) change.threads.push_back({t.tid, t.allowed_cpus, *old, false});
    }
    if (!change.threads.empty()) out.push_back(std::move(change));
  }
  return out;
}

}  // namespace numapin
