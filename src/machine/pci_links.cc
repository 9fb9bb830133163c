// The class of the path between two devices, computed from the PCI tree in nvidia-smi's words, where no source told.
#include <algorithm>
#include <map>

#include "machine/devices.h"

namespace numapin {

namespace {

struct End {
  DeviceRef ref;
  const PciDevice* function;               ///< null: not in the tree
  std::vector<const PciDevice*> bridges;   ///< nearest first
  Fact<NodeSet> nodes;
};

template <class Device>
void add_ends(std::vector<End>& ends, const Machine& m, DeviceRef::Type type, const std::vector<Device>& devices) {
  for (const auto& d : devices) {
    const auto address = address_of(d);
    const auto* function = address ? find_pci(m, *address) : nullptr;
    ends.push_back({{type, d.index}, function, function ? upstream(m, *function) : std::vector<const PciDevice*>{}, d.numa_nodes});
  }
}

std::optional<LinkKind> through_bridges(const End& a, const End& b) {
  for (std::size_t i = 0; i < a.bridges.size(); ++i) {
    const auto common = std::find(b.bridges.begin(), b.bridges.end(), a.bridges[i]);
    if (common == b.bridges.end()) continue;
    // A switch is two bridges deep (downstream port, upstream port): up to one below the common bridge on either side
    // it is one and the same switch.
    const bool is_one_switch = i <= 1 && common - b.bridges.begin() <= 1;
    return is_one_switch ? LinkKind::kPix : LinkKind::kPxb;
  }
  return std::nullopt;
}

std::string_view host_bridge(const End& e) {
  return e.bridges.empty() || !e.function->host_bridge.empty() ? e.function->host_bridge : e.bridges.back()->host_bridge;
}

/// Nothing where the tree or the nodes do not say: a VM shows each device below a root of its own.
std::optional<LinkKind> classify(const End& a, const End& b) {
  if (!a.function || !b.function) return std::nullopt;
  if (a.function == b.function) return LinkKind::kPix;
  if (const auto found = through_bridges(a, b)) return found;
  const bool both_placed = a.nodes && b.nodes;
  // Also where both hang on one host bridge: devices of several nodes on it are a hypervisor's invention.
  if (both_placed && !a.nodes->intersects(*b.nodes)) return LinkKind::kSys;
  if (host_bridge(a).empty() || host_bridge(b).empty()) return std::nullopt;
  if (host_bridge(a) == host_bridge(b)) return LinkKind::kPhb;
  if (both_placed && *a.nodes == *b.nodes && a.nodes->size() == 1) return LinkKind::kNode;
  return std::nullopt;
}

bool is_virtual_function(const End& e) { return e.function && e.function->physfn; }

/// GPUs with all; NICs among themselves as the matrix has them, but not their virtual functions: there can be hundreds.
bool is_wanted(const End& a, const End& b) {
  if (a.ref.type == DeviceRef::Type::kGpu || b.ref.type == DeviceRef::Type::kGpu) return true;
  return !is_virtual_function(a) && !is_virtual_function(b);
}

using LinkTable = std::map<std::pair<DeviceRef, DeviceRef>, Link>;

/// A source that told one direction only (a table cut short) is believed for the other one.
void mirror(LinkTable& table) {
  LinkTable other_way;
  for (const auto& [key, link] : table) {
    const std::pair reversed(key.second, key.first);
    if (table.contains(reversed)) continue;
    auto copy = link;
    std::swap(copy.from, copy.to);
    other_way.emplace(reversed, copy);
  }
  table.merge(other_way);
}

void classify_pair(LinkTable& table, const End& a, const End& b) {
  const auto known = table.find({a.ref, b.ref});
  if (known != table.end() && known->second.source != Source::kPciTree) return;
  const auto kind = classify(a, b);
  if (!kind) return;
  Link link;
  link.kind = *kind;
  link.source = Source::kPciTree;
  for (const auto& [from, to] : {std::pair(a.ref, b.ref), std::pair(b.ref, a.ref)}) {
    link.from = from;
    link.to = to;
    table[{from, to}] = link;
  }
}

}  // namespace

void complete_links(Machine& m) {
  LinkTable table;
  for (const auto& link : m.links) table.emplace(std::pair(link.from, link.to), link);
  mirror(table);
  std::vector<End> ends;
  add_ends(ends, m, DeviceRef::Type::kGpu, m.gpus);
  if (!m.gpus.empty()) add_ends(ends, m, DeviceRef::Type::kNic, m.nics);
  for (std::size_t i = 0; i < ends.size(); ++i)
    for (std::size_t j = i + 1; j < ends.size(); ++j)
      if (is_wanted(ends[i], ends[j])) classify_pair(table, ends[i], ends[j]);
  m.links.clear();
  for (const auto& [key, link] : table) m.links.push_back(link);
}

}  // namespace numapin
