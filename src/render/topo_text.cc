#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "render/layout.h"
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

/// "24 cores x 2 SMT", "16 cores": how many cores have how many threads; empty where no core is known
std::vector<std::string> core_counts(const std::vector<const Core*>& cores) {
  std::map<std::pair<std::string, int>, int> counts;  // (kind, threads) -> cores
  for (const auto* core : cores) ++counts[{core->kind, core->cpus.size()}];
  std::vector<std::string> parts;
  for (auto it = counts.rbegin(); it != counts.rend(); ++it) {  // P before E
    const auto& [kind, threads] = it->first;
    auto part = plural(static_cast<std::size_t>(it->second), kind.empty() ? "core" : clean(kind) + "-core");
    if (threads > 1) part += fmt::format(" x {} SMT", threads);
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<const Core*> cores_within(const Machine& m, const CpuSet& cpus) {
  std::vector<const Core*> found;
  for (const auto& core : m.cores) {
    if (core.cpus.intersects(cpus)) found.push_back(&core);
  }
  return found;
}

std::uint64_t total_memory(const Machine& m) {
  std::uint64_t total = 0;
  for (const auto& node : m.nodes) {
    if (dram_nodes(m).contains(node.id)) total += node.memory_total_bytes.value_or(0);
  }
  return total;
}

/// "48 CPUs", "(16 cores x 2 SMT", "+ 8 cores)": phrases that a line may break between
std::vector<std::string> cpu_phrases(const Machine& m) {
  const auto online = online_cpus(m);
  if (online.empty()) return {};
  std::vector<std::string> phrases = {plural(static_cast<std::size_t>(online.size()), "CPU")};
  const auto counts = core_counts(cores_within(m, online));
  for (std::size_t i = 0; i < counts.size(); ++i) phrases.push_back((i == 0 ? "(" : "+ ") + counts[i]);
  if (!counts.empty()) phrases.back() += ")";
  return phrases;
}

std::vector<std::string> size_phrases(const Machine& m) {
  std::vector<std::string> phrases;
  if (m.packages.size() > 1) phrases.push_back(plural(m.packages.size(), "package"));
  phrases.push_back(m.nodes.empty() ? "NUMA nodes unknown" : plural(m.nodes.size(), "NUMA node"));
  const auto with_cpus = static_cast<std::size_t>(cpu_nodes(m).size());
  if (with_cpus > 0 && with_cpus < m.nodes.size()) phrases.back() += fmt::format(" ({} with CPUs)", with_cpus);
  if (const auto total = total_memory(m); total > 0) phrases.push_back(size_text(total));
  phrases.push_back(m.gpus.empty() ? "no GPU" : plural(m.gpus.size(), "GPU"));
  return phrases;
}

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

bool has_cpus(const NumaNode& node) { return node.cpus && !node.cpus->empty(); }
bool has_no_memory(const NumaNode& node) { return node.memory_total_bytes && *node.memory_total_bytes == 0; }

/// "GPU memory", "CXL memory", ...; "" for the ordinary kind
std::string kind_words(const Machine& m, const NumaNode& node) {
  if (node.gpu) {
    const auto* gpu = find_gpu(m, *node.gpu);
    if (gpu != nullptr) return fmt::format("memory of GPU {}", gpu->index);
  }
  switch (node.kind.value_or(MemoryKind::kDram)) {
    case MemoryKind::kHbm: return "HBM";
    case MemoryKind::kCxl: return "CXL memory";
    case MemoryKind::kPmem: return "persistent memory";
    case MemoryKind::kGpu: return "GPU memory";
    case MemoryKind::kDram:
    case MemoryKind::kUnspecified: break;
  }
  return {};
}

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

template <class Device>
bool is_near_only(const Device& device, const NodeSet& nodes) {
  return device.numa_nodes.value_or({}) == nodes;
}

std::vector<int> gpus_near(const Machine& m, NodeId node) {
  std::vector<int> found;
  for (const auto& gpu : m.gpus) {
    if (gpu.numa_nodes && gpu.numa_nodes->contains(node)) found.push_back(gpu.index);
  }
  return found;
}

bool has_devices(const Machine& m, const NodeSet& nodes) {
  const auto near = [&](const auto& device) { return is_near_only(device, nodes); };
  return std::any_of(m.gpus.begin(), m.gpus.end(), near) || std::any_of(m.nics.begin(), m.nics.end(), near) ||
         std::any_of(m.nvme.begin(), m.nvme.end(), near);
}

/// A node with neither CPUs nor memory nor devices: Grace keeps seven a GPU for MIG instances.
bool is_empty(const Machine& m, const NumaNode& node) {
  return node.cpus && node.cpus->empty() && has_no_memory(node) && !has_devices(m, NodeSet::of(node.id));
}

}  // namespace

NodeSet empty_nodes(const Machine& m) {
  NodeSet empty;
  for (const auto& node : m.nodes) {
    if (is_empty(m, node)) empty.insert(node.id);
  }
  return empty;
}

namespace {

std::vector<int> gpus_of_unknown_node(const Machine& m) {
  std::vector<int> unknown;
  for (const auto& gpu : m.gpus) {
    if (!gpu.numa_nodes) unknown.push_back(gpu.index);
  }
  return unknown;
}

/// The answer to "which GPU is beside which CPUs and memory", one row a node.
std::string overview(const Machine& m, const TextStyle& style) {
  std::vector<std::vector<Cell>> rows;
  const auto or_dash = [](std::string text) { return Cell{{text.empty() ? "-" : std::move(text)}}; };
  for (const auto& node : m.nodes) {
    if (is_empty(m, node)) continue;
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

std::string gpu_model(const Gpu& gpu) {
  if (gpu.model) return clean(*gpu.model);
  const auto vendor = vendor_name(gpu.vendor);
  const auto device = device_name(gpu.vendor, gpu.device);
  if (!device.empty()) return fmt::format("{} {}", vendor, device);
  if (gpu.device == 0) return std::string(vendor);  // a pasted table names the maker at most
  return fmt::format("{} {:04x}", vendor.empty() ? fmt::format("{:04x}", gpu.vendor) : vendor, gpu.device);
}

/// What distinguishes a GPU for other tools, where their number is not ours.
std::string gpu_extra(const Machine& m, const Gpu& gpu) {
  std::vector<std::string> parts;
  if (gpu.partition) parts.push_back(fmt::format("partition {}", *gpu.partition));
  if (gpu.nvml_index && *gpu.nvml_index != gpu.index) parts.push_back(fmt::format("nvidia-smi {}", *gpu.nvml_index));
  if (gpu.cuda_ordinal && *gpu.cuda_ordinal != gpu.index) parts.push_back(fmt::format("CUDA {}", *gpu.cuda_ordinal));
  if (!gpu.mig.empty()) parts.push_back(plural(gpu.mig.size(), "MIG instance"));
  for (const auto& link : m.links) {
    const DeviceRef self{DeviceRef::Type::kGpu, gpu.index};
    if (link.from == self && link.kind == LinkKind::kC2c) parts.push_back(fmt::format("C2C to node {}", link.to.index));
  }
  return join(parts, ", ");
}

DrawnDevice drawn(const Machine& m, const Gpu& gpu) {
  constexpr std::size_t kShortUuid = 12;  // "GPU-" and the first group: what people say, and unique in practice
  return {gpu.address, fmt::format("GPU {}", gpu.index), gpu_model(gpu),
          clean(gpu.uuid.value_or("").substr(0, kShortUuid)), gpu_extra(m, gpu), true};
}

DrawnDevice drawn(const Nic& nic) {
  std::string what = nic.infiniband ? "RDMA" : "network";
  if (nic.speed_mb_per_s) what += fmt::format(" {:g} Gbit/s", *nic.speed_mb_per_s / 1000.0);
  std::vector<std::string> others;
  for (const auto& name : nic.interfaces) {
    if (name != nic.name) others.push_back(clean(name));
  }
  return {nic.address, nic.name.empty() ? fmt::format("NIC {}", nic.index) : clean(nic.name), what,
          join(others, ", "), "", false};
}

DrawnDevice drawn(const Nvme& nvme) {
  return {nvme.address, nvme.name.empty() ? fmt::format("NVMe {}", nvme.index) : clean(nvme.name), "NVMe", "", "", false};
}

/// Devices whose near nodes are exactly `nodes` (none: unknown), in PCI order as far as they have addresses.
std::vector<DrawnDevice> devices_near(const Machine& m, const NodeSet& nodes) {
  std::vector<DrawnDevice> found;
  for (const auto& gpu : m.gpus) {
    if (is_near_only(gpu, nodes)) found.push_back(drawn(m, gpu));
  }
  for (const auto& nic : m.nics) {
    if (is_near_only(nic, nodes)) found.push_back(drawn(nic));
  }
  for (const auto& nvme : m.nvme) {
    if (is_near_only(nvme, nodes)) found.push_back(drawn(nvme));
  }
  return found;
}

std::string node_block(const Machine& m, const NumaNode& node, const TextStyle& style) {
  auto text = painted(kBold, fmt::format("node {}", number(node.id)), style) + "\n";
  text += cores_line(m, node, style) + l3_line(m, node, style) + memory_line(m, node, style) + access_line(node, style);
  return text + draw_pci(m, devices_near(m, NodeSet::of(node.id)), "  ", style);
}

/// Sets of several nodes that some device is near to.
std::vector<NodeSet> shared_node_sets(const Machine& m) {
  std::vector<NodeSet> sets;
  const auto add = [&](const Fact<NodeSet>& nodes) {
    if (nodes && nodes->size() > 1 && std::find(sets.begin(), sets.end(), *nodes) == sets.end()) sets.push_back(*nodes);
  };
  for (const auto& gpu : m.gpus) add(gpu.numa_nodes);
  for (const auto& nic : m.nics) add(nic.numa_nodes);
  for (const auto& nvme : m.nvme) add(nvme.numa_nodes);
  std::sort(sets.begin(), sets.end());
  return sets;
}

std::string unknown_block(const Machine& m, const TextStyle& style) {
  const auto devices = devices_near(m, {});
  if (devices.empty()) return {};
  auto text = painted(kYellow, "node unknown", style) + "\n" + draw_pci(m, devices, "  ", style);
  const auto choices = dram_nodes(m);
  if (choices.size() < 2) return "\n" + text + paragraph("  why: ", "       ", "the source of this machine does not tell.", style);
  text += paragraph("  why: ", "       ",
                    fmt::format("the kernel gives these devices no node (numa_node -1), nor any bridge above them, and "
                                "nodes {} all have memory. numapin does not guess.", choices.to_list()), style);
  if (gpus_of_unknown_node(m).empty()) return "\n" + text;
  text += paragraph("  do:  ", "       ",
                    "measure which node is near, or ask the owner of the firmware or hypervisor for PCI locality "
                    "(ACPI _PXM). To place a job by hand: numapin run --gpu N --cpunodebind=NODE --preferred=NODE -- "
                    "COMMAND", style);
  return "\n" + text;
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
