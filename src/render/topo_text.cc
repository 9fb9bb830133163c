#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "render/layout.h"
#include "render/machine_words.h"
#include "render/pci_drawing.h"
#include "render/topo_parts.h"

namespace numapin::drawing {
namespace {

constexpr std::size_t kLabel = 11;  // columns before the facts of a node: "  memory   "

/// A line "  label    text", wrapped under its text.
std::string labelled(std::string_view label, const std::vector<std::string>& words, std::string_view gap,
                     const TextStyle& style) {
  return flow(padded(fmt::format("  {}", label), kLabel), std::string(kLabel, ' '), words, gap,
              static_cast<std::size_t>(style.width));
}

// ---- heading ----------------------------------------------------------------------------------------------------

std::string heading(const Machine& m, const TextStyle& style) {
  const auto width = static_cast<std::size_t>(style.width);
  auto phrases = cpu_phrases(m);
  if (!phrases.empty()) phrases.back() += ",";
  const auto sizes = size_phrases(m);
  for (const auto& size : sizes) phrases.push_back(size + (&size == &sizes.back() ? "" : ","));
  auto text = flow(painted(kBold, clean(m.hostname.value_or("machine")) + ":", style) + " ", "  ", phrases, " ", width);

  std::vector<std::string> origin;
  if (m.cpu_model) origin.push_back(clean(*m.cpu_model));
  if (m.architecture) origin.push_back(clean(*m.architecture));
  if (m.kernel_release) origin.push_back("kernel " + clean(*m.kernel_release));
  if (m.driver_version) origin.push_back("NVIDIA driver " + clean(*m.driver_version));
  if (!origin.empty()) text += paragraph("", "  ", join(origin, ", "), style);
  if (m.offline && !m.offline->empty()) text += flow("offline CPUs: ", "  ", list_pieces(*m.offline), "", width);
  return text;
}

// ---- nodes ------------------------------------------------------------------------------------------------------

Cell memory_cell(const Machine& m, const NumaNode& node) {
  const auto kind = kind_words(m, node);
  const auto with_kind = [&](std::vector<std::string> pieces) {
    if (!kind.empty()) pieces.push_back(" (" + kind + ")");
    return Cell{std::move(pieces)};
  };
  if (has_no_memory(node)) return with_kind({"none"});
  if (!node.memory_total_bytes) return with_kind({"?"});
  const auto total = size_text(*node.memory_total_bytes);
  if (!node.memory_free_bytes) return with_kind({total});
  return with_kind({total + ",", fmt::format(" {} free", size_text(*node.memory_free_bytes))});
}

/// The answer to "which GPU is beside which CPUs and memory", one row a node.
std::string overview(const Machine& m, const TextStyle& style) {
  std::vector<std::vector<Cell>> rows;
  const auto skip = empty_nodes(m);
  const auto or_dash = [](std::string text) { return Cell{{text.empty() ? "-" : std::move(text)}}; };
  for (const auto& node : m.nodes) {
    if (skip.contains(node.id)) continue;
    auto cpus = list_pieces(node.cpus.value_or({}));
    if (cpus.empty()) cpus.push_back(node.cpus ? "-" : "?");
    rows.push_back({Cell{{std::to_string(number(node.id))}}, Cell{std::move(cpus)}, memory_cell(m, node),
                    or_dash(number_list(gpus_near(m, node.id)))});
  }
  if (const auto unknown = gpus_of_unknown_node(m); !unknown.empty()) {
    rows.push_back({Cell{{"?"}}, Cell{{"unknown,", " see", " below"}}, Cell{{"-"}}, Cell{{number_list(unknown)}}});
  }
  return table({"node", "CPUs", "memory", "GPUs"}, rows, static_cast<std::size_t>(style.width));
}

std::string memory_bar(double used_share, const TextStyle& style) {
  constexpr int kCells = 20;
  const int full = std::clamp(static_cast<int>(used_share * kCells + 0.999), 0, kCells);  // a little used is seen
  std::string bar = style.unicode ? "" : "[";
  for (int i = 0; i < kCells; ++i) {
    bar += style.unicode ? (i < full ? "█" : "░") : (i < full ? "#" : ".");
  }
  return style.unicode ? bar : bar + "]";
}

std::string memory_line(const Machine& m, const NumaNode& node, const TextStyle& style) {
  if (!node.memory_total_bytes) return {};
  const auto kind = kind_words(m, node);
  if (has_no_memory(node)) return labelled("memory", {"none" + (kind.empty() ? "" : " (" + kind + ")")}, " ", style);
  const auto total = *node.memory_total_bytes;
  std::vector<std::string> words;
  if (node.memory_free_bytes) {
    const auto used = total - std::min(*node.memory_free_bytes, total);
    words.push_back(memory_bar(static_cast<double>(used) / static_cast<double>(total), style));
    words.push_back(fmt::format("{} of {} used,", size_text(used), size_text(total)));
    words.push_back(fmt::format("{} free", size_text(*node.memory_free_bytes)));
  } else {
    words.push_back(size_text(total));
  }
  if (!kind.empty()) words.push_back("(" + kind + ")");
  return labelled("memory", words, " ", style);
}

std::string access_line(const NumaNode& node, const TextStyle& style) {
  if (!node.access0) return {};
  const auto& a = *node.access0;
  std::vector<std::string> facts;
  if (a.read_latency_ns) facts.push_back(fmt::format("{} ns", *a.read_latency_ns));
  if (a.read_bandwidth_mb_per_s) facts.push_back(fmt::format("{:.1f} GB/s", *a.read_bandwidth_mb_per_s / 1000.0));
  if (facts.empty()) return {};
  const auto sentence = fmt::format("{} to read from node {}, by the firmware's table", join(facts, ", "), a.initiators.to_list());
  return labelled("access", words_of(sentence), " ", style);
}

std::string cores_line(const Machine& m, const NumaNode& node, const TextStyle& style) {
  if (!node.cpus) return labelled("cores", {"unknown"}, " ", style);
  if (node.cpus->empty()) return labelled("cores", {"none: memory only"}, " ", style);
  std::vector<std::string> words;
  const auto counts = core_counts(cores_within(m, *node.cpus));
  words.push_back(counts.empty() ? plural(static_cast<std::size_t>(node.cpus->size()), "CPU") : join(counts, " + "));
  words.back() += "  ";
  for (const auto& piece : list_pieces(*node.cpus)) words.push_back(piece);
  std::vector<int> packages;
  for (const auto& p : m.packages) {
    if (p.cpus.intersects(*node.cpus)) packages.push_back(p.id);
  }
  if (m.packages.size() > 1 && !packages.empty()) {
    words.push_back(fmt::format("  (package{} {})", packages.size() > 1 ? "s" : "", number_list(packages)));
  }
  return labelled("cores", words, "", style);
}

std::string l3_line(const Machine& m, const NumaNode& node, const TextStyle& style) {
  if (!has_cpus(node)) return {};
  std::vector<const L3Group*> groups;
  for (const auto& group : m.l3) {
    if (group.cpus.intersects(*node.cpus)) groups.push_back(&group);
  }
  if (groups.empty()) return {};
  const auto size = groups.front()->size_bytes;
  const bool alike = std::all_of(groups.begin(), groups.end(), [&](const L3Group* g) { return g->size_bytes == size; });
  std::vector<std::string> words;
  if (groups.size() > 1) words.push_back(fmt::format("{} x", groups.size()));
  if (alike && size) words.push_back(size_text(*size));
  if (groups.size() == 1) {
    words.push_back(groups.front()->cpus == *node.cpus ? "for all of them"
                                                       : "for CPUs " + short_list(groups.front()->cpus));
    return labelled("L3", words, " ", style);
  }
  if (alike) words.push_back("");  // two blanks before the lists
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto bytes = groups[i]->size_bytes;
    const auto own = !alike && bytes ? size_text(*bytes) + " " : "";
    words.push_back(fmt::format("{}{}{}", own, short_list(groups[i]->cpus), i + 1 < groups.size() ? " |" : ""));
  }
  return labelled("L3", words, " ", style);
}

// ---- devices ----------------------------------------------------------------------------------------------------

std::string node_block(const Machine& m, const NumaNode& node, const TextStyle& style) {
  auto text = painted(kBold, fmt::format("node {}", number(node.id)), style) + "\n";
  text += cores_line(m, node, style) + l3_line(m, node, style) + memory_line(m, node, style) + access_line(node, style);
  return text + draw_pci(m, devices_near(m, NodeSet::of(node.id)), "  ", style);
}

std::string unknown_block(const Machine& m, const TextStyle& style) {
  const auto devices = devices_near(m, {});
  if (devices.empty()) return {};
  auto text = "\n" + painted(kYellow, "node unknown", style) + "\n" + draw_pci(m, devices, "  ", style);
  const auto advice = unknown_node_advice(m);
  text += paragraph("  why: ", "       ", advice.why, style);
  return advice.what_to_do.empty() ? text : text + paragraph("  do:  ", "       ", advice.what_to_do, style);
}

std::string node_blocks(const Machine& m, const TextStyle& style) {
  std::string text;
  const auto empty = empty_nodes(m);
  for (const auto& node : m.nodes) {
    if (!empty.contains(node.id)) text += "\n" + node_block(m, node, style);
  }
  if (!empty.empty()) {
    const bool of_gpu = std::any_of(m.nodes.begin(), m.nodes.end(), [&](const NumaNode& n) {
      return empty.contains(n.id) && n.kind.value == MemoryKind::kGpu;
    });
    text += "\n" + paragraph("", "  ", fmt::format("node{} {}: no CPUs, no memory{}", empty.size() > 1 ? "s" : "",
                                                  empty.to_list(), of_gpu ? " (kept for MIG instances)" : ""), style);
  }
  for (const auto& nodes : shared_node_sets(m)) {
    text += "\n" + painted(kBold, "near to several nodes: " + nodes.to_list(), style) + "\n";
    text += draw_pci(m, devices_near(m, nodes), "  ", style);
  }
  return text + unknown_block(m, style);
}

}  // namespace
}  // namespace numapin::drawing

namespace numapin {

std::string topo_text(const System& s, const TextStyle& style) {
  using namespace drawing;
  const auto& m = s.machine;
  auto text = heading(m, style) + allowance_lines(s, style);
  if (!m.nodes.empty()) text += "\n" + overview(m, style);
  text += node_blocks(m, style);
  return text + distances(m, style) + gpu_links(m, style) + nearest_nic_lines(m, style) + notes(s, style);
}

}  // namespace numapin
