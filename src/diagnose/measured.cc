#include "diagnose/measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "machine/pcie.h"

namespace numapin {
namespace {

/// Below this share of the ceiling something is wrong: a narrower or slower link than stated, a busy machine.
constexpr double kLowShare = 0.75;
constexpr double kTooHigh = 1.05;
/// Differences below this are noise, whatever the spread says.
constexpr double kNoise = 0.03;

/// GB/s of one NVLink in one direction, by generation (NVIDIA's data sheets: P100 to B200).
std::optional<double> nvlink_rate(int version) {
  switch (version) {
    case 1: return 20;
    case 2:
    case 3:
    case 4: return 25;
    case 5: return 50;
    default: return std::nullopt;
  }
}

std::optional<Ceiling> pcie_ceiling(const Machine& m, const Gpu& gpu) {
  if (!gpu.address) return std::nullopt;
  const auto* device = find_pci(m, *gpu.address);
  if (!device) return std::nullopt;
  const auto narrowest = narrowest_link(m, *device);
  if (!narrowest || narrowest->link.generation() == 0) return std::nullopt;
  auto from = payload_words(narrowest->link);
  if (narrowest->at != *gpu.address) from += fmt::format(" (narrowest at {})", narrowest->at.to_string());
  return Ceiling{payload_gb_per_s(narrowest->link), std::move(from)};
}

/// A GPU whose memory is a node of an Arm machine's is Grace's; POWER9's, by NVLink, has no such figure.
bool has_c2c(const Machine& m, const Gpu& gpu) {
  if (gpu.memory_node && m.architecture.value_or("") == "aarch64") return true;
  return std::any_of(m.links.begin(), m.links.end(), [&](const Link& l) {
    return l.kind == LinkKind::kC2c && l.from == DeviceRef{DeviceRef::Type::kGpu, gpu.index};
  });
}

const Gpu* gpu_of(const Machine& m, int index) {
  const auto found = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.index == index; });
  return found == m.gpus.end() ? nullptr : &*found;
}

}  // namespace

std::optional<Ceiling> host_ceiling(const Machine& m, const Gpu& gpu) {
  // Of the 450 GB/s of the data sheet; 297 from the GPU were published (docs/analyze.md), which is no fault.
  if (has_c2c(m, gpu)) return Ceiling{378, "NVLink-C2C: 378 GB/s, the most that published copies get of 450"};
  if (gpu.memory_node) return std::nullopt;
  return pcie_ceiling(m, gpu);
}

std::optional<Ceiling> peer_ceiling(const Machine& m, int gpu, int peer_gpu) {
  const auto* link = find_link(m, {DeviceRef::Type::kGpu, gpu}, {DeviceRef::Type::kGpu, peer_gpu});
  if (link && link->kind == LinkKind::kNvlink && link->count) {
    const auto rate = nvlink_rate(link->version.value_or(0));
    if (!rate) return std::nullopt;
    return Ceiling{*rate * *link->count, fmt::format("{} x NVLink {}: {:g} GB/s each", *link->count, *link->version, *rate)};
  }
  if (link && link->kind == LinkKind::kXgmi) return std::nullopt;
  std::optional<Ceiling> least;
  for (const int index : {gpu, peer_gpu}) {
    const auto* end = gpu_of(m, index);
    const auto own = end ? pcie_ceiling(m, *end) : std::nullopt;
    if (!own) return std::nullopt;
    if (!least || own->gb_per_s < least->gb_per_s) least = own;
  }
  return least;
}

std::string link_verdict(const Measurement& m) {
  const auto middle = median(m);
  if (!middle || !m.ceiling || is_time(m.metric)) return "";
  const double share = *middle / *m.ceiling;
  if (share > kTooHigh) return "faster than the link is said to be";
  if (share < kLowShare) return fmt::format("low: {:.0f} % of {:.1f} GB/s", 100 * share, *m.ceiling);
  return fmt::format("normal: {:.0f} % of {:.1f} GB/s", 100 * share, *m.ceiling);
}

bool is_low(const Measurement& m) { return link_verdict(m).starts_with("low"); }

