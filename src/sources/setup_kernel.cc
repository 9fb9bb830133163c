// Settings of the kernel: each file that is not there is an unknown fact.
#include "base/numbers.h"
#include "base/text.h"
#include "plan/room.h"
#include "sources/read.h"
#include "sources/setup.h"

namespace numapin {
namespace {

using sources::entries;
using sources::numbered_entries;
using sources::read_number;
using sources::read_text;

/// "always [madvise] never" -> "madvise"
std::optional<std::string> chosen_word(const FileTree& tree, const std::string& path) {
  const auto text = read_text(tree, path);
  if (!text) return std::nullopt;
  const auto open = text->find('['), close = text->find(']');
  if (open == text->npos || close == text->npos || close < open) return std::nullopt;
  return text->substr(open + 1, close - open - 1);
}

std::vector<CpuFrequency> read_frequencies(const FileTree& tree) {
  const std::string dir = "/sys/devices/system/cpu/cpufreq";
  std::vector<CpuFrequency> out;
  for (const int n : numbered_entries(tree, dir, "policy")) {
    const auto policy = dir + "/policy" + std::to_string(n);
    const auto governor = read_text(tree, policy + "/scaling_governor");
    if (!governor) continue;  // of a CPU that is offline
    out.push_back({read_text(tree, policy + "/scaling_driver").value_or(""), *governor,
                   read_text(tree, policy + "/energy_performance_preference").value_or(""), n});
  }
  return out;
}

std::vector<IdleState> read_idle_states(const FileTree& tree) {
  const std::string dir = "/sys/devices/system/cpu/cpu0/cpuidle";
  std::vector<IdleState> out;
  for (const int n : numbered_entries(tree, dir, "state")) {
    const auto state = dir + "/state" + std::to_string(n);
    const auto name = read_text(tree, state + "/name");
    const auto latency = read_number<int>(tree, state + "/latency");
    if (!name || !latency) continue;
    out.push_back({*name, *latency, read_number<int>(tree, state + "/disable").value_or(0) != 0, n});
  }
  return out;
}

/// Directories "hugepages-2048kB" of a node: bytes in `file`, all sizes together.
std::optional<std::uint64_t> huge_bytes(const FileTree& tree, const std::string& node, const std::string& file) {
  constexpr std::string_view kPrefix = "hugepages-", kUnit = "kB";
  std::optional<std::uint64_t> sum;
  for (const auto& name : entries(tree, node + "/hugepages")) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kUnit)) continue;
    const auto kib = parse_number<std::uint64_t>(std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kUnit.size()));
    const auto pages = read_number<std::uint64_t>(tree, node + "/hugepages/" + name + "/" + file);
    if (kib && pages) sum = sum.value_or(0) + *pages * *kib * 1024;
  }
  return sum;
}

std::map<NodeId, NodeUse> read_node_use(const FileTree& tree) {
  const std::string dir = "/sys/devices/system/node";
  std::map<NodeId, NodeUse> out;
  for (const int n : numbered_entries(tree, dir, "node")) {
    const auto node = dir + "/node" + std::to_string(n);
    NodeUse use;
    if (const auto text = tree.read(node + "/meminfo"))
      if (const auto memory = parse_node_memory(*text)) {
        use.total = memory->total;
        use.free = memory->free;
        use.clean_cache = memory->clean();
      }
    use.huge = huge_bytes(tree, node, "nr_hugepages");
    use.huge_free = huge_bytes(tree, node, "free_hugepages");
    out[NodeId{n}] = use;
  }
  return out;
}

}  // namespace

KernelFacts read_kernel_facts(const FileTree& tree) {
  KernelFacts k;
  k.command_line = read_text(tree, "/proc/cmdline");
  k.thp_enabled = chosen_word(tree, "/sys/kernel/mm/transparent_hugepage/enabled");
  k.thp_defrag = chosen_word(tree, "/sys/kernel/mm/transparent_hugepage/defrag");
  k.numa_balancing = read_number<int>(tree, "/proc/sys/kernel/numa_balancing");
  k.zone_reclaim_mode = read_number<int>(tree, "/proc/sys/vm/zone_reclaim_mode");
  k.sched_autogroup = read_number<int>(tree, "/proc/sys/kernel/sched_autogroup_enabled");
  k.frequencies = read_frequencies(tree);
  k.energy_perf_bias = read_number<int>(tree, "/sys/devices/system/cpu/cpu0/power/energy_perf_bias");
  k.idle_states = read_idle_states(tree);
  k.nodes = read_node_use(tree);
  k.smt_control = read_text(tree, "/sys/devices/system/cpu/smt/control");
  return k;
}

}  // namespace numapin
