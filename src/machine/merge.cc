// merge(): what one source knows and another does not, joined device by device; differences are returned, not settled.
// What was only computed (bridge, one-node, cpu-list, pci-tree) gives way to what a source states.
#include <fmt/format.h>

#include <algorithm>

#include "machine/devices.h"

namespace numapin {

namespace {

// ---- values in words, for disagreements -------------------------------------------------------------------------------

std::string show(const std::string& s) { return s; }
std::string show(int i) { return std::to_string(i); }
std::string show(std::uint64_t i) { return std::to_string(i); }
std::string show(NodeId id) { return std::to_string(number(id)); }
std::string show(const CpuSet& s) { return s.to_list(); }
std::string show(const NodeSet& s) { return s.to_list(); }
std::string show(const PciAddress& a) { return a.to_string(); }
std::string show(MemoryKind k) { return std::string(to_string(k)); }
std::string show(const PciLink& l) { return fmt::format("{} GT/s x{}", l.gt_per_s, l.width); }

template <class T>
std::string show(const Fact<T>& f) {
  return fmt::format("{} ({})", show(*f), to_string(f.source));
}

// ---- when two values are the same, and when one says nothing ----------------------------------------------------------

/// Tools print sizes in MiB, rounded.
bool same(std::uint64_t a, std::uint64_t b) { return std::max(a, b) - std::min(a, b) < (std::uint64_t{1} << 20); }
template <class T>
bool same(const T& a, const T& b) { return a == b; }

template <class T>
bool says_nothing(const T&) { return false; }
bool says_nothing(MemoryKind k) { return k == MemoryKind::kUnspecified; }
bool says_nothing(const NodeSet& s) { return s.empty(); }

enum class Differ { kReport, kIgnore };

/// Joins facts, and keeps the list of what differs.
class Merger {
 public:
  explicit Merger(const Machine& both) {
    for (const auto& node : both.nodes) all_nodes_.insert(node.id);
    if (const auto with_cpus = cpu_nodes(both); !with_cpus.empty()) all_nodes_ = with_cpus;
    online_ = online_cpus(both);
  }

  template <class T>
  void fact(Fact<T>& into, const Fact<T>& other, const std::string& subject, const char* field,
            Differ differ = Differ::kReport) {
    if (!other || (into && says_nothing(*other))) return;
    const bool gives_way = !into || says_nothing(*into) || (is_derived(into.source) && !is_derived(other.source));
    if (into && !says_nothing(*into) && !same(*into, *other) && differ == Differ::kReport)
      add(subject, field, show(gives_way ? other : into), show(gives_way ? into : other));
    if (gives_way) into = other;
  }

  /// "Near to every node" is no locality.
  void nodes(Fact<NodeSet>& into, const Fact<NodeSet>& other, const std::string& subject) {
    const auto is_everything = [&](const Fact<NodeSet>& f) {
      return f && all_nodes_.size() > 1 && f->contains(all_nodes_);
    };
    if (into && is_everything(other)) return;
    if (is_everything(into) && other) into = {};
    fact(into, other, subject, "numa_nodes");
  }

  /// All online CPUs is what the kernel says when it does not know; nothing, or only a part of the others' list, is what
  /// NVML says inside a cpuset. Neither contradicts.
  void local_cpus(Fact<CpuSet>& into, const Fact<CpuSet>& other, const std::string& subject) {
    if (!other || other->empty()) return;
    const auto is_everything = [&](const Fact<CpuSet>& f) { return !online_.empty() && f->contains(online_); };
    if (into && is_everything(other)) return;
    if (!into || into->empty() || is_everything(into)) into = other;
    const bool nested = into->contains(*other) || other->contains(*into);
    fact(into, other, subject, "local_cpulist", nested ? Differ::kIgnore : Differ::kReport);
  }

  template <class T>
  void plain(std::optional<T>& into, const std::optional<T>& other) {
    if (!into) into = other;
  }
  void text(std::string& into, const std::string& other) {
    if (into.empty()) into = other;
  }
  /// PCI ids, where 0 is unknown
  template <class Int>
  void id(Int& into, Int other, const std::string& subject, const char* field) {
    if (into != 0 && other != 0 && into != other)
      add(subject, field, fmt::format("{:04x}", into), fmt::format("{:04x}", other));
    if (into == 0) into = other;
  }