namespace {

/// From a node that is not near, the way between the nodes may be what limits, and the link is not to blame.
bool may_be_near(const Measured& m, const Measurement& one) {
  const auto gpu = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const MeasuredGpu& g) { return g.index == one.gpu; });
  if (gpu == m.gpus.end() || gpu->nodes.empty() || !one.memory_node) return true;
  return std::find(gpu->nodes.begin(), gpu->nodes.end(), *one.memory_node) != gpu->nodes.end();
}

}  // namespace

std::vector<const Measurement*> low_copies(const Measured& m) {
  std::vector<const Measurement*> low;
  for (const auto& one : m.measurements)
    if (is_low(one) && one.together == Together::kAlone && !one.peer_gpu && one.gpu && may_be_near(m, one) &&
        (one.metric == Metric::kHostToDevice || one.metric == Metric::kDeviceToHost))
      low.push_back(&one);
  return low;
}

// ---- what placement is worth ------------------------------------------------------------------------------------------

namespace {

/// What is lost, as a share: 0.45 is "45 %". Negative: the other place is better.
struct Cost {
  double share = 0;
  NodeId from{}, to{};
  int gpu = -1;
};

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * std::max(0.0, share < kNoise ? 0.0 : share)); }

/// The largest loss between the memory that is best for a node's CPUs and any other.
std::optional<Cost> memory_cost(const Measured& m, Metric metric) {
  std::optional<Cost> worst;
  for (const NodeId cpu : m.cpu_nodes) {
    const auto local = measured_memory(m, metric, cpu, cpu);
    if (!local) continue;
    for (const NodeId memory : m.memory_nodes) {
      const auto remote = measured_memory(m, metric, cpu, memory);
      if (memory == cpu || !remote) continue;
      const double share = is_time(metric) ? *remote / *local - 1 : 1 - *remote / *local;
      if (!worst || share > worst->share) worst = Cost{share, cpu, memory};
    }
  }
  return worst;
}

/// The largest loss of a GPU between the best node for it and any other.
std::optional<Cost> copy_cost(const Measured& m, Metric metric, Together together) {
  std::optional<Cost> worst;
  for (const auto& gpu : m.gpus) {
    std::optional<double> best;
    NodeId best_node{};
    for (const NodeId node : m.memory_nodes) {
      const auto figure = measured_gpu(m, metric, node, gpu.index, together);
      const bool near = std::find(gpu.nodes.begin(), gpu.nodes.end(), node) != gpu.nodes.end();
      if (!figure || (!gpu.nodes.empty() && !near)) continue;
      if (!best || *figure > *best) best = figure, best_node = node;
    }
    for (const NodeId node : m.memory_nodes) {
      const auto figure = measured_gpu(m, metric, node, gpu.index, together);
      if (!best || !figure || node == best_node) continue;
      const double share = 1 - *figure / *best;
      if (!worst || share > worst->share) worst = Cost{share, best_node, node, gpu.index};
    }
  }
  return worst;
}

