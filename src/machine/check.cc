// Every invariant of a Machine, one function a part, each violation one readable sentence.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "numapin/machine.h"

namespace numapin {

namespace {

using Violations = std::vector<std::string>;

template <class... Args>
void report(Violations& out, fmt::format_string<Args...> format, Args&&... args) {
  out.push_back(fmt::format(format, std::forward<Args>(args)...));
}

std::string name(const DeviceRef& ref) {
  constexpr const char* kNames[] = {"gpu", "nic", "node"};
  return fmt::format("{} {}", kNames[static_cast<int>(ref.type)], ref.index);
}

/// Keys must rise from one element to the next: sorted, and none twice.
template <class T, class Key, class Show>
void check_rising(Violations& out, std::string_view what, const std::vector<T>& all, Key key, Show show) {
  for (std::size_t i = 1; i < all.size(); ++i) {
    const auto& before = all[i - 1];
    const auto& here = all[i];
    if (key(here) == key(before)) report(out, "{} {} is there twice", what, show(here));
    if (key(here) < key(before)) report(out, "{} {} comes after {}: not sorted", what, show(here), show(before));
  }
}

template <class T>
void check_fact(Violations& out, const std::string& subject, const Fact<T>& fact) {
  if (fact.value.has_value() && fact.source == Source::kNone) report(out, "{} is known but has no source", subject);
  if (!fact.value.has_value() && fact.source != Source::kNone)
    report(out, "{} is unknown but has the source {}", subject, to_string(fact.source));
}

void check_subset(Violations& out, const std::string& subject, const CpuSet& part, const CpuSet& whole,
                  std::string_view name_of_whole) {
  if (const auto extra = part - whole; !extra.empty())
    report(out, "{} has CPUs {} that are not {}", subject, extra.to_list(), name_of_whole);
}

/// What the other checks measure against; nullopt where the machine does not know it.
struct Reference {
  std::optional<CpuSet> online;
  NodeSet nodes;  ///< empty: the machine knows no node, and nothing is said about references to nodes
};

Reference make_reference(const Machine& m) {
  Reference r;
  r.online = m.online.value;
  for (const auto& node : m.nodes) r.nodes.insert(node.id);
  return r;
}

void check_cpus_of(Violations& out, const std::string& subject, const CpuSet& cpus, const Reference& r) {
  if (r.online) check_subset(out, subject, cpus, *r.online, "online");
}

void check_nodes_of(Violations& out, const std::string& subject, const NodeSet& nodes, const Reference& r) {
  if (const auto extra = nodes - r.nodes; !r.nodes.empty() && !extra.empty())
    report(out, "{} names node {}, which the machine does not have", subject, extra.to_list());
}

void check_machine_facts(Violations& out, const Machine& m) {
  check_fact(out, "hostname", m.hostname);
  check_fact(out, "cpu_model", m.cpu_model);
  check_fact(out, "architecture", m.architecture);
  check_fact(out, "kernel_release", m.kernel_release);
  check_fact(out, "driver_version", m.driver_version);
  check_fact(out, "online", m.online);
  check_fact(out, "offline", m.offline);
  if (m.online && m.online->empty()) report(out, "no CPU is online");
  if (m.online && m.offline && m.online->intersects(*m.offline))
    report(out, "CPUs {} are both online and offline", (*m.online & *m.offline).to_list());
}

void check_access(Violations& out, const std::string& subject, const MemoryAccess& a, const Reference& r) {
  check_nodes_of(out, subject + " access0", a.initiators, r);
  for (const auto& value : {a.read_latency_ns, a.write_latency_ns, a.read_bandwidth_mb_per_s, a.write_bandwidth_mb_per_s})
    if (value && *value <= 0) report(out, "{} access0 has the value {}, which is not positive", subject, *value);
}

void check_distances(Violations& out, const std::string& subject, const NumaNode& node, const Reference& r) {
  if (!node.distances) return;
  for (const auto& [to, value] : *node.distances) {
    if (to < 0) report(out, "{} has a distance to node {}", subject, to);
    else check_nodes_of(out, subject + " distances", NodeSet{to}, r);
    if (value <= 0) report(out, "{} has distance {} to node {}, which is not positive", subject, value, to);
    if (to == number(node.id) && value != 10)
      report(out, "{} has distance {} to itself instead of 10", subject, value);
  }
}

void check_nodes(Violations& out, const Machine& m, const Reference& r) {
  check_rising(out, "node", m.nodes, [](const NumaNode& n) { return n.id; },
               [](const NumaNode& n) { return number(n.id); });
  for (const auto& node : m.nodes) {
    const auto subject = fmt::format("node {}", number(node.id));
    if (number(node.id) < 0) report(out, "{} has a negative number", subject);
    check_fact(out, subject + " cpus", node.cpus);
    check_fact(out, subject + " memory_total_bytes", node.memory_total_bytes);
    check_fact(out, subject + " memory_free_bytes", node.memory_free_bytes);
    check_fact(out, subject + " kind", node.kind);
    check_fact(out, subject + " distances", node.distances);
    check_fact(out, subject + " access0", node.access0);
    check_fact(out, subject + " gpu", node.gpu);
    if (node.cpus) check_cpus_of(out, subject, *node.cpus, r);
    if (node.access0) check_access(out, subject, *node.access0, r);
    check_distances(out, subject, node, r);
    const auto& total = node.memory_total_bytes;
    const auto& free = node.memory_free_bytes;
    if (total && free && total.source == free.source && *free > *total)
      report(out, "{} has {} bytes free of {}", subject, *free, *total);
    if (node.gpu && !find_gpu(m, *node.gpu))
      report(out, "{} is the memory of GPU {}, which the machine does not have", subject, node.gpu->to_string());
  }
}

void check_packages(Violations& out, const Machine& m, const Reference& r) {
  check_rising(out, "package", m.packages, [](const Package& p) { return p.id; }, [](const Package& p) { return p.id; });
  CpuSet seen;
  for (const auto& package : m.packages) {
    const auto subject = fmt::format("package {}", package.id);
    check_cpus_of(out, subject, package.cpus, r);
    if (package.cpus.intersects(seen))
      report(out, "{} shares CPUs {} with another", subject, (package.cpus & seen).to_list());
    seen |= package.cpus;
  }
}

/// Cores and L3 groups: not empty, by first CPU, disjoint, online.
template <class T>
void check_groups(Violations& out, std::string_view what, const std::vector<T>& all, const Reference& r) {
  CpuSet seen;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& cpus = all[i].cpus;
    if (cpus.empty()) {
      report(out, "{} number {} has no CPU", what, i);
      continue;
    }
    const auto subject = fmt::format("{} {}", what, cpus.to_list());
    check_cpus_of(out, subject, cpus, r);
    if (cpus.intersects(seen)) report(out, "{} shares CPUs {} with another", subject, (cpus & seen).to_list());
    if (i > 0 && !all[i - 1].cpus.empty() && cpus.first() < all[i - 1].cpus.first())
      report(out, "{} comes after {}: not sorted", subject, all[i - 1].cpus.to_list());
    seen |= cpus;
  }
}

void check_cores(Violations& out, const Machine& m, const Reference& r) {
  check_groups(out, "core", m.cores, r);
  for (const auto& core : m.cores) {
    const auto subject = "core " + core.cpus.to_list();
    if (core.node) {
      check_nodes_of(out, subject, NodeSet::of(*core.node), r);
      const auto* node = find_node(m, *core.node);
      if (node && node->cpus) check_subset(out, subject, core.cpus, *node->cpus, fmt::format("of its node {}", number(*core.node)));
    }
    if (!core.package || m.packages.empty()) continue;
    const auto package = std::find_if(m.packages.begin(), m.packages.end(),
                                      [&](const Package& p) { return p.id == *core.package; });
    if (package == m.packages.end())
      report(out, "{} is in package {}, which the machine does not have", subject, *core.package);
    else
      check_subset(out, subject, core.cpus, package->cpus, fmt::format("of its package {}", *core.package));
  }
}

bool is_function_valid(const PciAddress& a) { return a.device <= 0x1f && a.function <= 7; }

void check_link_speed(Violations& out, const std::string& subject, const Fact<PciLink>& link) {
  check_fact(out, subject, link);
  if (link && (link->gt_per_s <= 0 || link->width <= 0))
    report(out, "{} is known but has {} GT/s and {} lanes", subject, link->gt_per_s, link->width);
}

/// Parents must exist, be bridges' addresses and lead upwards without a ring.
void check_parents(Violations& out, const Machine& m, const PciDevice& device) {
  std::set<PciAddress> seen{device.address};
  for (const auto* at = &device; at->parent;) {
    if (!seen.insert(*at->parent).second) {
      report(out, "pci {} is below itself: its parents form a ring", device.address.to_string());
      return;
    }
    const auto* above = find_pci(m, *at->parent);
    if (!above) {
      if (at == &device)
        report(out, "pci {} has the parent {}, which the machine does not have", device.address.to_string(),
               device.parent->to_string());
      return;
    }
    at = above;
  }
}

void check_pci(Violations& out, const Machine& m, const Reference& r) {
  check_rising(out, "pci", m.pci, [](const PciDevice& d) { return d.address; },
               [](const PciDevice& d) { return d.address.to_string(); });
  for (const auto& device : m.pci) {
    const auto subject = "pci " + device.address.to_string();
    if (!is_function_valid(device.address)) report(out, "{} has a device above 1f or a function above 7", subject);
    if (device.class_code > 0xffffff) report(out, "{} has a class of more than 24 bits", subject);
    check_fact(out, subject + " numa_node", device.numa_node);
    check_fact(out, subject + " local_cpus", device.local_cpus);
    check_link_speed(out, subject + " link", device.link);
    check_link_speed(out, subject + " link_max", device.link_max);
    if (device.numa_node && number(*device.numa_node) < 0) report(out, "{} has a negative numa_node", subject);
    if (device.physfn && (*device.physfn == device.address)) report(out, "{} is its own physical function", subject);
    if (device.physfn && !find_pci(m, *device.physfn))
      report(out, "{} has the physical function {}, which the machine does not have", subject, device.physfn->to_string());
    check_parents(out, m, device);
  }
  (void)r;
}

template <class Device>
void check_device(Violations& out, const std::string& subject, const Device& d, const Reference& r) {
  check_fact(out, subject + " numa_nodes", d.numa_nodes);
  check_fact(out, subject + " local_cpus", d.local_cpus);
  if (d.numa_nodes && d.numa_nodes->empty()) report(out, "{} is near to no node: that must be unknown", subject);
  if (d.numa_nodes) check_nodes_of(out, subject, *d.numa_nodes, r);
}

template <class Device>
void check_index(Violations& out, std::string_view what, const std::vector<Device>& all) {
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].index != static_cast<int>(i)) report(out, "{} number {} has the index {}", what, i, all[i].index);
}

