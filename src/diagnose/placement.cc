// Is a process where its GPU is?
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/units.h"
#include "diagnose/near.h"
#include "numapin/findings.h"

namespace numapin {
namespace {

// A share of strays below both of these is start-up noise: pages that the loader touched, a library's private copy.
constexpr double kStrayShare = 0.10;
constexpr std::uint64_t kStrayBytes = 8 << 20;

std::string nodes_text(const NodeSet& nodes) {
  return fmt::format("node{} {}", nodes.size() == 1 ? "" : "s", nodes.to_list());
}

NodeSet nodes_of(const Machine& m, const CpuSet& cpus) {
  NodeSet out;
  for (const auto& node : m.nodes)
    if (node.cpus && node.cpus->intersects(cpus)) out.insert(node.id);
  return out;
}

struct Judge {
  const Machine& machine;
  const ProcessInfo& process;
  NodeSet near_nodes;     // of the GPUs
  CpuSet near_cpus;       // of these nodes
  NodeSet near_memory;    // of these nodes, or the nearest with memory
  std::string gpus_text;  // "GPU 0 on node 0"

  std::vector<std::string> problems;
  bool wrong = false, loose = false, cpus_wrong = false, memory_wrong = false;

  void judge_cpus();
  void judge_memory();
  PlacementVerdict verdict() const;
};

void Judge::judge_cpus() {
  const CpuSet online = online_cpus(machine);
  int far = 0, everywhere = 0, partly = 0;
  CpuSet far_cpus, all;
  std::set<std::string> stray_names;
  for (const auto& t : process.threads) {
    const CpuSet allowed = t.allowed_cpus & online;
    all |= allowed;
    if (near_cpus.contains(allowed)) continue;
    stray_names.insert(t.name);
    if (allowed == online) ++everywhere;
    else if (!allowed.intersects(near_cpus)) { ++far; far_cpus |= allowed; }
    else ++partly;
  }
  const int count = static_cast<int>(process.threads.size()), strays = far + everywhere + partly;
  if (strays == 0) return;
  cpus_wrong = true;
  if (far == count) {
    wrong = true;
    problems.push_back(fmt::format("cpus on {}, {}", nodes_text(nodes_of(machine, far_cpus)), gpus_text));
  } else if (everywhere == count) {
    loose = true;
    problems.push_back("allowed everywhere: free to migrate");
  } else if (strays == count) {
    loose = true;
    problems.push_back(fmt::format("allowed on {}, {}", nodes_text(nodes_of(machine, all)), gpus_text));
  } else {
    auto& found = far > 0 ? wrong : loose;
    found = true;
    problems.push_back(fmt::format("{} of {} threads may run off {} ({}{})", strays, count, nodes_text(near_nodes),
                                   *stray_names.begin(), stray_names.size() > 1 ? ", ..." : ""));
  }
}

void Judge::judge_memory() {
  if (!process.memory) return;
  const NodeBytes own = process.memory->own();
  const auto total = total_bytes(own);
  std::uint64_t stray = 0;
  NodeSet stray_nodes;
  for (const auto& [node, bytes] : own) {
    const auto id = static_cast<NodeId>(node);
    if (bytes == 0 || near_memory.contains(id)) continue;
    stray += bytes;
    stray_nodes.insert(id);
  }
  if (stray < kStrayBytes || static_cast<double>(stray) < kStrayShare * static_cast<double>(total)) return;
  wrong = memory_wrong = true;
  problems.push_back(fmt::format("{:.0f} % of {} on {}", 100.0 * static_cast<double>(stray) / static_cast<double>(total),
                                 size_text(total), nodes_text(stray_nodes)));
}

PlacementVerdict Judge::verdict() const {
  if (problems.empty()) return {PlacementState::kOk, fmt::format("ok: cpus and memory on {}", nodes_text(near_nodes)), ""};
  std::string line;
  for (const auto& p : problems) line += (line.empty() ? "" : "; ") + p;
  const auto mend = fmt::format("numapin rebind {}{}", process.pid, cpus_wrong && !memory_wrong ? " --cpus-only" : "");
  return {wrong ? PlacementState::kWrong : PlacementState::kLoose, line, mend};
}

bool has_one_node(const Machine& m) { return memory_nodes(m).size() <= 1 && cpu_nodes(m).size() <= 1; }
/// What has no place: it has ended, or the kernel places it.
std::optional<PlacementVerdict> judge_lifeless(const ProcessInfo& p) {
  if (p.kernel_thread) return PlacementVerdict{PlacementState::kUnknown, "a thread of the kernel, which places its own", ""};
  const auto ended = [](const ThreadInfo& t) { return t.state == 'Z' || t.state == 'X'; };
  if (!p.threads.empty() && std::all_of(p.threads.begin(), p.threads.end(), ended))
    return PlacementVerdict{PlacementState::kUnknown, "it has ended (a zombie): its parent has only to collect its status", ""};
  return std::nullopt;
}

const PlacementVerdict kOneNode{PlacementState::kOneNode, "ok: this machine has one node", ""};

}  // namespace

std::string_view to_string(PlacementState s) {
  switch (s) {
    case PlacementState::kOk: return "ok";
    case PlacementState::kOneNode: return "one-node";
    case PlacementState::kLoose: return "loose";
    case PlacementState::kWrong: return "wrong";
    case PlacementState::kUnknown: return "unknown";
  }
  return "unknown";
}

PlacementVerdict judge_placement(const Machine& m, const ProcessInfo& p, const std::vector<int>& gpus) {
  if (const auto none = judge_lifeless(p)) return *none;
  if (has_one_node(m)) return kOneNode;
  Judge judge{m, p, {}, {}, {}, {}, {}};
  for (const int index : gpus) {
    const auto gpu = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.index == index; });
    if (gpu == m.gpus.end() || !gpu->numa_nodes)
      return {PlacementState::kUnknown, fmt::format("the node of GPU {} is unknown", index), "numapin topo"};
    judge.gpus_text += fmt::format("{}GPU {} on {}", judge.gpus_text.empty() ? "" : ", ", index, nodes_text(*gpu->numa_nodes));
  }
  if (p.threads.empty()) return {PlacementState::kUnknown, "its threads cannot be read", ""};
  const auto home = place_near(m, gpus).value_or(NearPlace{});
  judge.near_nodes = home.nodes;
  judge.near_cpus = home.cpus;
  judge.near_memory = home.memory;
  judge.judge_cpus();
  judge.judge_memory();
  auto verdict = judge.verdict();
  if (verdict.state == PlacementState::kOk && !p.memory)
    verdict.line = fmt::format("ok: cpus on {}; its memory cannot be read", nodes_text(judge.near_nodes));
  return verdict;
}

