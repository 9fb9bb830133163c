#include "plan/slurm_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/result.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

constexpr std::uint16_t kNvidia = 0x10de;
constexpr int kFirstRenderMinor = 128;  // of /dev/dri/renderD128 (kernel Documentation/gpu/drm-uapi.rst)

// ---- sockets -----------------------------------------------------------------------------------------------------------

CpuSet package_cpus(const Machine& m, const Core& c) {
  for (const auto& p : m.packages)
    if (c.package == p.id && !p.cpus.empty()) return p.cpus;
  return {};
}

/// What Slurm calls a socket: packages; where no source tells them, nodes.
int count_sockets(const Machine& m) {
  std::set<CpuSet> packages;
  for (const auto& core : m.cores)
    if (auto cpus = package_cpus(m, core); !cpus.empty()) packages.insert(std::move(cpus));
  return static_cast<int>(packages.empty() ? std::max(1, cpu_nodes(m).size()) : packages.size());
}

/// A GPU whose node is but a part of its socket: Slurm, which picks by socket, would not see the difference.
bool wants_nodes_as_sockets(const Machine& m, int sockets) {
  if (cpu_nodes(m).size() <= sockets) return false;
  return std::any_of(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) {
    if (!g.numa_nodes || g.numa_nodes->empty()) return false;
    const auto near = cpus_of(m, *g.numa_nodes);
    return std::any_of(m.packages.begin(), m.packages.end(), [&](const Package& p) { return p.cpus.intersects(near) && !near.contains(p.cpus); });
  });
}

void set_shape(const Machine& m, SlurmNode& n) {
  n.cpus = online_cpus(m).size();
  n.cores = static_cast<int>(m.cores.size());
  n.packages = count_sockets(m);
  n.numa_as_socket = wants_nodes_as_sockets(m, n.packages);
  n = with_sockets(std::move(n), n.numa_as_socket ? cpu_nodes(m).size() : n.packages);
  for (const auto& core : m.cores) n.threads_per_core = std::max(n.threads_per_core, core.cpus.size());
  if (n.cores_per_socket * n.sockets != n.cores || n.cpus != n.cores * n.threads_per_core)
    n.notes.push_back(fmt::format("the sockets or cores differ ({} cores, {} CPUs): take the NodeName line from `slurmd -C` on the machine itself", n.cores, n.cpus));
}

void set_memory(const Machine& m, SlurmNode& n) {
  std::uint64_t bytes = 0;
  for (const auto id : dram_nodes(m)) {
    const auto& total = find_node(m, id)->memory_total_bytes;
    if (!total) return;
    bytes += *total;
  }
  if (bytes > 0) n.memory_mib = bytes >> 20;
}

// ---- GPUs --------------------------------------------------------------------------------------------------------------

