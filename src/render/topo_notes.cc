// What a reader should know besides the drawing.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "render/layout.h"
#include "render/topo_parts.h"

namespace numapin::drawing {
namespace {

/// How the nodes of GPUs were found where the kernel's own file did not tell.
std::vector<std::string> provenance(const Machine& m) {
  std::map<Source, std::vector<int>> by_source;
  for (const auto& gpu : m.gpus) {
    if (gpu.numa_nodes && gpu.address) by_source[gpu.numa_nodes.source].push_back(gpu.index);
  }
  std::vector<std::string> lines;
  for (const auto& [source, gpus] : by_source) {
    const auto who = fmt::format("GPU {}: ", number_list(gpus));
    if (source == Source::kOneNode) lines.push_back(who + "the kernel gives no node (numa_node -1); only one node has memory");
    if (source == Source::kBridge) lines.push_back(who + "the kernel gives no node (numa_node -1); taken from the bridge above");
    if (source == Source::kCpuList) lines.push_back(who + "the node is that of the device's CPU list");
    if (source == Source::kNvml) lines.push_back(who + "the node is what the NVIDIA driver says");
    if (source == Source::kMeasured) lines.push_back(who + "the node was measured");
    if (source == Source::kUser) lines.push_back(who + "the node was given by you");
  }
  return lines;
}

bool idles(const Machine& m, const Gpu& gpu) {
  const auto* pci = gpu.address ? find_pci(m, *gpu.address) : nullptr;
  return pci != nullptr && pci->link && pci->link_max && pci->link->gt_per_s < pci->link_max->gt_per_s &&
         pci->link->width == pci->link_max->width;
}

}  // namespace

std::vector<std::string> allowance_sentences(const System& s) {
  const auto& m = s.machine;
  const auto& a = s.allowance;
  std::vector<std::string> sentences;
  const auto online = online_cpus(m);
  const auto where = a.cgroup.empty() || a.cgroup == "/" ? "" : fmt::format(" (cgroup {})", clean(a.cgroup));
  if (a.cpus && !a.cpus->contains(online)) {
    sentences.push_back(fmt::format("allowed here: CPUs {} of {}{}", short_list(*a.cpus), short_list(online), where));
  }
  if (a.mems && !a.mems->contains(memory_nodes(m))) {
    sentences.push_back(fmt::format("allowed here: memory of nodes {} of {}{}", a.mems->to_list(), memory_nodes(m).to_list(), where));
  }
  for (const auto& [name, value] : a.visible_env) sentences.push_back("environment: " + name + "=" + clean(value));
  return sentences;
}

std::string allowance_lines(const System& s, const TextStyle& style) {
  std::string text;
  for (const auto& sentence : allowance_sentences(s)) text += paragraph("", "  ", sentence, style);
  return text;
}

std::vector<std::string> note_sentences(const System& s) {
  auto lines = provenance(s.machine);
  const auto& gpus = s.machine.gpus;
  if (std::any_of(gpus.begin(), gpus.end(), [&](const Gpu& g) { return idles(s.machine, g); })) {
    lines.push_back("an idle GPU may run its PCIe link below the maximum; look again under load");
  }
  for (const auto& d : s.disagreements) {
    lines.push_back(fmt::format("sources disagree on {}: kept {}, other {}", clean(d.subject), clean(d.kept), clean(d.other)));
  }
  for (const auto& note : s.machine.notes) lines.push_back(clean(note));
  return lines;
}

std::string notes(const System& s, const TextStyle& style) {
  const auto lines = note_sentences(s);
  if (lines.empty()) return {};
  std::string text = "\n" + painted(kBold, "notes", style) + "\n";
  for (const auto& line : lines) text += paragraph("  - ", "    ", line, style);
  return text;
}

}  // namespace numapin::drawing
