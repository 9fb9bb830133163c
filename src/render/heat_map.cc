#include "render/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "render/layout.h"
#include "render/machine_words.h"
#include "render/palette.h"
#include "render/xml_text.h"

namespace numapin {
namespace {

std::vector<NodeId> shown_nodes(const Machine& m) {
  const auto skip = drawing::empty_nodes(m);
  std::vector<NodeId> nodes;
  for (const auto& node : m.nodes) {
    if (!skip.contains(node.id)) nodes.push_back(node.id);
  }
  return nodes;
}

int link_heat(const Link& link, int most_links) {
  switch (link.kind) {
    case LinkKind::kNvlink: return link.count.value_or(most_links) >= most_links ? 5 : 4;
    case LinkKind::kXgmi:
    case LinkKind::kC2c: return 5;
    case LinkKind::kPix: return 4;
    case LinkKind::kPxb: return 3;
    case LinkKind::kPhb: return 2;
    case LinkKind::kNode: return 1;
    default: return 0;
  }
}

int most_nvlinks(const Machine& m) {
  int most = 1;
  for (const auto& link : m.links) {
    if (link.kind == LinkKind::kNvlink) most = std::max(most, link.count.value_or(1));
  }
  return most;
}

struct LinkCells {
  const Machine& m;
  int most_links;
  std::set<LinkKind> kinds;

  HeatCell cell(DeviceRef from, DeviceRef to) {
    if (from == to) return {"·", std::nullopt, "itself"};
    const auto* link = find_link(m, from, to);
    if (link == nullptr) return {"?", std::nullopt, "unknown"};
    kinds.insert(link->kind);
    return {to_string(*link), link_heat(*link, most_links), std::string(drawing::legend_of(link->kind))};
  }
};

/// NICs that move GPU data by themselves, and that some GPU has a known link to.
std::vector<const Nic*> rdma_nics(const Machine& m) {
  std::vector<const Nic*> found;
  for (const auto& nic : m.nics) {
    const bool known = std::any_of(m.links.begin(), m.links.end(), [&](const Link& l) {
      return l.from.type == DeviceRef::Type::kGpu && l.to == DeviceRef{DeviceRef::Type::kNic, nic.index};
    });
    if (nic.infiniband && known) found.push_back(&nic);
  }
  return found;
}

constexpr std::array<std::string_view, kHeats> kHeatInks = {"heat0", "heat1", "heat2", "heat3", "heat4", "heat5"};

}  // namespace

HeatCell heat_cell(std::string text, double value, double worst, double best) {
  const double share = worst == best ? 1 : (value - worst) / (best - worst);
  return {std::move(text), static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * (kHeats - 1))), ""};
}

HeatMap distance_map(const Machine& m) {
  HeatMap map;
  map.title = "Distances of nodes";
  map.caption = "By the firmware: 10 is the node itself; larger is farther. They rank nodes, they are no latencies.";
  map.corner = "from \\ to";
  const auto nodes = shown_nodes(m);
  int farthest = 10;
  bool known = false;
  for (const auto from : nodes) {
    for (const auto to : nodes) {
      const auto d = distance(m, from, to);
      known = known || (d && from != to);
      farthest = std::max(farthest, d.value_or(10));
    }
  }
  if (nodes.size() < 2 || !known) return map;
  for (const auto from : nodes) {
    map.rows.push_back(fmt::format("node {}", number(from)));
    map.columns.push_back(std::to_string(number(from)));
    auto& row = map.cells.emplace_back();
    for (const auto to : nodes) {
      const auto d = distance(m, from, to);
      row.push_back(d ? heat_cell(std::to_string(*d), *d, farthest, 10) : HeatCell{"?", std::nullopt, "unknown"});
    }
  }
  return map;
}

HeatMap gpu_link_map(const Machine& m) {
  HeatMap map;
  map.title = "Links of GPUs";
  map.corner = "";
  const bool known = std::any_of(m.links.begin(), m.links.end(), [](const Link& l) {
    return l.from.type == DeviceRef::Type::kGpu && l.to.type == DeviceRef::Type::kGpu && l.from != l.to;
  });
  if (m.gpus.size() < 2 || !known) return map;
  LinkCells links{m, most_nvlinks(m), {}};
  const auto nics = rdma_nics(m);
  for (const auto& gpu : m.gpus) map.columns.push_back(fmt::format("GPU {}", gpu.index));
  for (const auto* nic : nics) map.columns.push_back(nic->name.empty() ? fmt::format("NIC {}", nic->index) : clean(nic->name));
  for (const auto& from : m.gpus) {
    map.rows.push_back(fmt::format("GPU {}", from.index));
    auto& row = map.cells.emplace_back();
    const DeviceRef self{DeviceRef::Type::kGpu, from.index};
    for (const auto& to : m.gpus) row.push_back(links.cell(self, {DeviceRef::Type::kGpu, to.index}));
    for (const auto* nic : nics) row.push_back(links.cell(self, {DeviceRef::Type::kNic, nic->index}));
  }
  for (const auto kind : links.kinds)
    map.legend.emplace_back(kind == LinkKind::kNvlink ? "NV#" : std::string(to_string(kind)), drawing::legend_of(kind));
  return map;
}

std::string_view ink_on(std::optional<int> heat) {
  if (!heat) return "muted";
  return *heat == 5 ? "onheat5" : *heat == 4 ? "onheat4" : "text";
}

