#include "render/pci_drawing.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/layout.h"
#include "render/pci_tree.h"

namespace numapin {
namespace {

constexpr std::string_view kGreen = "\033[32m", kYellow = "\033[33m", kPlain = "\033[0m";

/// What a line holds, before columns are aligned.
struct Line {
  std::string first, rest;  ///< tree strokes of the line itself and of the lines it wraps to
  std::vector<std::string> fields;
  std::string warning;
  bool is_gpu = false, is_device = false;
};

Line line_of(const Machine& m, const PciBranch& branch) {
  Line line;
  if (branch.device == nullptr) {
    line.fields = {bridge_name(branch)};
    if (branch.bridge == nullptr) return line;
    line.fields.push_back(link_text(branch.bridge->link, branch.bridge->link_max));
    line.warning = bottleneck_text(m, *branch.bridge);
    return line;
  }
  const auto& d = *branch.device;
  const auto* pci = d.address ? find_pci(m, *d.address) : nullptr;
  line.is_device = true;
  line.is_gpu = d.is_gpu;
  line.fields = {d.name, d.what, d.address ? d.address->to_string() : "", d.id,
                 pci != nullptr ? link_text(pci->link, pci->link_max) : "", d.extra};
  if (pci != nullptr) line.warning = bottleneck_text(m, *pci);
  return line;
}

void collect(const Machine& m, const PciBranch& branch, const std::string& strokes, const TextStyle& style,
             std::vector<Line>& lines) {
  for (std::size_t i = 0; i < branch.below.size(); ++i) {
    const bool last = i + 1 == branch.below.size();
    const std::string turn = style.unicode ? (last ? "└─ " : "├─ ") : (last ? "`- " : "|- ");
    const std::string onward = last ? "   " : style.unicode ? "│  " : "|  ";
    auto line = line_of(m, branch.below[i]);
    line.first = strokes + turn;
    line.rest = strokes + onward + (branch.below[i].below.empty() ? "  " : style.unicode ? "│ " : "| ");
    lines.push_back(std::move(line));
    collect(m, branch.below[i], strokes + onward, style, lines);
  }
}

/// Width of field `f` over all devices; field 0 counts with the strokes before it.
std::size_t field_width(const std::vector<Line>& lines, std::size_t f) {
  std::size_t width = 0;
  for (const auto& line : lines) {
    if (line.is_device) width = std::max(width, columns(line.fields[f]) + (f == 0 ? columns(line.first) : 0));
  }
  return width;
}

std::string painted(const Line& line, std::string text, bool color) {
  if (color && line.is_gpu && text.starts_with(line.fields[0])) {
    text = std::string(kGreen) + line.fields[0] + std::string(kPlain) + text.substr(line.fields[0].size());
  }
  return text;
}

/// The fields that are not empty as words for flow(), padded to `widths` where the lines are aligned.
std::vector<std::string> words_of(const Line& line, const std::vector<std::size_t>& widths, const TextStyle& style) {
  std::vector<std::string> words;
  for (std::size_t f = 0; f < line.fields.size(); ++f) {
    auto text = line.fields[f];
    if (line.is_device && !widths.empty()) {
      if (widths[f] == 0) continue;
      text = padded(text, widths[f] - (f == 0 ? columns(line.first) : 0));
    }
    if (!text.empty()) words.push_back(f == 0 ? painted(line, text, style.color) : text);
  }
  if (!line.warning.empty()) {
    const auto text = "! " + line.warning;
    words.push_back(style.color ? std::string(kYellow) + text + std::string(kPlain) : text);
  }
  return words;
}

/// Widths of the columns, without the device id where there is no room for it; empty: no room for columns at all.
std::vector<std::size_t> aligned(const std::vector<Line>& lines, std::size_t width) {
  constexpr std::size_t kFields = 6, kId = 3;
  std::vector<std::size_t> widths;
  for (std::size_t f = 0; f < kFields; ++f) widths.push_back(field_width(lines, f));
  const auto total = [&] {
    std::size_t sum = 0;
    for (const auto w : widths) sum += w > 0 ? w + 2 : 0;
    return sum - std::min<std::size_t>(sum, 2);
  };
  if (total() <= width) return widths;
  widths[kId] = 0;
  if (total() <= width) return widths;
  return {};
}

}  // namespace

std::string link_text(const Fact<PciLink>& now, const Fact<PciLink>& max) {
  const auto one = [](const PciLink& link) {
    const int generation = link.generation();
    return generation > 0 ? fmt::format("Gen{} x{}", generation, link.width)
                          : fmt::format("{} GT/s x{}", link.gt_per_s, link.width);
  };
  if (!now) return {};
  if (!max || *max == *now) return one(*now);
  return fmt::format("{} (of {})", one(*now), one(*max));
}

std::string bottleneck_text(const Machine& m, const PciDevice& device) {
  const auto narrowest = narrowest_link(m, device);
  if (!device.link || !narrowest || narrowest->link.gb_per_s() >= device.link->gb_per_s()) return {};
  return fmt::format("limited to {} by {}", link_text({narrowest->link, Source::kSysfs}, {}), narrowest->at.to_string());
}

std::string draw_pci(const Machine& m, const std::vector<DrawnDevice>& devices, std::string_view indent,
                     const TextStyle& style) {
  const auto root = pci_tree(m, devices);
  std::vector<Line> lines;
  collect(m, root, std::string(indent), style, lines);
  const auto width = static_cast<std::size_t>(style.width);
  const auto widths = aligned(lines, width);
  std::string text;
  for (const auto& line : lines) text += flow(line.first, line.rest, words_of(line, widths, style), "  ", width);
  return text;
}

}  // namespace numapin