/// "H100 SXM5" -> "h100"; NVML's "NVIDIA H100 80GB HBM3" the same.
std::string type_of(const Gpu& gpu) {
  std::string name(device_name(gpu.vendor, gpu.device));
  if (name.empty()) name = gpu.model.value_or("");
  for (const auto word : split_words(name)) {
    auto plain = to_lower(word);
    if (plain == "nvidia" || plain == "amd" || plain == "tesla" || plain == "instinct" || plain == "intel") continue;
    std::erase_if(plain, [](char c) { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_'; });
    if (!plain.empty()) return plain;
  }
  return "";
}

void set_file(const Gpu& gpu, int among_vendor, SlurmGpu& out) {
  const bool nvidia = gpu.vendor == kNvidia || gpu.vendor == 0;
  out.file_guessed = !gpu.minor;
  const int minor = gpu.minor.value_or(nvidia ? among_vendor : kFirstRenderMinor + among_vendor);
  out.file = fmt::format("{}{}", nvidia ? "/dev/nvidia" : "/dev/dri/renderD", minor);
}

/// Bonded NVLinks to each other GPU, where a source counted them, or 1 and 0 for xGMI.
std::vector<int> links_of(const Machine& m, const Gpu& gpu) {
  std::vector<int> links;
  for (const auto& other : m.gpus) {
    const auto* link = find_link(m, {DeviceRef::Type::kGpu, gpu.index}, {DeviceRef::Type::kGpu, other.index});
    int count = 0;
    if (link != nullptr && link->kind == LinkKind::kNvlink) count = link->count.value_or(1);
    if (link != nullptr && link->kind == LinkKind::kXgmi) count = 1;
    links.push_back(other.index == gpu.index ? -1 : count);
  }
  return links;
}

/// The numbers serve to choose among pairs: where all are alike (a switch, no link at all) there is nothing to choose.
void drop_equal_links(SlurmNode& n) {
  std::set<int> counts;
  for (const auto& gpu : n.gpus) counts.insert(gpu.links.begin(), gpu.links.end());
  counts.erase(-1);
  if (counts.size() > 1) return;
  for (auto& gpu : n.gpus) gpu.links.clear();
  if (!counts.empty() && *counts.begin() > 0) n.notes.emplace_back("no Links=: every GPU is linked to every other alike");
}

void add_gpus(const Machine& m, SlurmNode& n) {
  std::map<bool, int> of_vendor;
  std::string unplaced, partitioned;
  for (const auto& gpu : m.gpus) {
    SlurmGpu out;
    out.gpu = gpu.index;
    out.type = type_of(gpu);
    set_file(gpu, of_vendor[gpu.vendor == kNvidia || gpu.vendor == 0]++, out);
    if (gpu.numa_nodes && !gpu.numa_nodes->empty())
      if (auto cores = slurm_cores(m, *gpu.numa_nodes); !cores.empty()) out.cores = std::move(cores);
    if (!out.cores) unplaced += fmt::format("{}{}", unplaced.empty() ? "" : ",", gpu.index);
    if (!gpu.mig.empty()) partitioned += fmt::format("{}{}", partitioned.empty() ? "" : ",", gpu.index);
    out.links = links_of(m, gpu);
    n.gpus.push_back(std::move(out));
  }
  drop_equal_links(n);
  if (!unplaced.empty()) n.notes.push_back(fmt::format("no Cores= for GPU {}: the node is not known ('numapin topo' says why)", unplaced));
  if (!partitioned.empty())
    n.notes.push_back(fmt::format("GPU {} has MIG instances, which are devices of their own: AutoDetect=nvml lists them, these lines do not", partitioned));
  if (std::any_of(n.gpus.begin(), n.gpus.end(), [](const SlurmGpu& g) { return g.file_guessed; }))
    n.notes.emplace_back("File= is taken to be in PCI order: no source tells the device numbers (on the machine: /proc/driver/nvidia/gpus/*/information)");
}

// ---- text --------------------------------------------------------------------------------------------------------------

std::string links_text(const std::vector<int>& links) {
  std::string text;
  for (const int count : links) text += fmt::format("{}{}", text.empty() ? "" : ",", count);
  return text;
}

std::string gres_words(const SlurmNode& n) {
  std::vector<std::pair<std::string, int>> counts;
  for (const auto& gpu : n.gpus) {
    const auto at = std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == gpu.type; });
    if (at == counts.end()) counts.emplace_back(gpu.type, 1);
    else ++at->second;
  }
  std::vector<std::string> words;
  for (const auto& [type, count] : counts) words.push_back(type.empty() ? fmt::format("gpu:{}", count) : fmt::format("gpu:{}:{}", type, count));
  return join(words, ",");
}

/// The file's name without its number, and the number.
std::pair<std::string, int> split_file(const std::string& file) {
  const auto digits = file.find_last_not_of("0123456789") + 1;
  return {file.substr(0, digits), parse_number<int>(std::string_view(file).substr(digits)).value_or(0)};
}

std::string gres_line(const SlurmNode& n, const SlurmGpu& g, const std::string& file) {
  auto line = fmt::format("NodeName={} Name=gpu", n.name);
  if (!g.type.empty()) line += " Type=" + g.type;
  line += " File=" + file;
  if (g.cores) line += " Cores=" + g.cores->to_list();
  if (!g.links.empty()) line += " Links=" + links_text(g.links);
  return line;
}

}  // namespace

