#include "cli/numactl_options.h"

#include <array>
#include <fmt/format.h>

#include "plan/numactl_spec.h"
#include "plan/policy_text.h"

namespace numapin::cli {
namespace {

struct Given {
  bool given;
  std::string_view name;
};

Result<void> at_most_one(std::initializer_list<Given> options, std::string_view what) {
  std::string_view first;
  for (const auto& option : options) {
    if (!option.given) continue;
    if (first.empty()) first = option.name;
    else return bad_input(fmt::format("{} contradicts {}: both set {}", first, option.name, what), "give one of them");
  }
  return {};
}

/// What a profile sets must not be set otherwise: `run --profile inference --memory preferred` is a mistake.
Result<void> check_profile(const RunOptions& o) {
  const auto clash = [&](std::string_view option, std::string_view meaning) {
    return bad_input(fmt::format("--profile {} contradicts {}", o.profile, option),
                     fmt::format("the profile means {}; leave one of them out", meaning));
  };
  const bool memory = !o.memory.empty() || o.names_memory();
  const std::string memory_option = o.memory.empty() ? "numactl's memory option" : "--memory " + o.memory;
  if (o.profile == "inference") {
    constexpr std::string_view kMeaning = "--memory bind --smt off";
    if (memory && o.memory != "bind" && o.membind.empty()) return clash(memory_option, kMeaning);
    if (o.smt == "on") return clash("--smt on", kMeaning);
  }
  if (o.profile == "big-memory" && memory) {
    return clash(memory_option, "memory interleaved over all nodes");
  }
  return {};
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

FindDeviceNodes finder(const NumactlFacts& facts) {
  return [&facts](std::string_view spec) { return facts.device_nodes(spec); };
}

/// Nodes with memory: what numactl's "!" counts over. The list is read only when there is a "!".
Result<NodeSet> read_nodes(const std::string& text, bool all, const NumactlFacts& facts) {
  NodeSet every;
  if (text.find('!') != text.npos || all) {
    NUMAPIN_TRY(every, facts.memory_nodes());
  }
  if (all) return parse_node_spec(text, every, every, finder(facts));
  NUMAPIN_TRY(const auto allowed, facts.allowed_nodes());
  return parse_node_spec(text, allowed, every, finder(facts));
}

std::string list_or_none(const Result<NodeSet>& nodes) { return nodes && !nodes->empty() ? nodes->to_list() : "none"; }

Unexpected no_such_node(std::string_view option, NodeId node, const NumactlFacts& facts) {
  return bad_input(fmt::format("{}: node {} does not exist", option, number(node)),
                   fmt::format("nodes of this machine: {}", list_or_none(facts.online_nodes())));
}

Unexpected not_allowed(std::string_view option, NodeId node, const NodeSet& allowed) {
  return fail(Error::Kind::kDenied, fmt::format("{}: node {} is not allowed here", option, number(node)),
              fmt::format("this process's cpuset allows {} only", node_words(allowed)));
}

Result<void> check_memory_nodes(std::string_view option, const NodeSet& nodes, bool all, const NumactlFacts& facts) {
  NUMAPIN_TRY(const auto allowed, facts.allowed_nodes());
  if (allowed.contains(nodes)) return {};
  NUMAPIN_TRY(const auto online, facts.online_nodes());
  NUMAPIN_TRY(const auto with_memory, facts.memory_nodes());
  for (const NodeId node : nodes - allowed) {
    if (!online.contains(node)) return no_such_node(option, node, facts);
    if (!with_memory.contains(node)) {
      return bad_input(fmt::format("{}: node {} has no memory", option, number(node)),
                       fmt::format("nodes with memory: {}", with_memory.to_list()));
    }
    // With --all the kernel is asked all the same, as numactl does.
    if (!all) return not_allowed(option, node, allowed);
  }
  return {};
}

/// numactl refuses the CPUs of a node whose memory the cpuset forbids, and, for the same test, those of a node without
/// memory; the second is a node like any other to us.
Result<void> check_cpu_nodes(const NodeSet& nodes, const RunOptions& o, const NumactlFacts& facts) {
  if (o.all || o.cpunodebind.find('!') != o.cpunodebind.npos) return {};
  NUMAPIN_TRY(const auto allowed, facts.allowed_nodes());
  if (allowed.contains(nodes)) return {};
  NUMAPIN_TRY(const auto with_memory, facts.memory_nodes());
  const auto denied = (nodes & with_memory) - allowed;
  if (denied.empty()) return {};
  return not_allowed("--cpunodebind", denied.first(), allowed);
}

Result<CpuSet> cpus_of_nodes(const NodeSet& nodes, const NumactlFacts& facts) {
  CpuSet cpus;
  for (const NodeId node : nodes) {
    const auto found = facts.cpus_of_node(node);
    if (!found && found.error().kind == Error::Kind::kNotFound) return no_such_node("--cpunodebind", node, facts);
    if (!found) return Unexpected(found.error());
    cpus |= *found;
  }
  if (!cpus.empty()) return cpus;
  return bad_input(fmt::format("--cpunodebind: {} {} no CPUs", node_words(nodes), nodes.size() == 1 ? "has" : "have"),
                   "it is memory only: give CPUs of a node near it, and --membind for its memory");
}

// ---- CPUs -----------------------------------------------------------------------------------------------------------

Result<void> check_cpus(std::string_view option, const CpuSet& cpus, const NumactlFacts& facts) {
  NUMAPIN_TRY(const auto online, facts.online_cpus());
  if (online.contains(cpus)) return {};
  const CpuSet missing = cpus - online;
  const auto offline = facts.offline_cpus();
  const CpuSet off = offline ? missing & *offline : CpuSet{};
  const CpuSet named = off.empty() ? missing : off;
  const std::string_view verb = off.empty() ? (named.size() == 1 ? "does not exist" : "do not exist")
                                            : (named.size() == 1 ? "is offline" : "are offline");
  return bad_input(fmt::format("{}: CPU {} {}", option, named.to_list(), verb),
                   fmt::format("online CPUs: {}", online.to_list()));
}

/// numactl lets a CPU be named only inside the mask this process has, unless --all is given.
Result<CpuSet> physical_cpus(const RunOptions& o, const NumactlFacts& facts) {
  CpuSet every;
  if (o.all || o.physcpubind.find('!') != o.physcpubind.npos) {
    NUMAPIN_TRY(every, facts.online_cpus());
  }
  CpuSet allowed = every;
  if (!o.all) {
    NUMAPIN_TRY(allowed, facts.allowed_cpus());
  }
  NUMAPIN_TRY(auto cpus, parse_cpu_spec(o.physcpubind, allowed, every));
  if (allowed.contains(cpus)) return cpus;
  NUMAPIN_CHECK_OK(check_cpus("--physcpubind", cpus, facts));
  if (o.physcpubind.find('!') != o.physcpubind.npos) return cpus;
  return fail(Error::Kind::kDenied,
              fmt::format("--physcpubind: CPU {} is not allowed here", (cpus - allowed).to_list()),
              fmt::format("allowed CPUs: {}; --all goes beyond this process's mask", allowed.to_list()));
}

/// As taskset does: what is not online is left to the kernel to drop (the verdict tells), unless nothing remains.
Result<CpuSet> listed_cpus(const RunOptions& o, const NumactlFacts& facts) {
  NUMAPIN_TRY(auto cpus, CpuSet::parse(o.cpu_list));
  if (cpus.empty()) return bad_input("--cpu-list: the list is empty", "write a list as 0-3,8");
  NUMAPIN_TRY(const auto online, facts.online_cpus());
  if (!cpus.intersects(online)) NUMAPIN_CHECK_OK(check_cpus("--cpu-list", cpus, facts));
  return cpus;
}

/// A mask of all ones is a habit: what is not there is left out, as taskset does.
Result<CpuSet> masked_cpus(const RunOptions& o, const NumactlFacts& facts) {
  NUMAPIN_TRY(const auto cpus, CpuSet::parse_mask(o.cpu_mask));
  NUMAPIN_TRY(const auto online, facts.online_cpus());
  const CpuSet there = cpus & online;
  if (!there.empty()) return there;
  return bad_input(fmt::format("--cpu-mask {}: none of its CPUs is online", o.cpu_mask),
                   fmt::format("online CPUs: {} (mask {})", online.to_list(), online.to_mask()));
}

}  // namespace

Result<void> check_contradictions(const RunOptions& o) {
  if (!o.ambiguous.empty()) {
    return bad_input("-c is ambiguous: CPUs to taskset, nodes to old numactl",
                     "give --cpu-list for CPUs or --cpunodebind for nodes");
  }
  NUMAPIN_CHECK_OK(at_most_one({{!o.cpus.empty(), "--cpus"},
                                {!o.cpunodebind.empty(), "--cpunodebind"},
                                {!o.physcpubind.empty(), "--physcpubind"},
                                {!o.cpu_list.empty(), "--cpu-list"},
                                {!o.cpu_mask.empty(), "--cpu-mask"}},
                               "the CPUs"));
  NUMAPIN_CHECK_OK(at_most_one({{!o.memory.empty(), "--memory"},
                                {!o.membind.empty(), "--membind"},
                                {!o.interleave.empty(), "--interleave"},
                                {!o.weighted_interleave.empty(), "--weighted-interleave"},
                                {!o.preferred.empty(), "--preferred"},
                                {!o.preferred_many.empty(), "--preferred-many"},
                                {o.localalloc, "--localalloc"}},
                               "the memory policy"));
  if (!o.machine.empty() && !o.dry_run) {
    return bad_input("--machine needs --dry-run: a recorded machine cannot run anything",
                     "add --dry-run, or leave --machine out");
  }
  if (o.json && !o.dry_run) {
    return bad_input("--json needs --dry-run: the output belongs to the command", "add --dry-run");
  }
  if (o.dry_run && o.verify) return bad_input("--verify contradicts --dry-run: nothing is set", "give one of them");
  return check_profile(o);
}

Result<void> resolve_same(std::vector<std::string*> order) {
  const std::string* last = nullptr;
  for (auto* text : order) {
    if (*text == "same") {
      if (last == nullptr) return bad_input("same: no node list before it", "as in --cpunodebind 0 --membind same");
      *text = *last;
    }
    last = text;
  }
  return {};
}

Result<CpuSet> named_cpus(const RunOptions& o, const NumactlFacts& facts) {
  if (!o.cpunodebind.empty()) {
    NUMAPIN_TRY(const auto nodes, read_nodes(o.cpunodebind, o.all, facts));
    NUMAPIN_CHECK_OK(check_cpu_nodes(nodes, o, facts));
    return cpus_of_nodes(nodes, facts);
  }
  if (!o.physcpubind.empty()) return physical_cpus(o, facts);
  if (!o.cpu_list.empty()) return listed_cpus(o, facts);
  return masked_cpus(o, facts);
}

Result<MemoryPolicy> named_memory(const RunOptions& o, const NumactlFacts& facts) {
  struct Row {
    const std::string& text;
    std::string_view option;
    MemoryMode mode;
  };
  const std::array<Row, 5> rows = {{{o.membind, "--membind", MemoryMode::kBind},
                                    {o.interleave, "--interleave", MemoryMode::kInterleave},
                                    {o.weighted_interleave, "--weighted-interleave", MemoryMode::kWeightedInterleave},
                                    {o.preferred, "--preferred", MemoryMode::kPreferredOne},
                                    {o.preferred_many, "--preferred-many", MemoryMode::kPreferred}}};
  for (const auto& row : rows) {
    if (row.text.empty()) continue;
    NUMAPIN_TRY(auto nodes, read_nodes(row.text, o.all, facts));
    NUMAPIN_CHECK_OK(check_memory_nodes(row.option, nodes, o.all, facts));
    if (row.mode == MemoryMode::kPreferredOne && nodes.size() != 1) {
      return bad_input(fmt::format("--preferred {}: it takes one node, not {}", row.text, nodes.to_list()),
                       "--preferred-many takes several");
    }
    return MemoryPolicy{row.mode, std::move(nodes), o.balancing && row.mode == MemoryMode::kBind};
  }
  return MemoryPolicy{o.localalloc ? MemoryMode::kLocal : MemoryMode::kNone, {}};
}

Result<CpuSet> one_cpu_per_core(const CpuSet& cpus, const NumactlFacts& facts) {
  CpuSet out, rest = cpus;
  while (!rest.empty()) {
    const CpuId cpu = rest.first();
    NUMAPIN_TRY(const auto core, facts.siblings(cpu));
    out.insert(cpu);
    rest -= core;
    rest.erase(cpu);
  }
  return out;
}

}  // namespace numapin::cli
