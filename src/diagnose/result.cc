#include "diagnose/result.h"

#include <algorithm>

#include "base/text.h"
#include "numapin/findings.h"

namespace numapin::doctor {

CheckResult settle(std::vector<Finding> findings, std::string line) {
  if (findings.empty()) return fine(std::move(line));
  std::stable_sort(findings.begin(), findings.end(), [](const auto& a, const auto& b) { return a.severity > b.severity; });
  const auto& first = findings.front();
  line = first.about.empty() ? first.is : first.about + ": " + first.is;
  return {CheckResult::State::kFound, std::move(line), std::move(findings)};
}

std::string nodes_text(const NodeSet& nodes) {
  return fmt::format("node{} {}", nodes.size() == 1 ? "" : "s", nodes.to_list());
}

std::string gpus_text(const std::vector<int>& gpus) {
  CpuSet set;  // for its list format
  for (const int gpu : gpus) set.insert(CpuId{gpu});
  return fmt::format("GPU{} {}", gpus.size() == 1 ? "" : "s", set.to_list());
}

std::string name_of(const Subject& s) {
  switch (s.kind) {
    case Subject::Kind::kShell: return "this shell";
    case Subject::Kind::kCommand: return "'" + s.command + "'";
    case Subject::Kind::kProcess: return fmt::format("process {} ({})", s.process.pid, s.process.name);
  }
  return "";
}

std::string count_text(std::size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string write_each(std::string_view value, const CpuSet& numbers, std::string_view before, std::string_view behind) {
  std::vector<std::string> words;
  const auto list = numbers.to_list();
  if (numbers.size() == 1) return fmt::format("echo {} >{}{}{}", value, before, list, behind);
  for (const auto part : split(list, ',')) {
    const auto ends = split(part, '-');
    words.push_back(ends.size() == 1 ? std::string(part) : fmt::format("$(seq {} {})", ends[0], ends[1]));
  }
  return fmt::format("for i in {}; do echo {} >\"{}$i{}\"; done", join(words, " "), value, before, behind);
}

std::string by_hand(std::string_view words, std::string_view command) {
  std::string out = fmt::format("# {}: ", words);
  for (const char c : command) {
    out += c;
    if (c == '\n') out += "# ";
  }
  return out;
}

const Gpu* gpu_at(const Machine& m, int index) {
  const auto it = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.index == index; });
  return it == m.gpus.end() ? nullptr : &*it;
}

std::optional<NodeSet> near_nodes(const Machine& m, const std::vector<int>& gpus) {
  NodeSet out;
  for (const int index : gpus) {
    const auto* gpu = gpu_at(m, index);
    if (gpu == nullptr || !gpu->numa_nodes) return std::nullopt;
    out |= *gpu->numa_nodes;
  }
  if (out.empty()) return std::nullopt;
  return out;
}

NodeSet nodes_of(const Machine& m, const CpuSet& cpus) {
  NodeSet out;
  for (const auto& node : m.nodes)
    if (node.cpus && node.cpus->intersects(cpus)) out.insert(node.id);
  return out;
}

CpuSet allowed_cpus(const Machine& m, const Subject& s) {
  CpuSet all;
  for (const auto& t : s.process.threads) all |= t.allowed_cpus;
  return all & online_cpus(m);
}

int core_count(const Machine& m, const CpuSet& cpus) {
  return static_cast<int>(std::count_if(m.cores.begin(), m.cores.end(), [&](const Core& c) { return c.cpus.intersects(cpus); }));
}

bool has_one_node(const Machine& m) { return dram_nodes(m).size() <= 1 && cpu_nodes(m).size() <= 1; }

std::optional<std::string> variable(const Subject& s, const std::string& name) {
  if (!s.env) return std::nullopt;
  const auto it = s.env->find(name);
  if (it == s.env->end()) return std::nullopt;
  return it->second;
}

PolicyWords parse_policy(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto end = std::min(text.find('='), colon);
  PolicyWords out{std::string(text.substr(0, end)), {}};
  if (colon != text.npos)
    if (auto nodes = NodeSet::parse(text.substr(colon + 1))) out.nodes = *nodes;
  return out;
}

std::optional<PolicyWords> policy_of(const Subject& s) {
  if (!s.process.memory || s.process.memory->policy.empty()) return std::nullopt;
  return parse_policy(s.process.memory->policy);
}

}  // namespace numapin::doctor