  void add(const std::string& subject, std::string_view field, std::string kept, std::string other) {
    Disagreement d{field.empty() ? subject : fmt::format("{} {}", subject, field), std::move(kept), std::move(other)};
    if (std::find(found_.begin(), found_.end(), d) == found_.end()) found_.push_back(std::move(d));
  }
  std::vector<Disagreement> take() { return std::move(found_); }

 private:
  NodeSet all_nodes_;
  CpuSet online_;
  std::vector<Disagreement> found_;
};

// ---- nodes, packages, cores, caches ---------------------------------------------------------------------------------------

void merge_distances(Merger& merger, Fact<std::map<int, int>>& into, const Fact<std::map<int, int>>& other,
                     const std::string& subject) {
  if (!other) return;
  if (!into) {
    into = other;
    return;
  }
  for (const auto& [to, value] : *other) {
    const auto [at, is_new] = into.value->emplace(to, value);
    if (!is_new && at->second != value)
      merger.add(subject, fmt::format("distances to node {}", to), show(Fact<int>(at->second, into.source)),
                 show(Fact<int>(value, other.source)));
  }
}

void merge_access(Merger& merger, Fact<MemoryAccess>& into, const Fact<MemoryAccess>& other) {
  if (!other) return;
  if (!into) into = other;
  merger.plain(into.value->read_latency_ns, other->read_latency_ns);
  merger.plain(into.value->write_latency_ns, other->write_latency_ns);
  merger.plain(into.value->read_bandwidth_mb_per_s, other->read_bandwidth_mb_per_s);
  merger.plain(into.value->write_bandwidth_mb_per_s, other->write_bandwidth_mb_per_s);
  if (into->initiators.empty()) into.value->initiators = other->initiators;
}

void merge_node(Merger& merger, NumaNode& into, const NumaNode& other) {
  const auto subject = fmt::format("node {}", number(into.id));
  merger.fact(into.cpus, other.cpus, subject, "cpulist");
  merger.fact(into.memory_total_bytes, other.memory_total_bytes, subject, "memory_total_bytes");
  merger.fact(into.memory_free_bytes, other.memory_free_bytes, subject, "", Differ::kIgnore);  // changes by the second
  merger.fact(into.kind, other.kind, subject, "kind");
  merge_distances(merger, into.distances, other.distances, subject);
  merge_access(merger, into.access0, other.access0);
  merger.fact(into.gpu, other.gpu, subject, "gpu");
}

void merge_nodes(Merger& merger, Machine& into, const Machine& other) {
  for (const auto& node : other.nodes) {
    const auto same_id = [&](const NumaNode& n) { return n.id == node.id; };
    const auto found = std::find_if(into.nodes.begin(), into.nodes.end(), same_id);
    if (found == into.nodes.end()) into.nodes.push_back(node);
    else merge_node(merger, *found, node);
  }
}

/// Packages, cores and L3 groups are known by their CPUs: their numbers are each source's own. `join` fills the details
/// of the same group; a group that overlaps others without being one of them is a disagreement.
template <class Group, class Join>
void merge_groups(Merger& merger, const char* what, std::vector<Group>& into, const std::vector<Group>& other, Join join) {
  const auto known = into;
  for (const auto& group : other) {
    const auto equal = std::find_if(into.begin(), into.end(), [&](const Group& g) { return g.cpus == group.cpus; });
    if (equal != into.end()) {
      join(*equal, group);
      continue;
    }
    const auto overlap =
        std::find_if(known.begin(), known.end(), [&](const Group& g) { return g.cpus.intersects(group.cpus); });
    if (overlap == known.end()) into.push_back(group);
    else merger.add(fmt::format("{} of CPU {}", what, number((overlap->cpus & group.cpus).first())), "",
                    overlap->cpus.to_list(), group.cpus.to_list());
  }
}

/// A new package whose number is taken gets the next free one: numbers are only names, and cores refer to the old ones.
void renumber_new_packages(std::vector<Package>& packages, std::size_t known) {
  for (std::size_t i = known; i < packages.size(); ++i) {
    const auto before = packages.begin() + static_cast<std::ptrdiff_t>(i);
    const auto is_taken = [&](const Package& p) { return p.id == packages[i].id; };
    if (std::none_of(packages.begin(), before, is_taken)) continue;
    const auto by_id = [](const Package& a, const Package& b) { return a.id < b.id; };
    packages[i].id = std::max_element(packages.begin(), packages.end(), by_id)->id + 1;
  }
}

void merge_cpus(Merger& merger, Machine& into, const Machine& other) {
  const bool same_numbers = into.packages.empty() || other.packages.empty() || into.packages == other.packages;
  const auto known = into.packages.size();
  merge_groups(merger, "package", into.packages, other.packages, [](Package&, const Package&) {});
  renumber_new_packages(into.packages, known);
  const auto join_core = [&](Core& a, const Core& b) {
    if (same_numbers) merger.plain(a.package, b.package);
    merger.plain(a.node, b.node);
    merger.plain(a.capacity, b.capacity);
    merger.plain(a.highest_perf, b.highest_perf);
    merger.text(a.kind, b.kind);
  };
  auto cores = other.cores;
  if (!same_numbers)
    for (auto& core : cores) core.package = {};  // complete() finds it again by the CPUs
  merge_groups(merger, "core", into.cores, cores, join_core);
  merge_groups(merger, "L3", into.l3, other.l3,
               [&](L3Group& a, const L3Group& b) { merger.plain(a.size_bytes, b.size_bytes); });
}

// ---- PCI functions ------------------------------------------------------------------------------------------------------------

/// Some sources know only the upper 16 bits ("0302").
void merge_class(Merger& merger, std::uint32_t& into, std::uint32_t other, const std::string& subject) {
  if (into >> 8 == other >> 8) into = std::max(into, other);
  else merger.id(into, other, subject, "class");
}

void merge_function(Merger& merger, PciDevice& into, const PciDevice& other) {
  const auto subject = "pci " + into.address.to_string();
  merger.id(into.vendor, other.vendor, subject, "vendor");
  merger.id(into.device, other.device, subject, "device");
  merge_class(merger, into.class_code, other.class_code, subject);
  merger.fact(into.numa_node, other.numa_node, subject, "numa_node");
  merger.local_cpus(into.local_cpus, other.local_cpus, subject);
  // Trees of different detail (NCCL draws a switch as one bridge) are no contradiction; mixing them would be.
  if (into.host_bridge.empty() && !into.parent) into.parent = other.parent;
  merger.text(into.host_bridge, other.host_bridge);
  merger.text(into.driver, other.driver);
  merger.plain(into.physfn, other.physfn);
  merger.fact(into.link, other.link, subject, "", Differ::kIgnore);  // slows down when idle
  merger.fact(into.link_max, other.link_max, subject, "link_max");
}

void merge_pci(Merger& merger, Machine& into, const Machine& other) {
  for (const auto& device : other.pci) {
    const auto same_address = [&](const PciDevice& d) { return d.address == device.address; };
    const auto found = std::find_if(into.pci.begin(), into.pci.end(), same_address);
    if (found == into.pci.end()) into.pci.push_back(device);
    else merge_function(merger, *found, device);
  }
}

// ---- GPUs, NICs, drives ----------------------------------------------------------------------------------------------------------

template <class Device>
void merge_locality(Merger& merger, Device& into, const Device& other, const std::string& subject) {
  merger.nodes(into.numa_nodes, other.numa_nodes, subject);
  merger.local_cpus(into.local_cpus, other.local_cpus, subject);
}

void merge_device(Merger& merger, Gpu& into, const Gpu& other) {
  if (!into.address) into.address = other.address;
  const auto subject = subject_of(into);
  merger.text(into.name, other.name);
  merger.id(into.vendor, other.vendor, subject, "vendor");
  merger.id(into.device, other.device, subject, "device");
  merger.fact(into.model, other.model, subject, "", Differ::kIgnore);  // each source has its own spelling
  merger.fact(into.memory_bytes, other.memory_bytes, subject, "memory_bytes");
  merge_locality(merger, into, other, subject);
  // The rest is each partition's own: what is said of the whole function goes to the first.
  if (into.partition.value_or(0) != other.partition.value_or(0)) return;
  merger.plain(into.partition, other.partition);
  merger.fact(into.uuid, other.uuid, subject, "uuid");
  merger.fact(into.nvml_index, other.nvml_index, subject, "nvml_index");
  merger.fact(into.cuda_ordinal, other.cuda_ordinal, subject, "cuda_ordinal");
  merger.fact(into.minor, other.minor, subject, "minor");
  merger.fact(into.memory_node, other.memory_node, subject, "memory_node");
  if (into.mig.empty()) into.mig = other.mig;
}

void merge_device(Merger& merger, Nic& into, const Nic& other) {
  if (!into.address) into.address = other.address;
  const auto subject = subject_of(into);
  merger.text(into.name, other.name);
  if (into.interfaces.empty()) into.interfaces = other.interfaces;
  merger.id(into.vendor, other.vendor, subject, "vendor");
  merger.id(into.device, other.device, subject, "device");
  into.infiniband |= other.infiniband;
  merge_locality(merger, into, other, subject);
  merger.fact(into.speed_mb_per_s, other.speed_mb_per_s, subject, "speed_mb_per_s");
}

void merge_device(Merger& merger, Nvme& into, const Nvme& other) {
  merger.text(into.name, other.name);
  merge_locality(merger, into, other, subject_of(into));
}

/// One device under two names? Address; else what names it in its driver; else, where neither has an address, the index.
/// A function and its partitions are the same: partitions of different numbers are not.
bool is_same(const Gpu& a, const Gpu& b) {
  if (a.partition && b.partition && a.partition != b.partition) return false;
  if (a.address && b.address) return *a.address == *b.address;
  if (a.uuid && b.uuid) return *a.uuid == *b.uuid;
  if (a.nvml_index && b.nvml_index) return *a.nvml_index == *b.nvml_index;
  return !a.address && !b.address && a.index == b.index;
}
bool is_same(const Nic& a, const Nic& b) {
  if (a.address && b.address) return *a.address == *b.address;
  if (!a.name.empty() && !b.name.empty()) return a.name == b.name;
  return !a.address && !b.address && a.index == b.index;
}
bool is_same(const Nvme& a, const Nvme& b) { return a.address == b.address; }

/// Several of one PCI function (the ports of a NIC) are told apart by their names, and without any by their order.
template <class Device>
std::size_t same_device(const std::vector<Device>& into, std::size_t known, const Device& device, const std::map<int, int>& joined) {
  std::size_t best = known;
  int best_score = -1;
  for (std::size_t i = 0; i < known; ++i) {
    if (!is_same(into[i], device)) continue;
    const bool free = std::none_of(joined.begin(), joined.end(), [&](const auto& j) { return j.second == into[i].index; });
    const int score = (!device.name.empty() && into[i].name == device.name ? 2 : 0) + (free ? 1 : 0);
    if (score > best_score) best = i, best_score = score;
  }
  return best;
}

/// A function's partitions and its whole: all that are the same GPU.
void join_device(Merger& merger, std::vector<Gpu>& into, std::size_t known, const Gpu& device, std::map<int, int>& joined) {
  for (std::size_t i = 0; i < known; ++i) {
    if (!is_same(into[i], device)) continue;
    joined.emplace(device.index, into[i].index);
    merge_device(merger, into[i], device);
    if (device.partition) return;
  }
}
template <class Device>
void join_device(Merger& merger, std::vector<Device>& into, std::size_t known, const Device& device, std::map<int, int>& joined) {
  const auto at = same_device(into, known, device, joined);
  if (at == known) return;
  joined.emplace(device.index, into[at].index);
  merge_device(merger, into[at], device);
}

/// Returns other's index -> into's index.
template <class Device>
std::map<int, int> merge_devices(Merger& merger, std::vector<Device>& into, const std::vector<Device>& other) {
  std::map<int, int> joined;
  const auto known = into.size();
  for (const auto& device : other) {
    join_device(merger, into, known, device, joined);
    if (joined.contains(device.index)) continue;
    const int index = static_cast<int>(into.size());
    joined.emplace(device.index, index);
    into.push_back(device);
    into.back().index = index;
  }
  return joined;
}

// ---- links -----------------------------------------------------------------------------------------------------------------------

bool is_pci_class(LinkKind k) { return k >= LinkKind::kPix && k <= LinkKind::kSoc; }

/// An older word, or a matrix of PCI classes only (nvidia-smi topo -mp), contradicts nobody.
bool contradicts(const Link& a, const Link& b) {
  const auto modern = [](LinkKind k) { return k == LinkKind::kSoc ? LinkKind::kSys : k; };
  if (is_derived(a.source) || is_derived(b.source)) return false;
  if (is_pci_class(a.kind) != is_pci_class(b.kind)) return false;
  return modern(a.kind) != modern(b.kind) || (a.count && b.count && a.count != b.count);
}

/// Stated before computed; a link of the devices' own before the PCI path beside it.
bool tells_more(const Link& a, const Link& b) {
  if (is_derived(a.source) != is_derived(b.source)) return is_derived(b.source);
  return !is_pci_class(a.kind) && is_pci_class(b.kind);
}

std::string subject_of(const Machine& m, const DeviceRef& ref) {
  const auto index = static_cast<std::size_t>(ref.index);
  if (ref.type == DeviceRef::Type::kGpu && index < m.gpus.size()) return subject_of(m.gpus[index]);
  if (ref.type == DeviceRef::Type::kNic && index < m.nics.size()) return subject_of(m.nics[index]);
  return fmt::format("node {}", ref.index);
}

void merge_link(Merger& merger, const Machine& m, Link& into, const Link& other) {
  const bool replace = tells_more(other, into);
  const auto& kept = replace ? other : into;
  const auto& lost = replace ? into : other;
  if (contradicts(into, other) && into.from <= into.to) {
    const auto words = [](const Link& l) { return fmt::format("{} ({})", to_string(l), to_string(l.source)); };
    merger.add(fmt::format("link {} to {}", subject_of(m, into.from), subject_of(m, into.to)), "", words(kept), words(lost));
  }
  auto result = kept;
  if (into.kind == other.kind) {
    merger.plain(result.count, lost.count);
    merger.plain(result.version, lost.version);
    merger.plain(result.weight, lost.weight);
  }
  into = result;
}

void merge_links(Merger& merger, Machine& into, const Machine& other, const std::map<int, int>& gpus,
                 const std::map<int, int>& nics) {
  const auto renumber = [&](DeviceRef& ref) {
    if (ref.type == DeviceRef::Type::kNode) return;
    const auto& joined = ref.type == DeviceRef::Type::kGpu ? gpus : nics;
    if (const auto found = joined.find(ref.index); found != joined.end()) ref.index = found->second;
  };
  std::map<std::pair<DeviceRef, DeviceRef>, Link> table;
  for (const auto& link : into.links) table.emplace(std::pair(link.from, link.to), link);
  for (auto link : other.links) {
    renumber(link.from);
    renumber(link.to);
    const auto [at, is_new] = table.emplace(std::pair(link.from, link.to), link);
    if (!is_new) merge_link(merger, into, at->second, link);
  }
  into.links.clear();
  for (const auto& [key, link] : table) into.links.push_back(link);
}

void merge_machine_facts(Merger& merger, Machine& into, const Machine& other) {
  merger.fact(into.hostname, other.hostname, "machine", "hostname");
  merger.fact(into.cpu_model, other.cpu_model, "machine", "", Differ::kIgnore);
  merger.fact(into.architecture, other.architecture, "machine", "architecture");
  merger.fact(into.kernel_release, other.kernel_release, "machine", "kernel_release");
  merger.fact(into.driver_version, other.driver_version, "machine", "driver_version");
  merger.fact(into.online, other.online, "machine", "online_cpulist");
  merger.fact(into.offline, other.offline, "machine", "offline_cpulist");
}

}  // namespace

std::vector<Disagreement> merge(Machine& into, const Machine& other_source) {
  auto other = other_source;
  for (auto* m : {&into, &other}) {
    put_in_order(*m);
    state_kernel_nodes(*m);  // or another source's word on a device would not meet the kernel's
  }
  Machine both = into;
  both.nodes.insert(both.nodes.end(), other.nodes.begin(), other.nodes.end());
  if (!both.online) both.online = other.online;
  Merger merger(both);
  merge_machine_facts(merger, into, other);
  merge_nodes(merger, into, other);
  merge_cpus(merger, into, other);
  merge_pci(merger, into, other);
  const auto gpus = merge_devices(merger, into.gpus, other.gpus);
  const auto nics = merge_devices(merger, into.nics, other.nics);
  merge_devices(merger, into.nvme, other.nvme);
  merge_links(merger, into, other, gpus, nics);
  for (const auto& note : other.notes) add_note(into, note);
  put_in_order(into);
  return merger.take();
}

}  // namespace numapin
