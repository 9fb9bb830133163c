#include "render/measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/text.h"
#include "base/units.h"
#include "diagnose/measured.h"
#include "render/layout.h"
#include "render/topo_parts.h"

namespace numapin {
namespace {

using drawing::painted;
constexpr std::string_view kGood = "\033[32m", kFair = "\033[33m", kBad = "\033[31m";

/// 1 is the best of its row; a quarter off is fair, more is bad.
std::string heat(std::string text, double share_of_best, const TextStyle& style) {
  if (!style.color) return text;
  const auto color = share_of_best >= 0.95 ? kGood : share_of_best >= 0.75 ? kFair : kBad;
  return painted(color, text, style);
}

std::string figure(double value, Metric metric) {
  if (!is_time(metric)) return fmt::format("{:.1f}", value);
  return value < 10'000 ? fmt::format("{:.0f} ns", value) : fmt::format("{:.1f} us", value / 1000);
}

std::string heading(std::string_view text, std::string_view rest, const TextStyle& style) {
  return painted(drawing::kBold, std::string(text), style) + (rest.empty() ? "" : " " + std::string(rest)) + "\n";
}

/// Rows against columns, each row painted by its share of the row's best. "" where there is no figure at all.
std::string heat_map(const std::vector<std::string>& rows, const std::vector<std::string>& columns, Metric metric,
                     const std::function<std::optional<double>(std::size_t, std::size_t)>& at, const TextStyle& style) {
  Matrix matrix{rows, columns, {}};
  bool any = false;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::optional<double> best;
    for (std::size_t c = 0; c < columns.size(); ++c)
      if (const auto v = at(r, c)) best = !best ? *v : is_time(metric) ? std::min(*best, *v) : std::max(*best, *v);
    auto& cells = matrix.cells.emplace_back();
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto v = at(r, c);
      any = any || v;
      cells.push_back(v ? heat(figure(*v, metric), is_time(metric) ? *best / *v : *v / *best, style) : "-");
    }
  }
  return any ? matrix_text(matrix, "  ", static_cast<std::size_t>(style.width)) : "";
}

const Measurement* find(const Measured& m, const std::function<bool(const Measurement&)>& matches) {
  const auto found = std::find_if(m.measurements.begin(), m.measurements.end(), matches);
  return found == m.measurements.end() ? nullptr : &*found;
}

std::string relative(std::optional<double> value, std::optional<double> local) {
  if (!value || !local || *local == 0) return "-";
  return fmt::format("{:.2f}", *value / *local);
}

// ---- host memory ------------------------------------------------------------------------------------------------------

std::optional<double> one_core(const Measured& m, Metric metric, NodeId cpu, NodeId memory) {
  const auto* found = find(m, [&](const Measurement& x) {
    return x.metric == metric && x.cpu_node == cpu && x.memory_node == memory && x.threads == 1;
  });
  return found ? median(*found) : std::nullopt;
}

/// Latency with the largest or the smallest pages that were measured.
const Measurement* latency(const Measured& m, NodeId cpu, NodeId memory, bool largest) {
  const Measurement* best = nullptr;
  for (const auto& x : m.measurements) {
    if (x.metric != Metric::kLatency || x.cpu_node != cpu || x.memory_node != memory || x.samples.empty()) continue;
    const auto pages = x.page_bytes.value_or(0);
    if (!best || (largest ? pages > best->page_bytes.value_or(0) : pages < best->page_bytes.value_or(0))) best = &x;
  }
  return best;
}

Cell cell(std::string text) { return {{std::move(text)}}; }
std::string number_or_dash(std::optional<double> v, Metric metric) { return v ? figure(*v, metric) : "-"; }

/// "1", or "1 (GPU)" where the node is a GPU's own memory
std::string memory_name(const Measured& m, NodeId id) {
  const bool of_gpu = std::find(m.gpu_memory_nodes.begin(), m.gpu_memory_nodes.end(), id) != m.gpu_memory_nodes.end();
  return std::to_string(number(id)) + (of_gpu ? " (GPU)" : "");
}

