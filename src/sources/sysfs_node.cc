// NUMA nodes from /sys/devices/system/node (kernel Documentation/admin-guide/mm/numaperf.rst).
#include <algorithm>

#include "base/text.h"
#include "machine/distance.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin::sources {
namespace {

const std::string kNodeDir = "/sys/devices/system/node";

std::string node_dir(NodeId id) { return kNodeDir + "/node" + std::to_string(number(id)); }

void add_memory(const FileTree& tree, const std::string& path, Source source, NumaNode& node) {
  const auto meminfo = tree.read(path);
  if (!meminfo) return;
  const auto total = memory_bytes(*meminfo, "MemTotal"), free = memory_bytes(*meminfo, "MemFree");
  if (total) node.memory_total_bytes = {*total, source};
  if (free && *free <= total.value_or(*free)) node.memory_free_bytes = {*free, source};  // a damaged recording may say more
}

/// The CPUs of a node by its links to them, for trees without cpulist and cpumap.
std::optional<CpuSet> cpus_by_links(const FileTree& tree, NodeId id) {
  CpuSet cpus;
  for (const int n : numbered_entries(tree, node_dir(id), "cpu")) cpus.insert(CpuId{n});
  if (cpus.empty()) return std::nullopt;
  return cpus;
}

/// The i-th number of a node's `distance` is that to the i-th online node. Where the count does not fit, no number can be
/// told to be any node's, and all are unknown. The kernel takes no table whose diagonal is not 10 (slit_valid() in
/// arch/x86/kernel/acpi/srat.c, numa_set_distance()).
void add_distances(const FileTree& tree, Machine& m) {
  for (auto& node : m.nodes) {
    const auto text = tree.read(node_dir(node.id) + "/distance");
    if (!text) continue;
    const auto words = split_words(trim(*text));
    std::map<int, int> row;
    for (std::size_t i = 0; i < words.size() && i < m.nodes.size(); ++i)
      if (const auto d = parse_number<int>(words[i]); d && (m.nodes[i].id == node.id ? *d == kLocalDistance : *d > 0))
        row[number(m.nodes[i].id)] = *d;
    if (words.size() != m.nodes.size() || row.size() != m.nodes.size()) {
      m.notes.push_back("distances of node " + std::to_string(number(node.id)) + ": " + std::to_string(row.size()) +
                        " usable numbers for " + std::to_string(m.nodes.size()) + " nodes, ignored");
      continue;
    }
    node.distances = {std::move(row), Source::kSysfs};
  }
}

/// HMAT's numbers for the best initiators (since Linux 5.2). A 0 is the kernel's "the firmware does not say".
void add_access(const FileTree& tree, NumaNode& node) {
  const auto dir = node_dir(node.id) + "/access0/initiators";
  const auto read = [&](const char* name) {
    const auto n = read_number<int>(tree, dir + name);
    return n && *n > 0 ? n : std::nullopt;
  };
  MemoryAccess a;
  for (const int n : numbered_entries(tree, dir, "node")) a.initiators.insert(NodeId{n});
  if (a.initiators.empty()) return;
  a.read_latency_ns = read("/read_latency");
  a.write_latency_ns = read("/write_latency");
  a.read_bandwidth_mb_per_s = read("/read_bandwidth");
  a.write_bandwidth_mb_per_s = read("/write_bandwidth");
  node.access0 = {a, Source::kSysfs};
}

/// What a DAX device's place in /sys/devices tells of the memory behind it: NVDIMMs hang below an "ndbus", CXL regions
/// below the CXL root "ACPI0017". Others ("hmem.0": memory that the firmware set aside) may be HBM as well as CXL.
std::optional<MemoryKind> kind_of_dax(std::string_view path) {
  if (path.find("/ndbus") != path.npos) return MemoryKind::kPmem;
  if (path.find("ACPI0017") != path.npos || path.find("/dax_region") != path.npos) return MemoryKind::kCxl;
  return std::nullopt;
}

/// Memory added by the kmem driver of a DAX device becomes its target_node.
void add_dax_kinds(const FileTree& tree, Machine& m) {
  const std::string devices = "/sys/bus/dax/devices";
  for (const auto& name : entries(tree, devices)) {
    const auto target = read_number<int>(tree, devices + "/" + name + "/target_node");
    const auto path = tree.resolve(devices + "/" + name);
    if (!target || !path) continue;
    const auto kind = kind_of_dax(*path);
    const auto node = std::find_if(m.nodes.begin(), m.nodes.end(), [&](const NumaNode& n) { return number(n.id) == *target; });
    if (!kind || node == m.nodes.end() || !node->cpus || !node->cpus->empty()) continue;
    node->kind = {*kind, Source::kSysfs};
  }
}

/// Knights Landing and Knights Mill: their only memory without CPUs is MCDRAM.
bool is_knights(std::string_view cpuinfo) {
  const auto model = field(cpuinfo, "model");
  return field(cpuinfo, "cpu family") == "6" && (model == "87" || model == "133") &&
         field(cpuinfo, "vendor_id") == "GenuineIntel";
}

/// HBM beside DRAM reads at least twice as fast (Xeon Max: 3 to 4 times); no CXL or persistent memory does.
constexpr int kHbmFactor = 2;

/// Memory without CPUs is compared with that of its own initiators. Nodes with CPUs are not compared with each other:
/// half-filled memory channels make such a difference too.
void add_hbm_by_bandwidth(Machine& m) {
  const auto bandwidth = [](const NumaNode* n) { return n != nullptr && n->access0 ? n->access0->read_bandwidth_mb_per_s : std::nullopt; };
  for (auto& node : m.nodes) {
    if (node.kind || !node.cpus || !node.cpus->empty() || !bandwidth(&node)) continue;
    const auto& initiators = node.access0->initiators;
    const bool faster = std::all_of(initiators.begin(), initiators.end(), [&](NodeId id) {
      const auto own = bandwidth(find_node(m, id));
      return own && *bandwidth(&node) / kHbmFactor >= *own;
    });
    if (faster) node.kind = {MemoryKind::kHbm, Source::kSysfs};
  }
}

/// Memory of a node with CPUs is DRAM unless something said otherwise; that of other nodes may be anything.
void add_kinds(const FileTree& tree, Machine& m) {
  add_dax_kinds(tree, m);
  add_hbm_by_bandwidth(m);
  const bool knights = std::any_of(m.nodes.begin(), m.nodes.end(), [](const NumaNode& n) { return n.cpus && n.cpus->empty(); }) &&
                       is_knights(read_first_cpuinfo(tree));
  for (auto& n : m.nodes) {
    if (n.kind || (n.memory_total_bytes && *n.memory_total_bytes == 0)) continue;
    const bool has_cpus = !n.cpus || !n.cpus->empty();
    const auto other = knights ? MemoryKind::kHbm : MemoryKind::kUnspecified;
    n.kind = {has_cpus ? MemoryKind::kDram : other, Source::kSysfs};
  }
}

/// A kernel without NUMA has no node directory; all its memory is one node, 0 for the system calls.
void add_only_node(const FileTree& tree, Machine& m) {
  NumaNode node;
  node.id = NodeId{0};
  node.cpus = {*m.online, Source::kOneNode};
  add_memory(tree, "/proc/meminfo", Source::kProcfs, node);
  node.distances = {{{0, 10}}, Source::kOneNode};
  node.kind = {MemoryKind::kDram, Source::kOneNode};
  m.nodes.push_back(std::move(node));
}

}  // namespace

