#include "render/node_card.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "render/layout.h"
#include "render/machine_words.h"
#include "render/topo_parts.h"

namespace numapin {
namespace {

using namespace drawing;

constexpr double kPad = 14, kSmall = 11;

std::string packages_of(const Machine& m, const CpuSet& cpus) {
  std::vector<int> packages;
  for (const auto& p : m.packages) {
    if (p.cpus.intersects(cpus)) packages.push_back(p.id);
  }
  if (m.packages.size() < 2 || packages.empty()) return {};
  return fmt::format("package{} {}", packages.size() > 1 ? "s" : "", number_list(packages));
}

struct CardPainter {
  const Machine& m;
  double width;
  SvgCanvas canvas;
  double y = kPad;

  double inner() const { return width - 2 * kPad; }
  void put(const Drawing& d, double gap) {
    if (d.height <= 0) return;
    canvas.put(d, kPad, y);
    y += d.height + gap;
  }

  void heading(const NodeCard& card) {
    canvas.text(kPad, y + 12, card.title, {.size = 15, .bold = true});
    const double room = inner() - text_width(card.title, 15, true) - 10;
    canvas.text(width - kPad, y + 11, fitted_text(card.remark, kSmall, room),
                {.size = kSmall, .ink = "muted", .anchor = SvgText::Anchor::kEnd});
    y += 22;
  }

  /// Phrases on as many lines as they need.
  void phrases(const std::vector<std::string>& words, std::string_view gap, std::string_view ink) {
    std::string line;
    const auto flush = [&] {
      canvas.text(kPad, y + 9, fitted_text(line, kSmall, inner()), {.size = kSmall, .ink = ink});
      y += 15;
    };
    for (const auto& word : words) {
      const auto longer = line.empty() ? word : line + std::string(gap) + word;
      if (line.empty() || text_width(longer, kSmall) <= inner()) {
        line = longer;
      } else {
        flush();
        line = word;
      }
    }
    if (!line.empty()) flush();
  }

  void cpu_words(const NodeCard& card) {
    if (card.cpus.empty()) {
      if (card.node != nullptr) phrases({card.node->cpus ? "no CPUs: memory only" : "CPUs unknown"}, " ", "muted");
      return;
    }
    const auto counts = core_counts(cores_within(m, card.cpus));
    if (!counts.empty()) phrases({join(counts, " + ")}, " ", "text");
    auto pieces = list_pieces(card.cpus);
    pieces.front().insert(0, "CPUs ");
    phrases(pieces, "", "muted");
    y += 3;
  }

  void memory(const NumaNode& node) {
    const auto kind = kind_words(m, node);
    const auto say = [&](std::vector<std::string> words) {
      words.front().insert(0, "Memory: ");
      if (!kind.empty()) words.push_back("(" + kind + ")");
      phrases(words, " ", "text");
    };
    if (!node.memory_total_bytes) return say({"size unknown"});
    const auto total = *node.memory_total_bytes;
    if (total == 0) return say({"none"});
    if (!node.memory_free_bytes) return say({size_text(total)});
    const auto used = total - std::min(*node.memory_free_bytes, total);
    say({fmt::format("{} of {} used,", size_text(used), size_text(total)), size_text(*node.memory_free_bytes) + " free"});
    constexpr double kBar = 9;
    canvas.rect({kPad, y, inner(), kBar, 4}, "track");
    const double share = static_cast<double>(used) / static_cast<double>(total);
    if (used > 0) canvas.rect({kPad, y, std::max(3.0, inner() * share), kBar, 4}, "used");
    y += kBar + 10;
  }
};

}  // namespace

std::vector<NodeCard> node_cards(const Machine& m) {
  std::vector<NodeCard> cards;
  const auto empty = empty_nodes(m);
  for (const auto& node : m.nodes) {
    if (empty.contains(node.id)) continue;
    const auto cpus = node.cpus.value_or({});
    cards.push_back({fmt::format("Node {}", number(node.id)), packages_of(m, cpus), &node, cpus, devices_near(m, NodeSet::of(node.id))});
  }
  for (const auto& nodes : shared_node_sets(m)) {
    cards.push_back({fmt::format("Nodes {}", nodes.to_list()), "near to several", nullptr, {}, devices_near(m, nodes)});
  }
  const auto homeless = online_cpus(m) - cpus_of(m, cpu_nodes(m));  // a source without nodes, or CPUs outside of them
  auto unknown = devices_near(m, {});
  if (!unknown.empty() || !homeless.empty()) {
    cards.push_back({m.nodes.empty() ? "NUMA nodes unknown" : "Node unknown", "", nullptr, homeless, std::move(unknown)});
  }
  return cards;
}

Drawing draw_node_card(const Machine& m, const NodeCard& card, const PlanTints& tints, const std::optional<CpuSet>& allowed,
                       double width) {
  CardPainter painter{m, width, {}};
  painter.heading(card);
  painter.cpu_words(card);
  painter.put(draw_cores(m, card.cpus, tints, allowed, painter.inner()), 10);
  if (card.node != nullptr) painter.memory(*card.node);
  painter.put(draw_pci_tree(m, card.devices, tints, painter.inner()), 4);
  return {width, painter.y + kPad - 4, painter.canvas.body()};
}

}  // namespace numapin
