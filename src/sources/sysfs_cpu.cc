// CPUs, cores, packages and caches from /sys/devices/system/cpu (kernel Documentation/admin-guide/cputopology.rst).
#include <algorithm>
#include <climits>
#include <map>
#include <tuple>

#include "base/text.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin::sources {
namespace {

const std::string kCpuDir = "/sys/devices/system/cpu";

std::string cpu_dir(CpuId cpu) { return kCpuDir + "/cpu" + std::to_string(number(cpu)); }

CpuSet cpu_dirs(const FileTree& tree) {
  CpuSet cpus;
  for (const int n : numbered_entries(tree, kCpuDir, "cpu")) cpus.insert(CpuId{n});
  return cpus;
}

/// Kernels before 2.6.28 have no `online` file, only a flag per CPU; CPUs that cannot be unplugged have no flag.
CpuSet online_by_flags(const FileTree& tree, const CpuSet& present) {
  CpuSet online;
  for (const CpuId cpu : present)
    if (read_number<int>(tree, cpu_dir(cpu) + "/online").value_or(1) != 0) online.insert(cpu);
  return online;
}

/// The last resort, a tree without /sys: "processor : 3" (most architectures), "processor 3: ..." (s390), "CPU3: online"
/// (sparc).
CpuSet cpus_of_cpuinfo(std::string_view text) {
  CpuSet cpus;
  const auto add = [&](std::string_view digits) {
    const auto n = parse_number<int>(trim(digits));
    if (n && *n >= 0 && *n < kMaxIds) cpus.insert(CpuId{*n});
  };
  for (const auto line : split_lines(text)) {
    const auto colon = line.find(':');
    if (colon == line.npos) continue;
    const auto key = trim(line.substr(0, colon));
    if (key == "processor") add(line.substr(colon + 1));
    else if (key.starts_with("processor ")) add(key.substr(10));
    else if (key.starts_with("CPU") && trim(line.substr(colon + 1)) == "online") add(key.substr(3));
  }
  return cpus;
}

// ---- cores ---------------------------------------------------------------------------------------------------------

struct CoreKey {
  int package, die, core;
  std::optional<NodeId> node;
  auto operator<=>(const CoreKey&) const = default;
};

/// -1 and 0xffffffff stand for "unknown" on several architectures.
std::optional<int> read_id(const FileTree& tree, const std::string& path) {
  const auto id = read_number<std::int64_t>(tree, path);
  if (!id || *id < 0 || *id > INT_MAX) return std::nullopt;
  return static_cast<int>(*id);
}

/// The node that holds all the CPUs. Where nodes overlap (a kernel's or a test's oddity) the smallest of them.
std::optional<NodeId> node_of(const Machine& m, const CpuSet& cpus) {
  const NumaNode* best = nullptr;
  for (const auto& node : m.nodes) {
    if (!node.cpus || !node.cpus->contains(cpus)) continue;
    if (best == nullptr || node.cpus->size() < best->cpus->size()) best = &node;
  }
  if (best == nullptr) return std::nullopt;
  return best->id;
}

/// The first of the files that is a set with the CPU itself in it. A list without it is no list of its siblings: in trees
/// made by hand from those of another machine only the masks were mended.
std::optional<CpuSet> read_group(const FileTree& tree, CpuId cpu, const std::string& list_path, const std::string& mask_path) {
  if (auto cpus = read_cpus(tree, list_path); cpus && cpus->contains(cpu)) return cpus;
  const auto text = tree.read(mask_path);
  auto cpus = text ? CpuSet::parse_mask(*text) : Result<CpuSet>(CpuSet{});
  if (!cpus || !cpus->contains(cpu)) return std::nullopt;
  return std::move(*cpus);
}

std::optional<CpuSet> read_siblings(const FileTree& tree, CpuId cpu) {
  const auto topology = cpu_dir(cpu) + "/topology";
  auto siblings = read_group(tree, cpu, topology + "/thread_siblings_list", topology + "/thread_siblings");
  if (!siblings) siblings = read_group(tree, cpu, topology + "/core_cpus_list", topology + "/core_cpus");
  return siblings;
}

/// Finds the SMT siblings of each CPU. Where the kernel gives no sibling files, CPUs with the same core_id in the same
/// package, die and node are one core (core_id alone repeats: on Magny-Cours in both nodes of a package).
class Siblings {
 public:
  Siblings(const FileTree& tree, const Machine& m) : tree_(tree), machine_(m) {}

