#include "plan/numactl_spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

constexpr std::array<std::string_view, 5> kDeviceKinds = {"pci:", "netdev:", "block:", "file:", "ip:"};

template <class Id>
constexpr std::string_view kWhat = "CPU";
template <>
constexpr std::string_view kWhat<NodeId> = "node";

/// Member number `n` (from 0) of the set, for each n in `positions`: "+0,2".
template <class Id>
Result<IdSet<Id>> at_positions(const IdSet<Id>& positions, const IdSet<Id>& allowed) {
  IdSet<Id> out;
  int position = 0;
  for (Id id : allowed) {
    if (positions.contains(static_cast<Id>(position++))) out.insert(id);
  }
  if (!positions.empty() && number(positions.last()) >= position) {
    return bad_input(fmt::format("read relative {} +{}: only {} allowed ({})", kWhat<Id>, positions.to_list(),
                                 position == 1 ? "1 is" : fmt::format("{} are", position), allowed.to_list()),
                     fmt::format("+0 is the first allowed {}, +{} the last", kWhat<Id>, std::max(position - 1, 0)));
  }
  return out;
}

template <class Id>
Result<IdSet<Id>> parse_numbers(std::string_view text, bool relative, const IdSet<Id>& allowed) {
  NUMAPIN_TRY(auto ids, IdSet<Id>::parse(text));
  if (relative) return at_positions(ids, allowed);
  return ids;
}

struct Prefix {
  bool invert = false, relative = false;
};

Prefix take_prefix(std::string_view& text) {
  Prefix p;
  if (text.starts_with('!')) {
    p.invert = true;
    text.remove_prefix(1);
  }
  if (text.starts_with('+')) {
    p.relative = true;
    text.remove_prefix(1);
  }
  return p;
}

bool starts_with_letter(std::string_view text) {
  return !text.empty() && std::isalpha(static_cast<unsigned char>(text.front())) != 0;
}

/// A list in which nodes may also be devices: each item for itself. A device takes the rest of the text, as numactl's
/// does: a path may hold a comma.
Result<NodeSet> parse_mixed_nodes(std::string_view text, bool relative, const NodeSet& allowed,
                                  const FindDeviceNodes& find) {
  NodeSet out;
  while (true) {
    if (names_a_device(text)) {
      NUMAPIN_TRY(const auto nodes, find(text));
      return out | nodes;
    }
    const auto item = text.substr(0, text.find(','));
    if (item.empty()) return bad_input("read node list: an item is empty", "write 0-1,3");
    NUMAPIN_TRY(const auto nodes, parse_numbers<NodeId>(item, relative, allowed));
    out |= nodes;
    if (item.size() == text.size()) return out;
    text.remove_prefix(item.size() + 1);
  }
}

template <class Id>
Result<IdSet<Id>> finish(IdSet<Id> ids, bool invert, const IdSet<Id>& every, std::string_view text) {
  if (invert) ids = every - ids;
  if (!ids.empty()) return ids;
  return bad_input(fmt::format("read {} list \"{}\": it names none", kWhat<Id>, text),
                   invert ? fmt::format("there are {}", every.to_list()) : "write a list as 0-1,3, or all");
}

}  // namespace

bool names_a_device(std::string_view text) {
  return std::any_of(kDeviceKinds.begin(), kDeviceKinds.end(), [&](auto kind) { return text.starts_with(kind); });
}

std::optional<PciAddress> parse_pci_spec(std::string_view spec) {
  std::string text(trim(spec.substr(spec.find(':') + 1)));
  if (text.find('.') != text.npos) return PciAddress::parse(text);
  const auto fields = split(text, ':');
  // "18:00:0" ends in a function, "0000:18:00" begins with a segment: that one has four digits or more.
  const bool has_function = fields.size() == 4 || (fields.size() == 3 && fields[0].size() <= 2);
  if (has_function) text[text.rfind(':')] = '.';
  else text += ".0";
  return PciAddress::parse(text);
}

Result<NodeSet> parse_node_spec(std::string_view text, const NodeSet& allowed, const NodeSet& every,
                                const FindDeviceNodes& find) {
  auto body = trim(text);
  const auto [invert, relative] = take_prefix(body);
  if (body == "all") return finish(allowed, invert, every, text);
  const bool has_device = std::any_of(kDeviceKinds.begin(), kDeviceKinds.end(),
                                      [&](auto kind) { return body.find(kind) != body.npos; });
  if (!has_device && starts_with_letter(body)) {
    return bad_input(fmt::format("read node list \"{}\": column {}: not a number", text, text.find(body) + 1),
                     "write 0-1,3, all, same, or a device: pci: netdev: block: file: ip:");
  }
  NUMAPIN_TRY(auto nodes, has_device ? parse_mixed_nodes(body, relative, allowed, find)
                                     : parse_numbers<NodeId>(body, relative, allowed));
  return finish(std::move(nodes), invert, every, text);
}

Result<CpuSet> parse_cpu_spec(std::string_view text, const CpuSet& allowed, const CpuSet& every) {
  auto body = trim(text);
  const auto [invert, relative] = take_prefix(body);
  if (body == "all") return finish(allowed, invert, every, text);
  NUMAPIN_TRY(auto cpus, parse_numbers<CpuId>(body, relative, allowed));
  return finish(std::move(cpus), invert, every, text);
}

}  // namespace numapin
