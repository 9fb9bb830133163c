#include "cli/compare_configs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/text.h"
#include "cli/session.h"
#include "plan/export.h"
#include "plan/policy_text.h"
#include "render/layout.h"

namespace numapin::cli {
namespace {

/// What a name changes of the job; "" leaves the job's own.
struct Config {
  std::string_view name, cpus, memory, smt;
};
constexpr std::string_view kOwn = "";
constexpr std::array kConfigs = {
    Config{"none", "none", "none", kOwn},
    Config{"cpu", kOwn, "none", kOwn},
    Config{"memory", "none", kOwn, kOwn},
    Config{"both", kOwn, kOwn, kOwn},
    Config{"socket", "socket", kOwn, kOwn},
    Config{"exclusive", "exclusive", kOwn, kOwn},
    Config{"l3", "l3", kOwn, kOwn},
    Config{"spread", "spread", kOwn, kOwn},
    Config{"smt-off", kOwn, kOwn, "off"},
    Config{"interleave", kOwn, "interleave", kOwn},
    Config{"wrong", kOwn, kOwn, kOwn},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kConfigs.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kConfigs[i].name;
  return names;
}();

// ---- the worst place -------------------------------------------------------------------------------------------------

/// The node with allowed CPUs and memory that is farthest from `near`.
std::optional<NodeId> farthest(const System& s, const NodeSet& near) {
  const auto allowed = s.allowance.cpus.value_or(online_cpus(s.machine));
  const auto mems = s.allowance.mems.value_or(memory_nodes(s.machine));
  std::optional<NodeId> found;
  int best = -1;
  for (const auto& node : s.machine.nodes) {
    if (near.contains(node.id) || !node.cpus || !node.cpus->intersects(allowed) || !mems.contains(node.id)) continue;
    const int far = near.empty() ? 0 : distance(s.machine, near.first(), node.id).value_or(0);
    if (far > best) best = far, found = node.id;
  }
  return found;
}

NodeSet nodes_with(const Machine& m, const CpuSet& cpus) {
  NodeSet out;
  for (const auto& node : m.nodes)
    if (node.cpus && node.cpus->intersects(cpus)) out.insert(node.id);
  return out;
}

Result<NodeId> make_wrong(PlannedJob& planned) {
  std::optional<NodeId> first;
  for (auto& p : planned.plan.placements) {
    const auto near = p.near_nodes.empty() ? nodes_with(planned.system.machine, p.cpus) : p.near_nodes;
    const auto far = farthest(planned.system, near);
    if (!far)
      return fail(Error::Kind::kUnsupported, "plan 'wrong': there is no other node with CPUs and memory that this job may use",
                  "leave it out of --configs");
    const auto allowed = planned.system.allowance.cpus.value_or(online_cpus(planned.system.machine));
    p.cpus = cpus_of(planned.system.machine, NodeSet::of(*far)) & allowed;
    p.memory = {MemoryMode::kPreferred, NodeSet::of(*far), false};
    if (!first) first = far;
  }
  return *first;
}

// ---- the line a user would type --------------------------------------------------------------------------------------

std::string options_of(const JobOptions& o, bool launch) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) { text += fmt::format(" --{} {}", name, value); };
  if (!o.gpu.empty()) add("gpu", o.gpu);
  else if (launch && o.processes > 0) add("nproc", std::to_string(o.processes));
  else if (launch && o.gpus != "all") add("gpus", o.gpus);
  if (o.processes_per_gpu > 1) add("nproc-per-gpu", std::to_string(o.processes_per_gpu));
  if (o.cpus != (launch ? "exclusive" : "node")) add("cpus", o.cpus);
  if (o.smt == "off") add("smt", "off");
  if (!o.memory.empty() && (o.memory != "preferred" || !o.profile.empty())) add("memory", o.memory);
  if (!o.profile.empty()) add("profile", o.profile);
  if (o.reserve > 0) add("reserve", std::to_string(o.reserve));
  if (!o.worker_cores.empty()) add("worker-cores", o.worker_cores);
  if (o.visible != "own") add("visible", o.visible);
  if (!o.measured.empty()) add("measured", shell_word(o.measured));
  return text;
}

