#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "render/heat_map.h"
#include "render/layout.h"
#include "render/machine_words.h"
#include "render/node_card.h"
#include "render/palette.h"
#include "render/topo.h"
#include "render/topo_parts.h"

namespace numapin {
namespace {

constexpr double kMargin = 24, kGap = 16, kCardWidth = 380;

/// Nodes of a package side by side, where that gives a drawing of a sensible shape.
std::size_t columns_for(const Machine& m, std::size_t cards) {
  if (cards <= 4) return std::max<std::size_t>(cards, 1);
  const auto per_package = m.packages.empty() ? 0 : m.nodes.size() / m.packages.size();
  if (per_package >= 2 && per_package <= 6) return per_package;
  return cards > 16 ? 8 : 4;
}

struct Page {
  SvgCanvas canvas;
  double width = 0, y = kMargin;

  void line(const std::string& text, const SvgText& style, double height) {
    canvas.text(kMargin, y + style.size, text, style);
    width = std::max(width, kMargin + text_width(text, style.size, style.bold));
    y += height;
  }
  /// One drawing after the other from the left, each row as high as its highest.
  void row(const std::vector<Drawing>& drawings, bool framed, double gap) {
    double x = kMargin, height = 0;
    for (const auto& d : drawings) height = std::max(height, d.height);
    for (const auto& d : drawings) {
      if (framed) canvas.rect({x, y, d.width, height, 8}, "card", "line");
      canvas.put(d, x, y);
      x += d.width + gap;
    }
    if (drawings.empty()) return;
    width = std::max(width, x - gap);
    y += height + kGap;
  }
};

void cards(Page& page, const System& s) {
  const auto& m = s.machine;
  const auto all = node_cards(m);
  const auto columns = columns_for(m, all.size());
  std::vector<Drawing> row;
  for (const auto& card : all) {
    row.push_back(draw_node_card(m, card, {}, s.allowance.cpus.value, kCardWidth));
    if (row.size() == columns) page.row(std::exchange(row, {}), true, kGap);
  }
  page.row(row, true, kGap);
}

void tables(Page& page, const Machine& m) {
  std::vector<Drawing> parts;
  for (auto part : {heat_svg(distance_map(m)), draw_gpu_mesh(m), heat_svg(gpu_link_map(m))}) {
    if (part.height <= 0) continue;
    if (!parts.empty()) {  // side by side as long as they stay within the width of the nodes
      double together = kMargin + part.width;
      for (const auto& p : parts) together += p.width + 2 * kGap;
      if (together > page.width) page.row(std::exchange(parts, {}), false, 2 * kGap);
    }
    parts.push_back(std::move(part));
  }
  page.row(parts, false, 2 * kGap);
}

}  // namespace

std::string topo_svg(const System& s) {
  const auto& m = s.machine;
  Page page;
  const auto name = clean(m.hostname.value_or("machine"));
  page.line(name, {.size = 20, .bold = true}, 28);
  page.line(join(drawing::cpu_phrases(m), " ") + (online_cpus(m).empty() ? "" : ", ") + join(drawing::size_phrases(m), ", "),
            {.size = 12}, 18);
  if (m.cpu_model) page.line(clean(*m.cpu_model), {.size = 12, .ink = "muted"}, 18);
  page.y += 6;
  cards(page, s);
  page.y += 4;
  tables(page, m);
  for (const auto& note : drawing::note_sentences(s)) page.line("Note: " + note, {.size = 11, .ink = "muted"}, 16);
  const Drawing whole{page.width + kMargin, page.y + kMargin - kGap, page.canvas.body()};
  SvgCanvas ground;
  ground.rect({0, 0, whole.width, whole.height}, "page");
  return svg_element({whole.width, whole.height, ground.body() + whole.body}, "Drawing of " + name, svg_css());
}

}  // namespace numapin