std::vector<Core> slurm_core_order(const Machine& m) {
  // As hwloc, by which Slurm counts: packages, nodes and cores each in the order of their first CPUs, not of their ids.
  const auto key = [&](const Core& c) {
    CpuSet package = package_cpus(m, c), node = c.cpus;
    if (package.empty()) package = c.cpus;
    if (const auto* n = c.node ? find_node(m, *c.node) : nullptr; n != nullptr && n->cpus && !n->cpus->empty()) node = *n->cpus;
    return std::tuple(number(package.first()), number(node.first()), number(c.cpus.first()));
  };
  std::vector<std::pair<std::tuple<int, int, int>, const Core*>> keyed;
  for (const auto& core : m.cores) keyed.emplace_back(key(core), &core);
  std::sort(keyed.begin(), keyed.end());
  std::vector<Core> cores;
  for (const auto& [place, core] : keyed) cores.push_back(*core);
  return cores;
}

CpuSet slurm_cores(const Machine& m, const NodeSet& nodes) {
  CpuSet out;
  const auto cores = slurm_core_order(m);
  for (std::size_t i = 0; i < cores.size(); ++i)
    if (cores[i].node && nodes.contains(*cores[i].node)) out.insert(CpuId{static_cast<int>(i)});
  return out;
}

CpuSet cpus_of_slurm_cores(const Machine& m, const CpuSet& numbers) {
  CpuSet out;
  const auto cores = slurm_core_order(m);
  for (std::size_t i = 0; i < cores.size(); ++i)
    if (numbers.contains(CpuId{static_cast<int>(i)})) out |= cores[i].cpus;
  return out;
}

SlurmNode with_sockets(SlurmNode n, int sockets) {
  n.sockets = std::max(1, sockets);
  n.cores_per_socket = n.cores / n.sockets;
  return n;
}

Result<SlurmNode> slurm_node(const Machine& m, const std::string& name) {
  if (m.cores.empty()) return fail(Error::Kind::kUnsupported, "count cores for Slurm: no source tells the cores of this machine", "record it with 'numapin snapshot' or lstopo");
  SlurmNode n;
  n.name = name;
  set_shape(m, n);
  set_memory(m, n);
  add_gpus(m, n);
  if (n.numa_as_socket)
    n.notes.insert(n.notes.begin(), "a GPU's node is a part of its socket: with numa_node_as_socket Slurm picks cores by node (hwloc 2; it changes sockets for every job)");
  return n;
}

std::string node_line(const SlurmNode& n) {
  auto line = fmt::format("NodeName={} CPUs={} Boards=1 SocketsPerBoard={} CoresPerSocket={} ThreadsPerCore={}", n.name, n.cpus, n.sockets,
                          n.cores_per_socket, n.threads_per_core);
  if (n.memory_mib) line += fmt::format(" RealMemory={}", *n.memory_mib);
  if (!n.gpus.empty()) line += " Gres=" + gres_words(n);
  return line;
}

std::vector<std::string> gres_conf_lines(const SlurmNode& n) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < n.gpus.size();) {
    const auto& first = n.gpus[i];
    const auto [stem, number] = split_file(first.file);
    std::size_t end = i + 1;
    for (; end < n.gpus.size() && first.links.empty(); ++end) {
      const auto& next = n.gpus[end];
      const auto [next_stem, next_number] = split_file(next.file);
      if (next.type != first.type || next.cores != first.cores || next_stem != stem || next_number != number + static_cast<int>(end - i)) break;
    }
    const auto count = static_cast<int>(end - i);
    lines.push_back(gres_line(n, first, count == 1 ? first.file : fmt::format("{}[{}-{}]", stem, number, number + count - 1)));
    i = end;
  }
  return lines;
}

std::string slurm_conf_text(const SlurmNode& n) {
  std::string text = "# slurm.conf\n";
  if (!n.gpus.empty()) text += "GresTypes=gpu\n";
  if (n.numa_as_socket) text += "SlurmdParameters=numa_node_as_socket\n";
  text += node_line(n) + "\n\n# gres.conf\n";
  for (const auto& note : n.notes) text += "# " + note + "\n";
  if (n.gpus.empty()) return text + "# no GPU\n";
  text += "AutoDetect=off\n";
  for (const auto& line : gres_conf_lines(n)) text += line + "\n";
  return text;
}

}  // namespace numapin
