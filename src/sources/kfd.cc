// AMD's KFD topology (kernel drivers/gpu/drm/amd/amdkfd/kfd_topology.c): compute partitions, xGMI links, unique ids.
#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "base/text.h"
#include "sources/read.h"
#include "sources/sysfs.h"

namespace numapin {
namespace {

using sources::read_text;

/// "name value" lines
using Properties = std::map<std::string, std::uint64_t, std::less<>>;

Properties parse_properties(std::string_view text) {
  Properties p;
  for (const auto line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() != 2) continue;
    if (const auto n = parse_number<std::uint64_t>(words[1])) p[std::string(words[0])] = *n;
  }
  return p;
}

std::uint64_t get(const Properties& p, std::string_view key) {
  const auto at = p.find(key);
  return at == p.end() ? 0 : at->second;
}

struct IoLink {
  int to = 0;
  std::uint64_t type = 0;
  int weight = 0;
};
constexpr std::uint64_t kXgmiLink = 11;  // CRAT_IOLINK_TYPE_XGMI; 2 is PCI Express

struct KfdNode {
  int id = 0;
  Properties properties;
  std::string name;
  std::uint64_t gpu_memory_bytes = 0, system_memory_bytes = 0;
  std::vector<IoLink> links;
  bool has_cpus() const { return get(properties, "cpu_cores_count") > 0; }
  bool is_gpu() const { return get(properties, "simd_count") > 0; }
};

void add_memory_banks(const FileTree& tree, const std::string& dir, KfdNode& node) {
  for (const int bank : sources::numbered_entries(tree, dir, "")) {
    const auto text = tree.read(dir + "/" + std::to_string(bank) + "/properties");
    if (!text) continue;
    const auto p = parse_properties(*text);
    // heap types: 0 system memory, 1 and 2 frame buffer (visible and not visible to the CPU)
    if (get(p, "heap_type") == 0) node.system_memory_bytes += get(p, "size_in_bytes");
    if (get(p, "heap_type") == 1 || get(p, "heap_type") == 2) node.gpu_memory_bytes += get(p, "size_in_bytes");
  }
}

void add_links(const FileTree& tree, const std::string& dir, KfdNode& node) {
  for (const int link : sources::numbered_entries(tree, dir, "")) {
    const auto text = tree.read(dir + "/" + std::to_string(link) + "/properties");
    if (!text) continue;
    const auto p = parse_properties(*text);
    node.links.push_back({static_cast<int>(get(p, "node_to")), get(p, "type"), static_cast<int>(get(p, "weight"))});
  }
}

enum class Detail { kIds, kAll };

/// Nothing where the node cannot be read: a cgroup without the device makes its files EPERM.
std::optional<KfdNode> read_node(const FileTree& tree, const std::string& nodes, int id, Detail detail) {
  const auto dir = nodes + "/" + std::to_string(id);
  const auto text = tree.read(dir + "/properties");
  if (!text) return std::nullopt;
  KfdNode node;
  node.id = id;
  node.properties = parse_properties(*text);
  if (detail == Detail::kIds) return node;
  if (node.is_gpu()) node.name = read_text(tree, dir + "/name").value_or("");
  add_memory_banks(tree, dir + "/mem_banks", node);
  add_links(tree, dir + "/io_links", node);
  return node;
}

/// location_id is bus << 8 | device << 3 | function. On a partitioned GPU the driver puts the partition's number where
/// the function's is, though only function 0 exists.
PciAddress location(const KfdNode& node) {
  const auto id = get(node.properties, "location_id");
  PciAddress a;
  a.domain = static_cast<std::uint32_t>(get(node.properties, "domain"));
  a.bus = static_cast<std::uint8_t>(id >> 8);
  a.device = static_cast<std::uint8_t>(id >> 3 & 0x1f);
  a.function = static_cast<std::uint8_t>(id & 7);
  return a;
}

/// Partitions of one GPU: the same PCI function, or functions of one PCI device that share the chip's unique id.
bool same_gpu(const KfdNode& a, const KfdNode& b) {
  const auto x = location(a), y = location(b);
  if (x == y) return true;
  const auto id = get(a.properties, "unique_id");
  return std::tie(x.domain, x.bus, x.device) == std::tie(y.domain, y.bus, y.device) && id != 0 &&
         id == get(b.properties, "unique_id");
}

/// CPU nodes get their numbers in the order of the NUMA nodes with CPUs, and a GPU's link goes to the one whose place in
/// that order is the PCI device's numa_node (kfd_crat.c: proximity_domain_to). So the place is the NUMA node's number.
/// Where numa_node is -1 the driver writes 0: with a PCI tree at hand, its numa_node says the same and more.
std::map<int, NodeId> numa_numbers(const std::vector<KfdNode>& nodes) {
  std::map<int, NodeId> numbers;
  for (const auto& node : nodes)
    if (node.has_cpus()) numbers.emplace(node.id, NodeId{static_cast<int>(numbers.size())});
  return numbers;
}

/// The CPU nodes with the cheapest link; an APU is its own.
NodeSet nearest_nodes(const KfdNode& gpu, const std::map<int, NodeId>& numbers) {
  if (const auto own = numbers.find(gpu.id); own != numbers.end()) return NodeSet::of(own->second);
  NodeSet nearest;
  int best = INT32_MAX;
  for (const auto& link : gpu.links) {
    const auto cpu = numbers.find(link.to);
    if (cpu == numbers.end() || link.weight > best) continue;
    if (link.weight < best) nearest = {};
    best = link.weight;
    nearest.insert(cpu->second);
  }
  return nearest;
}

Gpu make_gpu(const KfdNode& node, const std::map<int, NodeId>& numbers) {
  Gpu gpu;
  gpu.address = location(node);
  gpu.vendor = static_cast<std::uint16_t>(get(node.properties, "vendor_id"));
  gpu.device = static_cast<std::uint16_t>(get(node.properties, "device_id"));
  if (const auto id = get(node.properties, "unique_id")) gpu.uuid = {fmt::format("GPU-{:016x}", id), Source::kKfd};
  if (const auto minor = get(node.properties, "drm_render_minor"))
    gpu.minor = {static_cast<int>(minor), Source::kKfd};
  if (node.gpu_memory_bytes != 0) gpu.memory_bytes = {node.gpu_memory_bytes, Source::kKfd};
  if (const auto known = device_name(gpu.vendor, gpu.device); !known.empty()) gpu.model = {std::string(known), Source::kKfd};
  // since the driver finds its blocks by itself, the name of every GPU is "ip discovery"
  else if (!node.name.empty() && node.name != "ip discovery") gpu.model = {node.name, Source::kKfd};
  if (auto nearest = nearest_nodes(node, numbers); !nearest.empty()) gpu.numa_nodes = {nearest, Source::kKfd};
  return gpu;
}

/// The GPUs by (address, partition), and which KFD node each is.
struct GpuList {
  std::vector<Gpu> gpus;
  std::map<int, int> index_of_node;
};

GpuList make_gpus(const std::vector<KfdNode>& nodes) {
  const auto numbers = numa_numbers(nodes);
  std::vector<std::vector<const KfdNode*>> groups;
  for (const auto& node : nodes) {
    if (!node.is_gpu()) continue;
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return same_gpu(*g.front(), node); });
    if (group == groups.end()) groups.push_back({&node});
    else group->push_back(&node);
  }
  const auto first_location = [](const auto& group) {
    PciAddress first = location(*group.front());
    for (const auto* node : group) first = std::min(first, location(*node));
    return first;
  };
  std::sort(groups.begin(), groups.end(),
            [&](const auto& a, const auto& b) { return first_location(a) < first_location(b); });
  GpuList list;
  for (const auto& group : groups) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      auto gpu = make_gpu(*group[i], numbers);
      gpu.address = first_location(group);
      if (group.size() > 1) gpu.partition = static_cast<int>(i);
      gpu.index = static_cast<int>(list.gpus.size());
      list.index_of_node[group[i]->id] = gpu.index;
      list.gpus.push_back(std::move(gpu));
    }
  }
  return list;
}