/// By address, those without one last.
template <class Device, class Key>
void check_address_order(Violations& out, std::string_view what, const std::vector<Device>& all, Key key) {
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (key(all[i]) == key(all[i - 1]) && key(all[i])) report(out, "{} {} has the address of another", what, i);
    if (!key(all[i])) continue;
    if (!key(all[i - 1])) report(out, "{} {} has an address but comes after one without", what, i);
    else if (*key(all[i]) < *key(all[i - 1])) report(out, "{} {} is not in the order of PCI addresses", what, i);
  }
}

void check_mig(Violations& out, const std::string& subject, const std::vector<MigInstance>& mig) {
  std::set<std::string> seen;
  for (const auto& instance : mig)
    if (!instance.uuid.empty() && !seen.insert(instance.uuid).second)
      report(out, "{} has the MIG instance {} twice", subject, instance.uuid);
}

void check_gpus(Violations& out, const Machine& m, const Reference& r) {
  check_index(out, "gpu", m.gpus);
  using Key = std::optional<std::pair<PciAddress, int>>;
  check_address_order(out, "gpu", m.gpus, [](const Gpu& g) {
    return g.address ? Key({*g.address, g.partition.value_or(-1)}) : std::nullopt;
  });
  std::set<std::string> uuids;
  std::set<int> nvml;
  for (const auto& gpu : m.gpus) {
    const auto subject = fmt::format("gpu {}", gpu.index);
    check_fact(out, subject + " uuid", gpu.uuid);
    check_fact(out, subject + " model", gpu.model);
    check_fact(out, subject + " memory_bytes", gpu.memory_bytes);
    check_fact(out, subject + " nvml_index", gpu.nvml_index);
    check_fact(out, subject + " cuda_ordinal", gpu.cuda_ordinal);
    check_fact(out, subject + " minor", gpu.minor);
    check_fact(out, subject + " memory_node", gpu.memory_node);
    check_device(out, subject, gpu, r);
    check_mig(out, subject, gpu.mig);
    if (gpu.address && !is_function_valid(*gpu.address)) report(out, "{} has an impossible address", subject);
    if (gpu.memory_node) check_nodes_of(out, subject + " memory_node", NodeSet::of(*gpu.memory_node), r);
    if (gpu.uuid && !gpu.partition && !uuids.insert(*gpu.uuid).second) report(out, "{} has the UUID of another", subject);
    if (gpu.nvml_index && !nvml.insert(*gpu.nvml_index).second) report(out, "{} has the NVML index of another", subject);
  }
}