std::vector<Cell> pair_row(const Measured& m, NodeId cpu, NodeId memory) {
  const auto all = [&](Metric metric, NodeId to) { return measured_memory(m, metric, cpu, to); };
  const auto* idle = latency(m, cpu, memory, true);
  const auto* local = latency(m, cpu, cpu, true);
  std::vector<Cell> row{cell(fmt::format("node {}", number(cpu))), cell("node " + memory_name(m, memory))};
  for (const Metric metric : {Metric::kRead, Metric::kWrite, Metric::kCopy, Metric::kTriad})
    row.push_back(cell(number_or_dash(all(metric, memory), metric)));
  row.push_back(cell(number_or_dash(one_core(m, Metric::kRead, cpu, memory), Metric::kRead)));
  row.push_back(cell(idle ? figure(*median(*idle), Metric::kLatency) : "-"));
  row.push_back(cell(relative(all(Metric::kRead, memory), all(Metric::kRead, cpu))));
  row.push_back(cell(relative(idle ? median(*idle) : std::nullopt, local ? median(*local) : std::nullopt)));
  return row;
}

std::string skipped_pairs(const Measured& m) {
  std::set<std::string> lines;
  for (const auto& x : m.measurements)
    if (!x.skipped.empty() && x.memory_node && x.cpu_node && !x.gpu)
      lines.insert(fmt::format("  node {} with memory of node {}: {}\n", number(*x.cpu_node), number(*x.memory_node), clean(x.skipped)));
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

/// "4 KiB pages instead of 2 MiB: 118 ns (31 % more: the TLB)"
std::string tlb_lines(const Measured& m) {
  std::string text;
  for (const NodeId cpu : m.cpu_nodes) {
    const auto *big = latency(m, cpu, cpu, true), *small = latency(m, cpu, cpu, false);
    if (!big || !small || big->page_bytes == small->page_bytes) continue;
    text += fmt::format("  node {}: {} with {} pages, {} with {} pages: the TLB costs {:.0f} %\n", number(cpu),
                        figure(*median(*big), Metric::kLatency), size_text(*big->page_bytes),
                        figure(*median(*small), Metric::kLatency), size_text(*small->page_bytes),
                        100 * (*median(*small) / *median(*big) - 1));
  }
  return text;
}

/// "first: point, point," over as many lines as needed; "" without points.
std::string listed(const std::string& first, std::vector<std::string> points, const TextStyle& style) {
  if (points.empty()) return "";
  for (std::size_t i = 0; i + 1 < points.size(); ++i) points[i] += ",";
  return flow(first, "    ", points, " ", static_cast<std::size_t>(style.width));
}

std::string loaded_lines(const Measured& m, const TextStyle& style) {
  std::string text;
  for (const NodeId cpu : m.cpu_nodes)
    for (const NodeId memory : m.memory_nodes) {
      std::vector<std::string> points;
      for (const auto& x : m.measurements)
        if (x.metric == Metric::kLoadedLatency && x.cpu_node == cpu && x.memory_node == memory && !x.samples.empty())
          points.push_back(fmt::format("{:.0f} ns at {:.1f} GB/s", *median(x), x.load_gb_per_s.value_or(0)));
      std::reverse(points.begin(), points.end());  // from light to heavy
      text += listed(fmt::format("  node {} with memory of node {}: ", number(cpu), number(memory)), points, style);
    }
  return text;
}

std::string core_map(const Measured& m, const TextStyle& style) {
  std::set<CpuId> cpus;
  for (const auto& x : m.measurements)
    if (x.metric == Metric::kCoreBounce && x.cpu && x.peer_cpu) cpus.insert({*x.cpu, *x.peer_cpu});
  if (cpus.empty()) return "";
  const std::vector<CpuId> list(cpus.begin(), cpus.end());
  std::vector<std::string> names;
  for (const CpuId cpu : list) names.push_back(std::to_string(number(cpu)));
  const auto at = [&](std::size_t r, std::size_t c) {
    const auto* found = find(m, [&](const Measurement& x) {
      return x.metric == Metric::kCoreBounce && ((x.cpu == list[r] && x.peer_cpu == list[c]) || (x.cpu == list[c] && x.peer_cpu == list[r]));
    });
    return found ? median(*found) : std::nullopt;
  };
  return "\n" + heading("core to core", "(one cache line, one way; CPUs)", style) +
         heat_map(names, names, Metric::kCoreBounce, at, style);
}

std::string migration_lines(const Measured& m) {
  std::string text;
  for (const auto& x : m.measurements)
    if (x.metric == Metric::kMigration && !x.samples.empty())
      text += fmt::format("  CPU {} to CPU {}: {} with {} in use\n", number(*x.cpu), number(*x.peer_cpu),
                          figure(*median(x), x.metric), size_text(x.bytes.value_or(0)));
  return text;
}

std::string section(std::string_view title, std::string_view rest, const std::string& body, const TextStyle& style) {
  return body.empty() ? "" : "\n" + heading(title, rest, style) + body;
}

}  // namespace