/// xGMI links between GPUs. The driver lists both directions; a missing one (a node that may not be read) is filled in.
std::vector<Link> make_links(const std::vector<KfdNode>& nodes, const std::map<int, int>& index_of_node) {
  std::map<std::pair<DeviceRef, DeviceRef>, Link> links;
  for (const auto& node : nodes) {
    const auto from = index_of_node.find(node.id);
    if (from == index_of_node.end()) continue;
    for (const auto& io : node.links) {
      const auto to = index_of_node.find(io.to);
      if (io.type != kXgmiLink || to == index_of_node.end() || to->second == from->second) continue;
      Link link;
      link.from = {DeviceRef::Type::kGpu, from->second};
      link.to = {DeviceRef::Type::kGpu, to->second};
      link.kind = LinkKind::kXgmi;
      link.weight = io.weight;
      link.source = Source::kKfd;
      links[{link.from, link.to}] = link;
      std::swap(link.from, link.to);
      links.emplace(std::pair(link.from, link.to), link);
    }
  }
  std::vector<Link> out;
  for (auto& [key, link] : links) out.push_back(link);
  return out;
}

std::vector<KfdNode> read_nodes(const FileTree& tree, const std::string& nodes, Detail detail, Machine& m) {
  std::vector<KfdNode> out;
  for (const int id : sources::numbered_entries(tree, nodes, "")) {
    if (auto node = read_node(tree, nodes, id, detail)) out.push_back(std::move(*node));
    else m.notes.push_back("KFD node " + std::to_string(id) + " cannot be read, left out");
  }
  return out;
}