void check_nics(Violations& out, const Machine& m, const Reference& r) {
  check_index(out, "nic", m.nics);
  for (const auto& nic : m.nics) {
    const auto subject = fmt::format("nic {}", nic.index);
    check_device(out, subject, nic, r);
    check_fact(out, subject + " speed_mb_per_s", nic.speed_mb_per_s);
    if (nic.speed_mb_per_s && *nic.speed_mb_per_s <= 0) report(out, "{} has a speed that is not positive", subject);
  }
}

void check_nvme(Violations& out, const Machine& m, const Reference& r) {
  check_index(out, "nvme", m.nvme);
  for (const auto& drive : m.nvme) check_device(out, fmt::format("nvme {}", drive.index), drive, r);
}

bool exists(const Machine& m, const DeviceRef& ref, const Reference& r) {
  const auto below = [&](std::size_t size) { return ref.index >= 0 && static_cast<std::size_t>(ref.index) < size; };
  switch (ref.type) {
    case DeviceRef::Type::kGpu: return below(m.gpus.size());
    case DeviceRef::Type::kNic: return below(m.nics.size());
    case DeviceRef::Type::kNode: return r.nodes.empty() || (ref.index >= 0 && find_node(m, static_cast<NodeId>(ref.index)));
  }
  return false;
}

