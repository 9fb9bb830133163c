#include "sources/hwloc_attributes.h"

#include <algorithm>
#include <limits>

namespace numapin {
namespace {

/// A field of MemoryAccess that an attribute of hwloc's fills; the plain ones fill both directions.
struct Attribute {
  std::string_view name;
  std::optional<int> MemoryAccess::* field;
  bool more_is_faster;
  bool plain;  ///< gives way to an attribute that names the direction
};
constexpr Attribute kAttributes[] = {
    {"ReadBandwidth", &MemoryAccess::read_bandwidth_mb_per_s, true, false},
    {"WriteBandwidth", &MemoryAccess::write_bandwidth_mb_per_s, true, false},
    {"ReadLatency", &MemoryAccess::read_latency_ns, false, false},
    {"WriteLatency", &MemoryAccess::write_latency_ns, false, false},
    {"Bandwidth", &MemoryAccess::read_bandwidth_mb_per_s, true, true},
    {"Bandwidth", &MemoryAccess::write_bandwidth_mb_per_s, true, true},
    {"Latency", &MemoryAccess::read_latency_ns, false, true},
    {"Latency", &MemoryAccess::write_latency_ns, false, true},
};

struct Value {
  int value = 0;
  CpuSet initiator;
};

/// The values of each target node. An initiator that is an object instead of a set of CPUs (a GPU) is left out.
std::map<NodeId, std::vector<Value>> values_of(pugi::xml_node attribute_of_memory,
                                               const std::map<std::uint64_t, NodeId>& node_of_gp_index) {
  std::map<NodeId, std::vector<Value>> out;
  for (auto entry : attribute_of_memory.children("memattr_value")) {
    const auto target = number_attribute<std::uint64_t>(entry, "target_obj_gp_index");
    const auto value = number_attribute<std::uint64_t>(entry, "value");
    const auto initiator = CpuSet::parse_mask(attribute(entry, "initiator_cpuset"));
    if (attribute(entry, "target_obj_type") != "NUMANode" || !target || !value || !initiator) continue;
    const auto node = node_of_gp_index.find(*target);
    if (node == node_of_gp_index.end() || *value == 0 || *value > std::numeric_limits<int>::max()) continue;
    out[node->second].push_back({static_cast<int>(*value), *initiator});
  }
  return out;
}

/// A memory-only node of an export carries the CPUs of its locality (docs/bugs.md): of nodes with the same CPUs only
/// the DRAM has them.
bool has_own_cpus(const Machine& m, const NumaNode& node) {
  if (!node.cpus || node.cpus->empty()) return false;
  if (node.kind) return *node.kind == MemoryKind::kDram;
  return std::none_of(m.nodes.begin(), m.nodes.end(),
                      [&](const NumaNode& other) { return other.id != node.id && other.cpus && *other.cpus == *node.cpus; });
}

void fill(const Machine& m, NumaNode& node, const Attribute& a, const std::vector<Value>& values) {
  auto access = node.access0.value_or(MemoryAccess{});
  if (a.plain && access.*a.field) return;
  const auto faster = [&](const Value& x, const Value& y) { return a.more_is_faster ? x.value > y.value : x.value < y.value; };
  const auto best = std::min_element(values.begin(), values.end(), faster)->value;
  access.*a.field = best;
  for (const auto& value : values)
    for (const auto& near : m.nodes)
      if (value.value == best && has_own_cpus(m, near) && value.initiator.contains(*near.cpus)) access.initiators.insert(near.id);
  node.access0 = {access, Source::kHwlocXml};
}

}  // namespace

void add_hwloc_memory_attributes(Machine& m, pugi::xml_node topology, const std::map<std::uint64_t, NodeId>& node_of_gp_index) {
  for (const auto& a : kAttributes)
    for (auto memattr : topology.children("memattr")) {
      if (attribute(memattr, "name") != a.name) continue;
      const auto values = values_of(memattr, node_of_gp_index);
      for (auto& node : m.nodes)
        if (const auto found = values.find(node.id); found != values.end()) fill(m, node, a, found->second);
    }
}

void add_hwloc_core_kinds(Machine& m, pugi::xml_node topology) {
  CpuSet performance, efficiency;
  for (auto kind : topology.children("cpukind")) {
    const auto cpus = CpuSet::parse_mask(attribute(kind, "cpuset"));
    for (auto info : kind.children("info")) {
      if (!cpus || attribute(info, "name") != "CoreType") continue;
      if (attribute(info, "value") == "IntelCore") performance |= *cpus;
      if (attribute(info, "value") == "IntelAtom") efficiency |= *cpus;
    }
  }
  if (performance.empty() || efficiency.empty()) return;
  for (auto& core : m.cores) {
    if (performance.contains(core.cpus)) core.kind = "P";
    else if (efficiency.contains(core.cpus)) core.kind = "E";
  }
}

}  // namespace numapin
