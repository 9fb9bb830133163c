#include "render/measured_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace numapin {
namespace {

using Figures = std::vector<std::vector<std::optional<double>>>;

/// The best cell gets the strongest colour and half as good the weakest, so that near-equal figures look alike.
struct Scale {
  double worst = 0, best = 0;
  Scale(const Figures& figures, bool smaller_is_better) {
    std::vector<double> all;
    for (const auto& row : figures) {
      for (const auto& f : row) {
        if (f) all.push_back(*f);
      }
    }
    if (all.empty()) return;
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    best = smaller_is_better ? *least : *most;
    worst = smaller_is_better ? std::max(*most, 2 * best) : std::min(*least, best / 2);
  }
};

std::string figure_text(double value) { return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value); }

void fill(HeatMap& map, const Figures& figures, bool smaller_is_better) {
  const bool any = std::any_of(figures.begin(), figures.end(), [](const auto& row) {
    return std::any_of(row.begin(), row.end(), [](const auto& f) { return f.has_value(); });
  });
  if (!any) return;
  const Scale scale(figures, smaller_is_better);
  for (const auto& row : figures) {
    auto& cells = map.cells.emplace_back();
    for (const auto& f : row)
      cells.push_back(f ? heat_cell(figure_text(*f), *f, scale.worst, scale.best) : HeatCell{"·", std::nullopt, "not measured"});
  }
}

HeatMap node_map(const Measured& m, Metric metric, std::string title) {
  HeatMap map;
  map.title = std::move(title);
  map.corner = "CPUs \\ memory";
  Figures figures;
  const auto memories = nodes_of_cpu_tests(m);
  for (const auto cpu : m.cpu_nodes) {
    map.rows.push_back(fmt::format("node {}", number(cpu)));
    auto& row = figures.emplace_back();
    for (const auto memory : memories) row.push_back(measured_memory(m, metric, cpu, memory));
  }
  for (const auto memory : memories) map.columns.push_back(fmt::format("node {}", number(memory)));
  fill(map, figures, is_time(metric));
  return map;
}

HeatMap gpu_map(const Measured& m, Metric metric, Together together, std::string title) {
  HeatMap map;
  map.title = std::move(title);
  map.corner = "GPU \\ memory";
  Figures figures;
  for (const auto& gpu : m.gpus) {
    map.rows.push_back(fmt::format("GPU {}", gpu.index));
    auto& row = figures.emplace_back();
    for (const auto memory : m.memory_nodes) row.push_back(measured_gpu(m, metric, memory, gpu.index, together));
  }
  for (const auto memory : m.memory_nodes) map.columns.push_back(fmt::format("node {}", number(memory)));
  fill(map, figures, is_time(metric));
  return map;
}

HeatMap peer_map(const Measured& m, Metric metric, std::string title) {
  HeatMap map;
  map.title = std::move(title);
  map.corner = "by \\ memory of";
  Figures figures;
  for (const auto& gpu : m.gpus) {
    map.rows.push_back(fmt::format("GPU {}", gpu.index));
    map.columns.push_back(map.rows.back());
    auto& row = figures.emplace_back();
    for (const auto& peer : m.gpus)
      row.push_back(gpu.index == peer.index ? std::nullopt : measured_peer(m, metric, gpu.index, peer.index));
  }
  fill(map, figures, is_time(metric));
  return map;
}

}  // namespace

std::vector<HeatMap> measured_maps(const Measured& m) {
  std::vector<HeatMap> maps = {
      node_map(m, Metric::kRead, "Memory read, GB/s"),
      node_map(m, Metric::kLatency, "Memory latency, ns"),
      gpu_map(m, Metric::kHostToDevice, Together::kAlone, "To the GPU, GB/s"),
      gpu_map(m, Metric::kDeviceToHost, Together::kAlone, "From the GPU, GB/s"),
      gpu_map(m, Metric::kHostToDevice, Together::kAllGpus, "To each GPU, all at once, GB/s"),
      gpu_map(m, Metric::kGpuReadsHost, Together::kAlone, "GPU reads host memory, ns"),
      peer_map(m, Metric::kPeerRead, "GPU reads another GPU, GB/s"),
      peer_map(m, Metric::kPeerLatency, "GPU reads another GPU, ns"),
  };
  std::erase_if(maps, [](const HeatMap& map) { return map.empty(); });
  return maps;
}

}  // namespace numapin