void check_links(Violations& out, const Machine& m, const Reference& r) {
  const auto key = [](const Link& l) { return std::pair(l.from, l.to); };
  const auto show = [](const Link& l) { return fmt::format("{} to {}", name(l.from), name(l.to)); };
  check_rising(out, "link", m.links, key, show);
  std::set<std::pair<DeviceRef, DeviceRef>> keys;
  for (const auto& link : m.links) keys.insert(key(link));
  for (const auto& link : m.links) {
    for (const auto& end : {link.from, link.to})
      if (!exists(m, end, r)) report(out, "link {} names {}, which the machine does not have", show(link), name(end));
    if (!keys.contains({link.to, link.from})) report(out, "link {} has no counterpart in the other direction", show(link));
    if ((link.from == link.to) != (link.kind == LinkKind::kSelf))
      report(out, "link {} is {}: a device is X to itself and to nothing else", show(link), to_string(link));
    if (link.source == Source::kNone) report(out, "link {} has no source", show(link));
    if (link.count && *link.count < 1) report(out, "link {} counts {} links", show(link), *link.count);
  }
}

}  // namespace

std::vector<std::string> check(const Machine& m) {
  Violations out;
  const auto reference = make_reference(m);
  check_machine_facts(out, m);
  check_nodes(out, m, reference);
  check_packages(out, m, reference);
  check_cores(out, m, reference);
  check_groups(out, "L3", m.l3, reference);
  check_pci(out, m, reference);
  check_gpus(out, m, reference);
  check_nics(out, m, reference);
  check_nvme(out, m, reference);
  check_links(out, m, reference);
  return out;
}

}  // namespace numapin