  CpuSet of(CpuId cpu) {
    if (auto siblings = read_siblings(tree_, cpu)) return *siblings;
    if (!by_key_) fill_by_key();
    for (const auto& [key, cpus] : *by_key_)
      if (cpus.contains(cpu)) return cpus;
    return CpuSet::of(cpu);
  }

 private:
  void fill_by_key() {
    by_key_.emplace();
    for (const CpuId cpu : *machine_.online) {
      const auto topology = cpu_dir(cpu) + "/topology";
      const auto package = read_id(tree_, topology + "/physical_package_id");
      const auto core = read_id(tree_, topology + "/core_id");
      if (!package || !core) continue;
      const int die = read_id(tree_, topology + "/die_id").value_or(0);
      (*by_key_)[{*package, die, *core, node_of(machine_, CpuSet::of(cpu))}].insert(cpu);
    }
  }

  const FileTree& tree_;
  const Machine& machine_;
  std::optional<std::map<CoreKey, CpuSet>> by_key_;
};

/// One core for each CPU that no earlier core holds: total, also where the kernel's sibling lists contradict each other.
void add_core_list(const FileTree& tree, Machine& m) {
  Siblings siblings(tree, m);
  CpuSet placed;
  for (const CpuId cpu : *m.online) {
    if (placed.contains(cpu)) continue;
    Core core;
    core.cpus = (siblings.of(cpu) & *m.online) - placed;
    core.cpus.insert(cpu);
    core.node = node_of(m, core.cpus);
    placed |= core.cpus;
    m.cores.push_back(std::move(core));
  }
}

// ---- packages ------------------------------------------------------------------------------------------------------

/// By physical_package_id, not by package_cpus: Haswell-EP in cluster-on-die mode lists only half of the package there.
/// Where the id is unknown (POWER, s390, RISC-V, sparc) the sets of package_cpus are the packages, numbered by us.
void add_packages(const FileTree& tree, Machine& m) {
  std::map<int, CpuSet> packages;
  std::vector<Core*> without_id;
  for (auto& core : m.cores) {
    core.package = read_id(tree, cpu_dir(core.cpus.first()) + "/topology/physical_package_id");
    if (core.package) packages[*core.package] |= core.cpus;
    else without_id.push_back(&core);
  }
  int next = packages.empty() ? 0 : packages.rbegin()->first + 1;
  std::vector<std::pair<CpuSet, int>> numbered;
  for (auto* core : without_id) {
    const auto topology = cpu_dir(core->cpus.first()) + "/topology";
    const auto known = std::find_if(numbered.begin(), numbered.end(),
                                    [&](const auto& p) { return p.first.contains(core->cpus); });
    if (known != numbered.end()) {
      core->package = known->second;
    } else {
      const auto first = core->cpus.first();
      auto cpus = read_group(tree, first, topology + "/core_siblings_list", topology + "/core_siblings");
      if (!cpus) cpus = read_group(tree, first, topology + "/package_cpus_list", topology + "/package_cpus");
      if (!cpus) continue;
      core->package = next++;
      numbered.emplace_back(*cpus | core->cpus, *core->package);
    }
    packages[*core->package] |= core->cpus;
  }
  for (auto& [id, cpus] : packages) m.packages.push_back({id, std::move(cpus)});
}

// ---- caches --------------------------------------------------------------------------------------------------------

/// "32768K", as the kernel prints cache sizes
std::optional<std::uint64_t> parse_cache_size(std::string_view text) {
  std::uint64_t unit = 1;
  if (text.ends_with('K')) unit = 1024;
  if (text.ends_with('M')) unit = 1024 * 1024;
  if (unit != 1) text.remove_suffix(1);
  const auto n = parse_number<std::uint64_t>(text);
  if (!n || *n == 0) return std::nullopt;
  return *n * unit;
}

std::optional<L3Group> read_l3(const FileTree& tree, CpuId cpu) {
  const auto cache = cpu_dir(cpu) + "/cache";
  auto indexes = numbered_entries(tree, cache, "index");
  std::reverse(indexes.begin(), indexes.end());  // the L3 is the last one nearly everywhere
  for (const int index : indexes) {
    const auto dir = cache + "/index" + std::to_string(index);
    if (read_number<int>(tree, dir + "/level") != 3) continue;
    if (read_text(tree, dir + "/type") == "Instruction") continue;
    // kernels of the Itanium's time print an empty map for a cache that is not shared
    const auto cpus = read_group(tree, cpu, dir + "/shared_cpu_list", dir + "/shared_cpu_map").value_or(CpuSet::of(cpu));
    const auto size = read_text(tree, dir + "/size");
    return L3Group{cpus, size ? parse_cache_size(*size) : std::nullopt};
  }
  return std::nullopt;
}

/// Knights Landing in cache mode: MCDRAM is a cache before the memory of each node, which hwloc's dump service tells in
/// a file ("cache_size: 17179869184"; 0 in flat mode). The kernel does not show it.
void add_knights_l3(const FileTree& tree, Machine& m) {
  const auto text = tree.read("/var/run/hwloc/knl_memoryside_cache");
  const auto size = text ? field(*text, "cache_size") : std::nullopt;
  const auto bytes = size ? parse_number<std::uint64_t>(*size) : std::nullopt;
  if (!bytes || *bytes == 0) return;
  for (const auto& node : m.nodes)
    if (node.cpus && !node.cpus->empty()) m.l3.push_back({*node.cpus, *bytes});
  std::sort(m.l3.begin(), m.l3.end(), [](const L3Group& a, const L3Group& b) { return a.cpus < b.cpus; });
}

/// One look per group, not per CPU: a machine with 256 CPUs has 16 of them.
void add_l3(const FileTree& tree, Machine& m) {
  CpuSet seen;
  for (const CpuId cpu : *m.online) {
    if (seen.contains(cpu)) continue;
    auto group = read_l3(tree, cpu);
    if (!group) continue;
    group->cpus = (group->cpus & *m.online) - seen;
    group->cpus.insert(cpu);
    seen |= group->cpus;
    m.l3.push_back(std::move(*group));
  }
  if (m.l3.empty()) add_knights_l3(tree, m);
}

// ---- kinds of cores ------------------------------------------------------------------------------------------------

/// Intel hybrid processors: one PMU a kind of core, with the CPUs it counts on (since Linux 5.13).
void add_hybrid_kinds(const FileTree& tree, Machine& m) {
  const auto performance = read_cpus(tree, "/sys/devices/cpu_core/cpus");
  if (!performance) return;
  for (auto& core : m.cores) core.kind = performance->contains(core.cpus.first()) ? "P" : "E";
}

/// The first file that the first core has is asked of all cores: kernels give it for all CPUs or for none.
template <class Set>
void add_core_number(const FileTree& tree, Machine& m, std::initializer_list<const char*> files, Set set) {
  if (m.cores.empty()) return;
  for (const std::string file : files) {
    if (!read_number<int>(tree, cpu_dir(m.cores.front().cpus.first()) + file)) continue;
    for (auto& core : m.cores) set(core, read_number<int>(tree, cpu_dir(core.cpus.first()) + file));
    return;
  }
}

}  // namespace