std::string line_of(const Config& config, const JobOptions& o, std::optional<NodeId> wrong, bool one, const std::string& command) {
  if (config.name == "none" && one) return command;
  if (wrong && one) return fmt::format("numapin run -N {0} -p {0} -- {1}", number(*wrong), command);
  if (wrong) return "(each rank on the node farthest from its own) " + command;
  // `run` has no word for these.
  const bool only_launch = o.cpus == "exclusive" || o.cpus == "spread" || o.reserve > 0 || !o.worker_cores.empty() ||
                           o.visible != "own" || !o.measured.empty() || o.processes_per_gpu > 1;
  const bool launch = !one || o.processes > 0 || only_launch;
  return fmt::format("numapin {}{} -- {}", launch ? "launch" : "run", options_of(o, launch), command);
}

std::string command_text(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const auto& word : words) quoted.push_back(shell_word(word));
  return join(quoted, " ");
}

std::string placement_text(const Plan& plan) {
  std::vector<std::string> parts;
  for (const auto& p : plan.placements) {
    auto text = p.cpus.empty() ? std::string("CPUs as they are") : "CPUs " + short_list(p.cpus);
    text += p.memory.mode == MemoryMode::kNone ? "" : ", memory " + describe(p.memory);
    parts.push_back(std::move(text));
  }
  return join(parts, "; ");
}

// ---- what comes to the same ------------------------------------------------------------------------------------------

/// A placement as the kernel would see a difference: a mask of all allowed CPUs is none, and where one node has memory no
/// policy changes anything.
std::vector<std::pair<CpuSet, MemoryPolicy>> effect_of(const System& s, const Plan& plan) {
  const auto allowed = s.allowance.cpus.value_or(online_cpus(s.machine)) & online_cpus(s.machine);
  const auto mems = s.allowance.mems.value_or(memory_nodes(s.machine)) & memory_nodes(s.machine);
  std::vector<std::pair<CpuSet, MemoryPolicy>> out;
  for (const auto& p : plan.placements)
    out.emplace_back(p.cpus == allowed ? CpuSet{} : p.cpus, mems.size() < 2 ? MemoryPolicy{} : p.memory);
  return out;
}

JobOptions applied(const Config& config, JobOptions o) {
  if (config.cpus != kOwn) o.cpus = config.cpus;
  if (config.memory != kOwn) o.memory = config.memory;
  if (config.smt != kOwn) o.smt = config.smt;
  return o;
}

Result<const Config*> find_config(const std::string& name) {
  const auto at = std::find_if(kConfigs.begin(), kConfigs.end(), [&](const Config& c) { return c.name == name; });
  if (at != kConfigs.end()) return &*at;
  return bad_input(fmt::format("parse --configs: no configuration is called '{}'", name),
                   "there are " + join({kNames.begin(), kNames.end()}, ", "));
}

}  // namespace

std::span<const std::string_view> config_names() { return kNames; }

Result<PlannedConfigs> plan_configs(const std::vector<std::string>& names, const JobOptions& job,
                                    const std::vector<std::string>& command, const System& system, const Session& session) {
  PlannedConfigs out;
  std::vector<std::vector<std::pair<CpuSet, MemoryPolicy>>> effects;
  for (const auto& name : names) {
    NUMAPIN_TRY(const auto* config, find_config(name));
    const auto options = applied(*config, job);
    NUMAPIN_TRY(auto planned, plan_job(options, system, session));
    std::optional<NodeId> wrong;
    if (name == "wrong") {
      NUMAPIN_TRY(wrong, make_wrong(planned));
    }
    const auto effect = effect_of(planned.system, planned.plan);
    if (const auto same = std::find(effects.begin(), effects.end(), effect); same != effects.end()) {
      out.left_out.push_back(fmt::format("'{}' comes to the same placement as '{}' here: left out", name,
                                         out.configs[static_cast<std::size_t>(same - effects.begin())].shown.name));
      continue;
    }
    effects.push_back(effect);
    const bool one = planned.plan.placements.size() == 1;
    out.configs.push_back({{name, line_of(*config, options, wrong, one, command_text(command)), placement_text(planned.plan)},
                           std::move(planned.plan)});
  }
  return out;
}

}  // namespace numapin::cli
