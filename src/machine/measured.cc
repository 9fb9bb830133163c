// Statistics of samples and look-ups in a report of measurements.
#include "numapin/measured.h"

#include <fmt/format.h>

#include <algorithm>

#include "machine/devices.h"

namespace numapin {
namespace {

/// Linear interpolation between the two samples around `part` (0..1) of the sorted list.
double quantile(const std::vector<double>& sorted, double part) {
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<double> sorted_copy(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples;
}

/// The measurement that `matches`, with the most threads: a node's figure is that of all its CPUs.
template <class Matches>
std::optional<double> best_match(const Measured& m, Matches matches) {
  const Measurement* best = nullptr;
  for (const auto& one : m.measurements)
    if (!one.samples.empty() && matches(one) && (!best || one.threads.value_or(0) > best->threads.value_or(0))) best = &one;
  return best ? median(*best) : std::nullopt;
}

}  // namespace

std::string_view to_string(Metric t) {
  switch (t) {
    case Metric::kRead: return "read";
    case Metric::kWrite: return "write";
    case Metric::kCopy: return "copy";
    case Metric::kTriad: return "triad";
    case Metric::kLatency: return "latency";
    case Metric::kLoadedLatency: return "loaded-latency";
    case Metric::kCoreBounce: return "core-bounce";
    case Metric::kMigration: return "migration";
    case Metric::kHostToDevice: return "host-to-device";
    case Metric::kDeviceToHost: return "device-to-host";
    case Metric::kBidirectional: return "bidirectional";
    case Metric::kSmHostToDevice: return "sm-host-to-device";
    case Metric::kSmDeviceToHost: return "sm-device-to-host";
    case Metric::kPageableHostToDevice: return "pageable-host-to-device";
    case Metric::kPageableDeviceToHost: return "pageable-device-to-host";
    case Metric::kSmallHostToDevice: return "small-host-to-device";
    case Metric::kSmallDeviceToHost: return "small-device-to-host";
    case Metric::kGpuReadsHost: return "gpu-reads-host";
    case Metric::kPeerRead: return "peer-read";
    case Metric::kPeerWrite: return "peer-write";
    case Metric::kPeerBidirectional: return "peer-bidirectional";
    case Metric::kPeerLatency: return "peer-latency";
  }
  return "unknown";
}

bool is_time(Metric t) {
  switch (t) {
    case Metric::kLatency:
    case Metric::kLoadedLatency:
    case Metric::kCoreBounce:
    case Metric::kMigration:
    case Metric::kSmallHostToDevice:
    case Metric::kSmallDeviceToHost:
    case Metric::kGpuReadsHost:
    case Metric::kPeerLatency: return true;
    default: return false;
  }
}

std::string_view to_string(Together t) {
  switch (t) {
    case Together::kAlone: return "alone";
    case Together::kGpusOfNode: return "gpus-of-node";
    case Together::kAllGpus: return "all-gpus";
    case Together::kAllPairs: return "all-pairs";
    case Together::kRing: return "ring";
  }
  return "unknown";
}

std::optional<double> median(const std::vector<double>& samples) {
  if (samples.empty()) return std::nullopt;
  return quantile(sorted_copy(samples), 0.5);
}

std::optional<double> spread(const std::vector<double>& samples) {
  if (samples.empty()) return std::nullopt;
  const auto sorted = sorted_copy(samples);
  const double middle = quantile(sorted, 0.5);
  if (middle == 0) return std::nullopt;
  return (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / middle;
}

std::vector<NodeId> nodes_of_cpu_tests(const Measured& m) {
  auto all = m.memory_nodes;
  all.insert(all.end(), m.gpu_memory_nodes.begin(), m.gpu_memory_nodes.end());
  return all;
}

std::optional<double> measured_memory(const Measured& m, Metric metric, NodeId cpu_node, NodeId memory_node) {
  return best_match(m, [&](const Measurement& one) {
    return one.metric == metric && one.cpu_node == cpu_node && one.memory_node == memory_node;
  });
}

std::optional<double> measured_gpu(const Measured& m, Metric metric, NodeId memory_node, int gpu, Together together) {
  return best_match(m, [&](const Measurement& one) {
    return one.metric == metric && one.memory_node == memory_node && one.gpu == gpu && !one.peer_gpu && one.together == together;
  });
}

std::optional<double> measured_peer(const Measured& m, Metric metric, int gpu, int peer_gpu, Together together) {
  for (const bool direct : {true, false}) {
    const auto found = best_match(m, [&](const Measurement& one) {
      return one.metric == metric && one.gpu == gpu && one.peer_gpu == peer_gpu && one.together == together &&
             one.peer_access.value_or(false) == direct;
    });
    if (found) return found;
  }
  return std::nullopt;
}

std::optional<NodeId> measured_node(const Measured& m, int gpu) {
  constexpr double kClearly = 1.05;
  std::vector<std::pair<double, NodeId>> by_latency;
  for (const NodeId node : m.memory_nodes)
    if (const auto ns = measured_gpu(m, Metric::kGpuReadsHost, node, gpu)) by_latency.emplace_back(*ns, node);
  std::sort(by_latency.begin(), by_latency.end());
  if (by_latency.size() < 2 || by_latency[1].first < kClearly * by_latency[0].first) return std::nullopt;
  return by_latency[0].second;
}

void apply_measured(const Measured& m, System& s) {
  for (auto& gpu : s.machine.gpus) {
    const auto node = measured_node(m, gpu.index);
    if (!node) continue;
    if (!gpu.numa_nodes) {
      gpu.numa_nodes = {NodeSet::of(*node), Source::kMeasured};
    } else if (!gpu.numa_nodes->contains(*node)) {
      s.disagreements.push_back({subject_of(gpu) + " numa_nodes",
                                 fmt::format("{} ({})", gpu.numa_nodes->to_list(), to_string(gpu.numa_nodes.source)),
                                 fmt::format("{} ({})", number(*node), to_string(Source::kMeasured))});
    }
  }
}

std::string mismatch(const Measured& measured, const Machine& machine) {
  for (const auto& gpu : measured.gpus) {
    const auto here = std::find_if(machine.gpus.begin(), machine.gpus.end(), [&](const Gpu& g) { return g.index == gpu.index; });
    if (here == machine.gpus.end()) return fmt::format("there is no GPU {} here", gpu.index);
    if (gpu.address && here->address && *gpu.address != *here->address)
      return fmt::format("GPU {} is {} here, {} there", gpu.index, here->address->to_string(), gpu.address->to_string());
  }
  for (const auto* nodes : {&measured.cpu_nodes, &measured.memory_nodes})
    for (const NodeId id : *nodes)
      if (!find_node(machine, id)) return fmt::format("there is no node {} here", number(id));
  return "";
}

}  // namespace numapin