PlacementVerdict judge_without_gpu(const Machine& m, const ProcessInfo& p) {
  if (const auto none = judge_lifeless(p)) return *none;
  if (has_one_node(m)) return kOneNode;
  if (p.threads.empty()) return {PlacementState::kUnknown, "its threads cannot be read", ""};
  const CpuSet online = online_cpus(m);
  CpuSet allowed;
  for (const auto& t : p.threads) allowed |= t.allowed_cpus & online;
  if (allowed == online) return {PlacementState::kUnknown, "uses no GPU; allowed everywhere: free to migrate", ""};
  Judge judge{m, p, {}, {}, {}, {}, {}};
  judge.near_nodes = nodes_of(m, allowed);
  judge.near_memory = memory_near(m, judge.near_nodes);
  judge.judge_memory();
  if (judge.problems.empty())
    return {PlacementState::kOk, fmt::format("uses no GPU; cpus and memory on {}", nodes_text(judge.near_nodes)), ""};
  return {PlacementState::kWrong, fmt::format("cpus on {}, {}", nodes_text(judge.near_nodes), judge.problems.front()),
          fmt::format("numapin rebind {}", p.pid)};
}

CpuSet shared_cores(const Machine& m, const CpuSet& a, const CpuSet& b) {
  const int wide = online_cpus(m).size() / 4;
  if (a.size() > wide || b.size() > wide) return {};
  CpuSet out;
  for (const auto& core : m.cores)
    if (core.cpus.intersects(a) && core.cpus.intersects(b) && !(core.cpus & a).intersects(b)) out |= core.cpus & a;
  return out;
}

PlacementVerdict judge_siblings(const Machine& m, const ProcessInfo& main, const ProcessInfo& worker, PlacementVerdict verdict) {
  CpuSet a, b;
  for (const auto& t : main.threads) a |= t.allowed_cpus;
  for (const auto& t : worker.threads) b |= t.allowed_cpus;
  const CpuSet shared = shared_cores(m, a & online_cpus(m), b & online_cpus(m));
  if (shared.empty()) return verdict;
  const auto text = fmt::format("main and worker share SMT siblings ({} of process {})", shared.to_list(), main.pid);
  const bool content = verdict.state == PlacementState::kOk || verdict.state == PlacementState::kOneNode;
  verdict.line = content || verdict.line.empty() ? text : verdict.line + "; " + text;
  verdict.state = PlacementState::kWrong;
  // All of the node for both: then the kernel keeps them apart.
  verdict.mend = fmt::format("numapin rebind {} --cpus-only --force", main.pid);
  return verdict;
}

}  // namespace numapin