std::string heat_html(const HeatMap& map) {
  constexpr std::size_t kMany = 10;  // columns; more fit a printed page only in small letters, below upright headings
  auto text = fmt::format("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table class=\"heat{}\" style=\"--columns:{}\">\n"
                          "<thead><tr><th scope=\"col\">{}</th>", xml_text(map.title), map.columns.size() > kMany ? " many" : "",
                          map.columns.size(), xml_text(map.corner));
  for (const auto& column : map.columns) text += "<th scope=\"col\">" + xml_text(column) + "</th>";
  text += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    text += "<tr><th scope=\"row\">" + xml_text(map.rows[r]) + "</th>";
    for (const auto& cell : map.cells[r]) {
      const auto title = cell.remark.empty() ? "" : fmt::format(" title=\"{}\"", xml_text(cell.remark));
      text += fmt::format("<td class=\"{}\"{}>{}</td>", cell.heat ? fmt::format("h{}", *cell.heat) : "none", title, xml_text(cell.text));
    }
    text += "</tr>\n";
  }
  text += "</tbody></table></div>\n";
  if (map.legend.empty()) return text;
  text += "<ul class=\"legend\">";
  for (const auto& [word, meaning] : map.legend) text += fmt::format("<li><b>{}</b> {}</li>", xml_text(word), xml_text(meaning));
  return text + "</ul>\n";
}

Drawing heat_svg(const HeatMap& map) {
  if (map.empty()) return {};
  constexpr double kSize = 10.5, kRow = 20, kTop = 30, kPadCell = 10;
  double first = text_width(map.corner, kSize), cell = 0;
  for (const auto& row : map.rows) first = std::max(first, text_width(row, kSize));
  for (const auto& column : map.columns) cell = std::max(cell, text_width(column, kSize));
  for (const auto& row : map.cells) {
    for (const auto& c : row) cell = std::max(cell, text_width(c.text, kSize));
  }
  first += kPadCell;
  cell += kPadCell;
  SvgCanvas canvas;
  canvas.text(0, 12, map.title, {.size = 13, .bold = true});
  const auto middle = SvgText::Anchor::kMiddle;
  for (std::size_t c = 0; c < map.columns.size(); ++c)
    canvas.text(first + (static_cast<double>(c) + 0.5) * cell, kTop + 5, map.columns[c], {.size = kSize, .ink = "muted", .anchor = middle});
  double y = kTop + 12;
  for (std::size_t r = 0; r < map.rows.size(); ++r, y += kRow) {
    canvas.text(0, y + 14, map.rows[r], {.size = kSize, .ink = "muted"});
    for (std::size_t c = 0; c < map.cells[r].size(); ++c) {
      const auto& value = map.cells[r][c];
      const double x = first + static_cast<double>(c) * cell;
      if (value.heat)
        canvas.rect({x + 1, y + 1, cell - 2, kRow - 2, 3}, kHeatInks[static_cast<std::size_t>(*value.heat)], "", value.remark);
      canvas.text(x + cell / 2, y + 14, value.text, {.size = kSize, .ink = ink_on(value.heat), .anchor = middle});
    }
  }
  double width = std::max(first + static_cast<double>(map.columns.size()) * cell, text_width(map.title, 13, true));
  for (const auto& [word, meaning] : map.legend) {
    y += 16;
    canvas.text(0, y, word + " = " + meaning, {.size = kSize, .ink = "muted"});
    width = std::max(width, text_width(word + " = " + meaning, kSize));
  }
  return {width, y + 4, canvas.body()};
}

Drawing draw_gpu_mesh(const Machine& m) {
  std::vector<const Link*> bonds;
  for (const auto& link : m.links) {
    const bool between_gpus = link.from.type == DeviceRef::Type::kGpu && link.to.type == DeviceRef::Type::kGpu;
    if (between_gpus && link.from < link.to && (link.kind == LinkKind::kNvlink || link.kind == LinkKind::kXgmi)) bonds.push_back(&link);
  }
  if (bonds.empty()) return {};
  constexpr double kRadius = 15, kTurn = 6.283185307179586;
  const auto count = static_cast<double>(m.gpus.size());
  constexpr double kTop = 24;
  const double ring = std::max(70.0, count * 2.6 * kRadius / kTurn * 1.25), middle = ring + kRadius + 6;
  const auto at = [&](int gpu) {
    const double angle = kTurn * (gpu / count - 0.25);
    return std::pair(middle + ring * std::cos(angle), kTop + middle + ring * std::sin(angle));
  };
  SvgCanvas canvas;
  const auto title = bonds.front()->kind == LinkKind::kXgmi ? "xGMI between GPUs" : "NVLink between GPUs";
  canvas.text(0, 12, title, {.size = 13, .bold = true});
  const int most = most_nvlinks(m);
  for (const auto* link : bonds) {
    const auto [x1, y1] = at(link->from.index);
    const auto [x2, y2] = at(link->to.index);
    const double share = static_cast<double>(link->count.value_or(most)) / most;
    canvas.line(x1, y1, x2, y2, "mesh", bonds.size() > 40 ? share : 0.8 + 2.4 * share);
  }
  for (const auto& gpu : m.gpus) {
    const auto [x, y] = at(gpu.index);
    canvas.circle(x, y, kRadius, "gpu", "mesh");
    canvas.text(x, y + 4, std::to_string(gpu.index), {.size = 11.5, .bold = true, .anchor = SvgText::Anchor::kMiddle});
  }
  return {std::max(2 * middle, text_width(title, 13, true)), kTop + 2 * middle, canvas.body()};
}

}  // namespace numapin