Result<void> add_cpu_list(const FileTree& tree, Machine& m) {
  auto present = read_cpus(tree, kCpuDir + "/present");
  auto online = read_cpus(tree, kCpuDir + "/online");
  if (!online || online->empty()) {
    if (const auto dirs = cpu_dirs(tree); !dirs.empty()) {
      if (!present) present = dirs;
      online = online_by_flags(tree, dirs);
    } else if (const auto cpuinfo = tree.read("/proc/cpuinfo")) {
      online = cpus_of_cpuinfo(*cpuinfo);
    }
  }
  if (!online || online->empty())
    return fail(Error::Kind::kNotFound, "read " + kCpuDir + "/online: no file tells which CPUs there are",
                "the tree must have /sys/devices/system/cpu or /proc/cpuinfo of the machine");
  m.online = {*online, Source::kSysfs};
  if (present) m.offline = {*present - *online, Source::kSysfs};
  return {};
}

void add_cores(const FileTree& tree, Machine& m) {
  add_core_list(tree, m);
  add_packages(tree, m);
  add_l3(tree, m);
  add_hybrid_kinds(tree, m);
  add_core_number(tree, m, {"/cpu_capacity"}, [](Core& core, std::optional<int> n) { core.capacity = n; });
  // amd_pstate has files of its own since Linux 5.17 where the firmware lacks the generic ones
  add_core_number(tree, m, {"/acpi_cppc/highest_perf", "/cpufreq/amd_pstate_highest_perf"},
                  [](Core& core, std::optional<int> n) { core.highest_perf = n; });
}

}  // namespace numapin::sources
