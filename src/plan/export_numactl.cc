// numactl(8) and taskset(1).
#include <fmt/format.h>

#include "base/text.h"
#include "plan/export.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

/// The option of a memory policy; "" where numactl would change nothing.
std::string memory_option(const MemoryPolicy& policy) {
  const auto nodes = policy.nodes.to_list();
  switch (policy.mode) {
    case MemoryMode::kPreferred:
      // --preferred is in every numactl; the form for several nodes came with 2.0.15 and Linux 5.15.
      return policy.nodes.size() == 1 ? "--preferred=" + nodes : "--preferred-many=" + nodes;
    case MemoryMode::kPreferredOne: return fmt::format("--preferred={}", number(policy.nodes.first()));
    case MemoryMode::kBind: return "--membind=" + nodes;
    case MemoryMode::kInterleave: return "--interleave=" + nodes;
    case MemoryMode::kWeightedInterleave: return "--weighted-interleave=" + nodes;  // numactl 2.0.19
    case MemoryMode::kLocal: return "--localalloc";
    case MemoryMode::kDefault:
    case MemoryMode::kNone: break;
  }
  return "";
}

}  // namespace

std::string numactl_arguments(const Placement& p) {
  std::vector<std::string> words;
  if (!p.cpus.empty()) words.push_back("--physcpubind=" + p.cpus.to_list());
  if (p.memory.balancing) words.push_back("--balancing");
  if (auto memory = memory_option(p.memory); !memory.empty()) words.push_back(std::move(memory));
  return join(words, " ");
}

Result<std::string> export_numactl(const ExportRequest& r) {
  const auto command = command_words(r, "COMMAND");
  return one_command_a_rank(r, [&](const Placement& p) {
    const auto arguments = numactl_arguments(p);
    return env_words(p) + (arguments.empty() ? command : fmt::format("numactl {} -- {}", arguments, command));
  });
}

Result<std::string> export_taskset(const ExportRequest& r) {
  const auto command = command_words(r, "COMMAND");
  return one_command_a_rank(r, [&](const Placement& p) {
    std::string lost;
    if (p.memory.mode != MemoryMode::kNone && p.memory.mode != MemoryMode::kDefault)
      lost = fmt::format("# taskset sets no memory policy; wanted: {}\n", describe(p.memory));
    return lost + env_words(p) + (p.cpus.empty() ? command : fmt::format("taskset --cpu-list {} {}", p.cpus.to_list(), command));
  });
}

}  // namespace numapin