std::string memory_tables(const Measured& m, const TextStyle& style) {
  std::vector<std::vector<Cell>> rows;
  const auto memories = nodes_of_cpu_tests(m);
  for (const NodeId cpu : m.cpu_nodes)
    for (const NodeId memory : memories)
      if (find(m, [&](const Measurement& x) { return x.cpu_node == cpu && x.memory_node == memory && !x.gpu && !x.samples.empty(); }))
        rows.push_back(pair_row(m, cpu, memory));
  std::string text;
  if (!rows.empty()) {
    text += heading("memory", "(GB/s of all cores and of one; /loc: against the node's own)", style);
    text += table({"CPUs", "memory", "read", "write", "copy", "triad", "1 core", "latency", "read/loc", "lat/loc"}, rows,
                  static_cast<std::size_t>(style.width));
  }
  if (m.cpu_nodes.size() > 1 || memories.size() > 1) {
    std::vector<std::string> from, to;
    for (const NodeId id : m.cpu_nodes) from.push_back(fmt::format("CPUs of {}", number(id)));
    for (const NodeId id : memories) to.push_back("mem " + memory_name(m, id));
    for (const Metric metric : {Metric::kRead, Metric::kLatency}) {
      const auto at = [&](std::size_t r, std::size_t c) { return measured_memory(m, metric, m.cpu_nodes[r], memories[c]); };
      text += section(to_string(metric), is_time(metric) ? "" : "(GB/s)", heat_map(from, to, metric, at, style), style);
    }
  }
  text += section("pages", "", tlb_lines(m), style);
  text += section("latency under load", "", loaded_lines(m, style), style);
  text += section("a thread that moves to another node", "", migration_lines(m), style);
  text += core_map(m, style);
  text += section("not measured", "", skipped_pairs(m), style);
  return text;
}

// ---- GPUs ---------------------------------------------------------------------------------------------------------------

namespace {

std::string gpu_row_figure(const Measured& m, Metric metric, NodeId node, int gpu, Together together = Together::kAlone) {
  return number_or_dash(measured_gpu(m, metric, node, gpu, together), metric);
}

std::string host_gpu_table(const Measured& m, const TextStyle& style) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& gpu : m.gpus)
    for (const NodeId node : m.memory_nodes) {
      const auto* down = find(m, [&](const Measurement& x) {
        return x.metric == Metric::kHostToDevice && x.gpu == gpu.index && x.memory_node == node && x.together == Together::kAlone;
      });
      if (!down || down->samples.empty()) continue;
      const bool near = std::find(gpu.nodes.begin(), gpu.nodes.end(), node) != gpu.nodes.end();
      std::vector<Cell> row{cell(fmt::format("GPU {}", gpu.index)), cell(fmt::format("node {}{}", number(node), near ? " near" : ""))};
      for (const Metric metric : {Metric::kHostToDevice, Metric::kDeviceToHost, Metric::kBidirectional, Metric::kSmHostToDevice,
                                  Metric::kSmDeviceToHost, Metric::kPageableHostToDevice, Metric::kGpuReadsHost})
        row.push_back(cell(gpu_row_figure(m, metric, node, gpu.index)));
      if (m.gpus.size() > 1) row.push_back(cell(gpu_row_figure(m, Metric::kHostToDevice, node, gpu.index, Together::kAllGpus)));
      row.push_back(cell(link_verdict(*down)));
      rows.push_back(std::move(row));
    }
  if (rows.empty()) return "";
  std::vector<std::string> names{"GPU", "memory", "H2D", "D2H", "both", "SM reads", "SM writes", "pageable", "latency"};
  if (m.gpus.size() > 1) names.push_back("H2D, all GPUs");
  names.push_back("H2D link");
  return heading("host and GPU", "(GB/s of 1e9 bytes, pinned memory of the node)", style) +
         table(names, rows, static_cast<std::size_t>(style.width));
}