std::string upper_first(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

/// "remote memory costs 45 % bandwidth and 57 % latency (worst: node 0 to memory of node 1)"
std::string memory_sentence(const Measured& m, double& worst) {
  const auto bandwidth = memory_cost(m, Metric::kRead), latency = memory_cost(m, Metric::kLatency);
  std::vector<std::string> costs;
  if (bandwidth) costs.push_back(percent(bandwidth->share) + " bandwidth");
  if (latency) costs.push_back(percent(latency->share) + " latency");
  if (costs.empty()) return "";
  for (const auto& cost : {bandwidth, latency})
    if (cost) worst = std::max(worst, cost->share);
  const auto& shown = bandwidth ? *bandwidth : *latency;
  return fmt::format("remote memory costs {} (worst: node {} with memory of node {})", join(costs, " and "), number(shown.from),
                     number(shown.to));
}

/// "CPUs of node 0 get 53 % of the bandwidth and 2.1 times the latency of their own memory from a GPU's (node 1)"
std::string gpu_memory_sentence(const Measured& m) {
  for (const NodeId memory : m.gpu_memory_nodes)
    for (const NodeId cpu : m.cpu_nodes) {
      std::vector<std::string> parts;
      const auto of = [&](Metric metric) -> std::optional<double> {
        const auto own = measured_memory(m, metric, cpu, cpu), gpu = measured_memory(m, metric, cpu, memory);
        return own && gpu ? std::optional(*gpu / *own) : std::nullopt;
      };
      if (const auto read = of(Metric::kRead)) parts.push_back(fmt::format("{:.0f} % of the bandwidth", 100 * *read));
      if (const auto latency = of(Metric::kLatency)) parts.push_back(fmt::format("{:.1f} times the latency", *latency));
      if (parts.empty()) continue;
      return fmt::format(" From the memory of a GPU (node {}) the CPUs of node {} get {} of their own.", number(memory), number(cpu),
                         join(parts, " and "));
    }
  return "";
}

std::string copy_sentence(const Measured& m, double& worst) {
  std::vector<std::string> parts;
  const struct {
    Metric metric;
    const char* words;
  } kinds[] = {{Metric::kHostToDevice, "copies to a GPU"}, {Metric::kDeviceToHost, "copies from a GPU"}};
  for (const auto& kind : kinds) {
    const auto alone = copy_cost(m, kind.metric, Together::kAlone);
    const auto all = copy_cost(m, kind.metric, Together::kAllGpus);
    if (!alone && !all) continue;
    std::string part = fmt::format("{} with memory of the wrong node", kind.words);
    if (alone) part += fmt::format(" cost {} alone", percent(alone->share)), worst = std::max(worst, alone->share);
    if (all && m.gpus.size() > 1) {
      part += fmt::format("{} {} when all {} GPUs copy at once", alone ? " and" : " cost", percent(all->share), m.gpus.size());
      worst = std::max(worst, all->share);
    }
    parts.push_back(std::move(part));
  }
  return join(parts, "; ");
}

/// GPUs whose node nobody tells, by the fastest memory.
std::string unknown_nodes_sentence(const Measured& m) {
  std::string text;
  for (const auto& gpu : m.gpus) {
    const auto node = measured_node(m, gpu.index);
    if (!gpu.nodes.empty() || !node) continue;
    text += fmt::format(" Nobody says which node GPU {} is near to; by latency it is node {}: --measured tells other commands.",
                        gpu.index, number(*node));
  }
  return text;
}

std::string low_links(const Measured& m) {
  std::string text;
  for (const auto* one : low_copies(m))
    text += fmt::format(" GPU {}, {}, memory of node {}: {:.1f} GB/s is low for {}.", *one->gpu, to_string(one->metric),
                        number(one->memory_node.value_or(NodeId{})), *median(*one), one->ceiling_from);
  return text;
}

std::string command_for(const Measured& m, bool one_node) {
  if (m.gpus.size() > 1) return "numapin launch --gpus all -- COMMAND";
  if (m.gpus.size() == 1) return "numapin run --gpu 0 -- COMMAND";
  if (one_node) return "";
  return fmt::format("numapin launch --nproc {} -- COMMAND", m.cpu_nodes.size());
}

}  // namespace

MeasuredVerdict measured_verdict(const Measured& measured, const Machine& machine) {
  MeasuredVerdict v;
  const bool one_node = dram_nodes(machine).size() <= 1;
  if (one_node) {
    v.text = fmt::format("This machine has one NUMA node with memory{}: placement between nodes cannot matter here.",
                         measured.gpu_memory_nodes.empty() ? "" : " beside the GPUs' own");
    if (!measured.gpus.empty()) v.text += " Binding still keeps jobs apart: each on cores of its own.";
  } else {
    double worst = 0;
    std::vector<std::string> sentences;
    for (auto& sentence : {memory_sentence(measured, worst), copy_sentence(measured, worst)})
      if (!sentence.empty()) sentences.push_back(sentence);
    if (sentences.empty()) {
      v.text = "Nothing was measured that tells near from far.";
    } else {
      v.text = upper_first(join(sentences, "; ")) + ": " +
               (worst < kNoise ? "placement does not matter to what was measured." : "bind.");
    }
    v.text += unknown_nodes_sentence(measured);
  }
  v.text += gpu_memory_sentence(measured) + low_links(measured);
  const auto disturbed = std::count_if(measured.measurements.begin(), measured.measurements.end(),
                                       [](const Measurement& m) { return !m.disturbed.empty(); });
  if (disturbed > 0)
    v.text += fmt::format(" {} of {} figures were disturbed by other work; measure again on an idle machine.", disturbed,
                          measured.measurements.size());
  v.command = command_for(measured, one_node);
  return v;
}

}  // namespace numapin
