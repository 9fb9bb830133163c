// The tables below the nodes: distances, links between GPUs, the NICs near them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "render/layout.h"
#include "render/machine_words.h"
#include "render/topo_parts.h"

namespace numapin::drawing {

std::string distances(const Machine& m, const TextStyle& style) {
  const bool known = std::any_of(m.nodes.begin(), m.nodes.end(), [](const NumaNode& n) { return n.distances.value.has_value(); });
  if (m.nodes.size() < 2 || !known) return {};
  Matrix table;
  const auto skip = empty_nodes(m);
  for (const auto& from : m.nodes) {
    if (skip.contains(from.id)) continue;
    table.rows.push_back(std::to_string(number(from.id)));
    table.columns.push_back(table.rows.back());
    auto& row = table.cells.emplace_back();
    for (const auto& to : m.nodes) {
      if (skip.contains(to.id)) continue;
      const auto d = distance(m, from.id, to.id);
      row.push_back(d ? std::to_string(*d) : "-");
    }
  }
  if (table.rows.size() < 2) return {};
  return "\n" + painted(kBold, "distances of nodes", style) + " (10 = itself)\n" +
         matrix_text(table, "  ", static_cast<std::size_t>(style.width));
}

std::string gpu_links(const Machine& m, const TextStyle& style) {
  Matrix table;
  std::set<LinkKind> kinds;
  for (const auto& from : m.gpus) {
    table.rows.push_back(fmt::format("GPU{}", from.index));
    table.columns.push_back(table.rows.back());
    auto& row = table.cells.emplace_back();
    for (const auto& to : m.gpus) {
      const auto* link = find_link(m, {DeviceRef::Type::kGpu, from.index}, {DeviceRef::Type::kGpu, to.index});
      const auto kind = from.index == to.index ? LinkKind::kSelf : link != nullptr ? link->kind : LinkKind::kDisconnected;
      const bool known = from.index == to.index || link != nullptr;
      if (known) kinds.insert(kind);
      row.push_back(from.index == to.index ? "X" : known ? to_string(*link) : "?");
    }
  }
  if (m.gpus.size() < 2 || kinds.size() < 2) return {};
  auto text = "\n" + painted(kBold, "links between GPUs", style) + "\n" +
              matrix_text(table, "  ", static_cast<std::size_t>(style.width)) + "\n";
  for (const auto kind : kinds) {
    const auto word = kind == LinkKind::kNvlink ? "NV#" : to_string(kind);
    text += paragraph(fmt::format("  {:<4} = ", word), "         ", legend_of(kind), style);
  }
  return text;
}

std::string nearest_nic_lines(const Machine& m, const TextStyle& style) {
  std::string lines;
  for (const auto& gpu : m.gpus) {
    const auto nics = nearest_nics(m, gpu.index);
    if (!nics.empty()) lines += fmt::format("  GPU{:<3} {}\n", gpu.index, nics);
  }
  if (lines.empty()) return {};
  return "\n" + painted(kBold, "nearest NIC of each GPU", style) + "\n" + lines;
}

}  // namespace numapin::drawing