std::string small_copies(const Measured& m, const TextStyle& style) {
  std::string text;
  for (const Metric metric : {Metric::kSmallHostToDevice, Metric::kSmallDeviceToHost})
    for (const auto& gpu : m.gpus)
      for (const NodeId node : m.memory_nodes) {
        std::vector<std::string> points;
        for (const auto& x : m.measurements)
          if (x.metric == metric && x.gpu == gpu.index && x.memory_node == node && !x.samples.empty())
            points.push_back(fmt::format("{} {:.1f} us", x.bytes.value_or(0) < 1024 ? fmt::format("{} B", x.bytes.value_or(0)) : size_text(*x.bytes),
                                         *median(x) / 1000));
        text += listed(fmt::format("  {} GPU {}, node {}: ", metric == Metric::kSmallHostToDevice ? "to" : "from", gpu.index, number(node)),
                       points, style);
      }
  return text;
}

std::string peer_map(const Measured& m, Metric metric, Together together, const TextStyle& style) {
  std::vector<std::string> names;
  for (const auto& gpu : m.gpus) names.push_back(fmt::format("GPU {}", gpu.index));
  const auto at = [&](std::size_t r, std::size_t c) { return measured_peer(m, metric, m.gpus[r].index, m.gpus[c].index, together); };
  return heat_map(names, names, metric, at, style);
}

std::string gpu_skips(const Measured& m) {
  std::set<std::string> lines;
  for (const auto& x : m.measurements) {
    if (x.skipped.empty() || !x.gpu) continue;
    const auto other = x.peer_gpu      ? fmt::format(" and GPU {}", *x.peer_gpu)
                       : x.memory_node ? fmt::format(", memory of node {}", number(*x.memory_node))
                                       : std::string();
    lines.insert(fmt::format("  {}, GPU {}{}: {}\n", to_string(x.metric), *x.gpu, other, clean(x.skipped)));
  }
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

}  // namespace

std::string gpu_tables(const Measured& m, const TextStyle& style) {
  std::string text = host_gpu_table(m, style);
  text += section("small copies", "(time until the CPU sees it done)", small_copies(m, style), style);
  const struct {
    Metric metric;
    Together together;
    const char *title, *rest;
  } maps[] = {{Metric::kPeerRead, Together::kAlone, "GPU reads GPU", "(GB/s; row reads column)"},
              {Metric::kPeerWrite, Together::kAlone, "GPU writes GPU", "(GB/s; row writes column)"},
              {Metric::kPeerBidirectional, Together::kAlone, "GPU and GPU, both ways", "(GB/s)"},
              {Metric::kPeerWrite, Together::kRing, "ring, all at once", "(GB/s)"},
              {Metric::kPeerWrite, Together::kAllPairs, "all pairs at once", "(GB/s)"},
              {Metric::kPeerLatency, Together::kAlone, "GPU to GPU latency", ""}};
  for (const auto& map : maps) text += section(map.title, map.rest, peer_map(m, map.metric, map.together, style), style);
  text += section("not measured", "", gpu_skips(m), style);
  return text;
}

std::string measured_tables(const Measured& m, const TextStyle& style) {
  const auto memory = memory_tables(m, style), gpus = gpu_tables(m, style);
  return memory + (memory.empty() || gpus.empty() ? "" : "\n") + gpus;
}

std::string measured_text(const Measured& m, const std::string& verdict, const std::string& command, const TextStyle& style) {
  std::string text = measured_tables(m, style);
  for (const auto& note : m.notes) text += "note: " + clean(note) + "\n";
  const auto words = split_words(verdict);
  text += "\n" + flow("", "", {words.begin(), words.end()}, " ", static_cast<std::size_t>(style.width));
  if (!command.empty()) text += "  " + painted(drawing::kBold, command, style) + "\n";
  return text;
}

}  // namespace numapin