std::optional<std::uint64_t> memory_bytes(std::string_view meminfo, std::string_view key) {
  for (const auto line : split_lines(meminfo)) {
    const auto words = split_words(line);
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (!words[i].starts_with(key) || words[i].substr(key.size()) != ":") continue;
      const auto kb = parse_number<std::uint64_t>(words[i + 1]);
      if (!kb || *kb > UINT64_MAX / 1024) return std::nullopt;
      return *kb * 1024;
    }
  }
  return std::nullopt;
}

NumaNode read_node(const FileTree& tree, NodeId id, const CpuSet& online) {
  NumaNode node;
  node.id = id;
  auto cpus = read_cpus(tree, node_dir(id) + "/cpulist", node_dir(id) + "/cpumap");
  if (!cpus) cpus = cpus_by_links(tree, id);
  // old kernels list offline CPUs too
  if (cpus) node.cpus = {*cpus & online, Source::kSysfs};
  add_memory(tree, node_dir(id) + "/meminfo", Source::kSysfs, node);
  return node;
}

void add_nodes(const FileTree& tree, Machine& m) {
  for (const int n : numbered_entries(tree, kNodeDir, "node")) {
    auto node = read_node(tree, NodeId{n}, *m.online);
    add_access(tree, node);
    m.nodes.push_back(std::move(node));
  }
  if (m.nodes.empty()) return add_only_node(tree, m);
  add_distances(tree, m);
  add_kinds(tree, m);
}

}  // namespace numapin::sources