Result<Machine> read_kfd(const FileTree& tree, std::string_view root, Detail detail) {
  const auto dir = std::string(root) + "/nodes";
  if (!tree.list(dir)) return fail(Error::Kind::kNotFound, "read " + dir + ": there is no KFD topology here",
                                   "the directory must be the one that holds nodes/, as /sys/class/kfd/kfd/topology");
  Machine m;
  const auto nodes = read_nodes(tree, dir, detail, m);
  for (const auto& [kfd, id] : numa_numbers(nodes)) {
    NumaNode node;
    node.id = id;
    const auto of = std::find_if(nodes.begin(), nodes.end(), [k = kfd](const KfdNode& n) { return n.id == k; });
    if (of->system_memory_bytes != 0) node.memory_total_bytes = {of->system_memory_bytes, Source::kKfd};
    m.nodes.push_back(std::move(node));
  }
  auto list = make_gpus(nodes);
  m.links = make_links(nodes, list.index_of_node);
  m.gpus = std::move(list.gpus);
  return m;
}

constexpr std::string_view kRoot = "/sys/class/kfd/kfd/topology";

/// GPUs of the PCI tree get KFD's facts; one with several partitions becomes as many GPUs with its address. The nodes
/// stay with the PCI device's numa_node wherever there is a PCI device.
void join_kfd(const Result<Machine>& kfd, Machine& m) {
  if (!kfd) return;
  m.notes.insert(m.notes.end(), kfd->notes.begin(), kfd->notes.end());
  if (kfd->gpus.empty()) return;
  std::vector<Gpu> gpus;
  for (auto& gpu : m.gpus)
    if (find_gpu(*kfd, *gpu.address) == nullptr) gpus.push_back(std::move(gpu));
  for (const auto& gpu : kfd->gpus) {
    gpus.push_back(gpu);
    auto& nodes = gpus.back().numa_nodes;
    const bool known = nodes && std::all_of(nodes->begin(), nodes->end(), [&](NodeId n) { return find_node(m, n) != nullptr; });
    if (find_pci(m, *gpu.address) != nullptr || !known) nodes = {};
  }
  std::stable_sort(gpus.begin(), gpus.end(), [](const Gpu& a, const Gpu& b) {
    return std::tie(a.address, a.partition) < std::tie(b.address, b.partition);
  });
  // index still holds KFD's number, by which the links name their ends
  std::map<int, int> new_index;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    if (find_gpu(*kfd, *gpus[i].address) != nullptr) new_index[gpus[i].index] = static_cast<int>(i);
    gpus[i].index = static_cast<int>(i);
  }
  for (auto link : kfd->links) {
    link.from.index = new_index.at(link.from.index);
    link.to.index = new_index.at(link.to.index);
    m.links.push_back(link);
  }
  std::sort(m.links.begin(), m.links.end(),
            [](const Link& a, const Link& b) { return std::tie(a.from, a.to) < std::tie(b.from, b.to); });
  m.gpus = std::move(gpus);
}

}  // namespace

Result<Machine> from_kfd(const FileTree& tree, std::string_view root) { return read_kfd(tree, root, Detail::kAll); }

void sources::add_kfd(const FileTree& tree, Machine& m) { join_kfd(read_kfd(tree, kRoot, Detail::kAll), m); }

void sources::add_kfd_ids(const FileTree& tree, Machine& m) { join_kfd(read_kfd(tree, kRoot, Detail::kIds), m); }

}  // namespace numapin
