// Changes to a machine that somebody asks about: a link at another speed, a switch at another node.
#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"
#include "numapin/analyze.h"

namespace numapin {
namespace {

constexpr double kGtPerS[] = {0, 2.5, 5, 8, 16, 32, 64};
constexpr std::string_view kForms = "gpu3=gen3x8 (a link's speed), move:gpu3=node1 (its PCIe root at another node)";

Unexpected not_understood(std::string_view spec, std::string_view why) {
  return bad_input(fmt::format("read --what-if '{}': {}", spec, why), std::string(kForms));
}

struct Target {
  PciDevice* function = nullptr;
  Fact<NodeSet>* nodes = nullptr;
};

template <class Device>
bool find_in(Machine& m, std::vector<Device>& devices, int index, Target& target) {
  const auto found = std::find_if(devices.begin(), devices.end(), [&](const Device& d) { return d.index == index; });
  if (found == devices.end()) return false;
  target.nodes = &found->numa_nodes;
  for (auto& d : m.pci)
    if (found->address && d.address == *found->address) target.function = &d;
  return true;
}

/// "gpu3", "nic0"
std::optional<Target> find_target(Machine& m, std::string_view name) {
  if (name.size() < 4) return std::nullopt;
  const auto index = parse_number<int>(name.substr(3));
  Target target;
  const bool found = index && ((name.starts_with("gpu") && find_in(m, m.gpus, *index, target)) || (name.starts_with("nic") && find_in(m, m.nics, *index, target)));
  return found ? std::optional(target) : std::nullopt;
}

std::optional<PciLink> parse_link_speed(std::string_view text) {
  const auto x = text.find('x');
  if (!text.starts_with("gen") || x == text.npos) return std::nullopt;
  const auto generation = parse_number<int>(text.substr(3, x - 3));
  const auto width = parse_number<int>(text.substr(x + 1));
  if (!generation || *generation < 1 || *generation > 6 || !width || *width < 1 || *width > 32) return std::nullopt;
  return PciLink{kGtPerS[*generation], *width};
}

PciAddress root_of(const Machine& m, const PciDevice& d) {
  const auto above = upstream(m, d);
  return above.empty() ? d.address : above.back()->address;
}

template <class Device>
void move_devices(const Machine& m, std::vector<Device>& devices, const PciAddress& root, NodeId node) {
  for (auto& d : devices) {
    const auto* function = d.address ? find_pci(m, *d.address) : nullptr;
    if (function != nullptr && root_of(m, *function) == root) d.numa_nodes = {NodeSet::of(node), Source::kUser};
  }
}

Result<std::string> move_root(Machine& m, std::string_view spec, const Target& target, std::string_view name, std::string_view where) {
  const auto id = where.starts_with("node") ? parse_number<int>(where.substr(4)) : std::nullopt;
  if (!id || find_node(m, NodeId{*id}) == nullptr) return not_understood(spec, fmt::format("'{}' is no node of this machine", where));
  if (target.function == nullptr) {
    *target.nodes = {NodeSet::of(NodeId{*id}), Source::kUser};
    return fmt::format("{} at node {}", name, *id);
  }
  const auto root = root_of(m, *target.function);
  move_devices(m, m.gpus, root, NodeId{*id});
  move_devices(m, m.nics, root, NodeId{*id});
  return fmt::format("what hangs on {} (with {}) at node {}", root.to_string(), name, *id);
}

}  // namespace

Result<std::string> apply_what_if(Machine& m, std::string_view spec) {
  auto text = spec;
  const bool moves = text.starts_with("move:");
  if (moves) text.remove_prefix(5);
  const auto equals = text.find('=');
  if (equals == text.npos) return not_understood(spec, "it has no '='");
  const auto name = text.substr(0, equals), value = text.substr(equals + 1);
  const auto target = find_target(m, name);
  if (!target) return not_understood(spec, fmt::format("'{}' is no GPU or NIC of this machine", name));
  if (moves) return move_root(m, spec, *target, name, value);
  const auto link = parse_link_speed(value);
  if (!link) return not_understood(spec, fmt::format("'{}' is no link speed", value));
  if (target->function == nullptr) return not_understood(spec, fmt::format("no source tells the PCIe function of {}", name));
  target->function->link = {*link, Source::kUser};
  target->function->link_max = {*link, Source::kUser};
  return fmt::format("{} at PCIe Gen{} x{}", name, link->generation(), link->width);
}

}  // namespace numapin
