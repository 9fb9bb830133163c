#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "render/layout.h"
#include "render/node_card.h"
#include "render/pci_tree.h"

namespace numapin {
namespace {

constexpr double kIndent = 15, kGap = 6, kPad = 8;

/// Line width of a link: thicker with more lanes, and even x1 is seen.
double thickness(const Fact<PciLink>& link) {
  if (!link) return 1.4;
  if (link->width >= 16) return 6;
  if (link->width >= 8) return 4;
  if (link->width >= 4) return 2.6;
  return link->width >= 2 ? 1.8 : 1.2;
}

struct TreePainter {
  const Machine& m;
  const PlanTints& tints;
  double width;
  SvgCanvas canvas;
  double y = 0;

  const PciDevice* pci_of(const PciBranch& b) const {
    if (b.device == nullptr) return b.bridge;
    return b.device->address ? find_pci(m, *b.device->address) : nullptr;
  }

  /// Draws the branch at the current y; returns the height of the middle of its connection.
  double branch(const PciBranch& b, double x) { return b.device != nullptr ? device(b, x) : bridge(b, x); }

  double bridge(const PciBranch& b, double x) {
    constexpr double kSize = 10.5;
    const double middle = y + 8, top = y + 16;
    const auto link = b.bridge != nullptr ? link_text(b.bridge->link, b.bridge->link_max) : "";
    const double link_width = text_width(link, 10);
    canvas.text(x, middle + 3.5, fitted_text(bridge_name(b), kSize, width - x - kPad - link_width - kGap), {.size = kSize, .ink = "muted"});
    canvas.text(width - kPad, middle + 3.5, link, {.size = 10, .ink = "muted", .anchor = SvgText::Anchor::kEnd});
    y = top + kGap;
    below(b, x + 4, top);
    return middle;
  }

  void below(const PciBranch& parent, double trunk, double from) {
    const auto* pci = pci_of(parent);
    const double trunk_width = pci != nullptr ? thickness(pci->link) : 2;
    std::vector<std::pair<double, const PciBranch*>> ends;
    for (const auto& b : parent.below) {
      const double before = y;
      const double middle = branch(b, trunk + kIndent);
      ends.emplace_back(middle, &b);
      if (y == before) y += kGap;
    }
    if (ends.empty()) return;
    const auto* last = pci_of(*ends.back().second);
    const double corner = last != nullptr ? thickness(last->link) / 2 : 1;
    canvas.line(trunk, from, trunk, ends.back().first + corner, "link", trunk_width);
    for (const auto& [at, b] : ends) {
      const auto* device = pci_of(*b);
      const bool narrowed = device != nullptr && !bottleneck_text(m, *device).empty();
      canvas.line(trunk - trunk_width / 2, at, trunk + kIndent - 3, at, narrowed ? "warn" : "link",
                  device != nullptr ? thickness(device->link) : 2, device != nullptr && !device->link);
    }
  }

  std::string_view ground(const DrawnDevice& d) const {
    if (d.is_gpu) return "gpu";
    return d.what.starts_with("NVMe") ? "nvme" : "nic";
  }

  /// Second line of a GPU.
  std::string details(const DrawnDevice& d) const {
    std::vector<std::string> parts;
    if (d.address) parts.push_back(d.address->to_string());
    const auto* gpu = d.address ? find_gpu(m, *d.address) : nullptr;
    if (gpu != nullptr && gpu->memory_bytes) parts.push_back(size_text(*gpu->memory_bytes));
    if (!d.extra.empty()) parts.push_back(d.extra);
    if (!d.id.empty()) parts.push_back(d.id);
    return join(parts, " · ");
  }

  double device(const PciBranch& b, double x) {
    const auto& d = *b.device;
    const auto* pci = pci_of(b);
    const auto warning = pci != nullptr ? bottleneck_text(m, *pci) : "";
    const auto link = pci != nullptr ? link_text(pci->link, pci->link_max) : "";
    const auto ground_ink = ground(d);
    const double box_width = width - x;
    const double height = (d.is_gpu ? 36 : 21) + (warning.empty() ? 0 : 13);
    canvas.rect({x, y, box_width, height, 4}, ground_ink, "line",
                join({d.name, d.what, details(d), link}, " · "));
    double text_x = x + kPad;
    if (const auto tint = d.is_gpu ? gpu_tint(d) : std::nullopt) {
      canvas.rect({x + kPad, y + 7, 9, 9, 2}, *tint, "link");
      text_x += 14;
    }
    const double line = y + (d.is_gpu ? 15 : 14);
    constexpr double kName = 11.5, kWhat = 11, kSmall = 10;
    const double link_x = width - kPad, link_width = text_width(link, kSmall);
    canvas.text(text_x, line, d.name, {.size = kName, .bold = true});
    const double what_x = text_x + text_width(d.name, kName, true) + 7;
    canvas.text(what_x, line, fitted_text(d.what, kWhat, link_x - link_width - 8 - what_x), {.size = kWhat});
    canvas.text(link_x, line, link, {.size = kSmall, .ink = "muted", .anchor = SvgText::Anchor::kEnd});
    if (d.is_gpu)
      canvas.text(x + kPad, line + 14, fitted_text(details(d), kSmall, box_width - 2 * kPad), {.size = kSmall, .ink = "muted"});
    if (!warning.empty())
      canvas.text(x + kPad, y + height - 6, fitted_text("! " + warning, kSmall, box_width - 2 * kPad), {.size = kSmall, .ink = "warn"});
    const double middle = y + std::min(height, 36.0) / 2;
    y += height + kGap;
    return middle;
  }

  /// A GPU with several partitions has several ranks, and then no tint of its own.
  std::optional<std::string> gpu_tint(const DrawnDevice& d) const {
    for (const auto& gpu : m.gpus) {
      if (d.name == fmt::format("GPU {}", gpu.index)) return tints.of_gpu(gpu.index);
    }
    return std::nullopt;
  }
};

}  // namespace

Drawing draw_pci_tree(const Machine& m, const std::vector<DrawnDevice>& devices, const PlanTints& tints, double width) {
  if (devices.empty()) return {width, 0, ""};
  TreePainter painter{m, tints, width, {}, 0};
  painter.y = kGap;
  painter.below(pci_tree(m, devices), 4, 0);
  return {width, painter.y - kGap, painter.canvas.body()};
}

}  // namespace numapin
