// `analyze traffic`, `place` and `--fabric` as text.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "render/analyze.h"
#include "render/layout.h"
#include "render/topo_parts.h"

namespace numapin {
namespace {

std::string rate(std::optional<double> gb_per_s) { return gb_per_s ? fmt::format("{:.1f}", *gb_per_s) : "?"; }

std::string numbers(const std::vector<int>& list) {
  std::vector<std::string> words;
  for (const int i : list) words.push_back(std::to_string(i));
  return join(words, " ");
}

std::string why(const LinkGraph& g, const FlowRate& f) {
  if (!f.cannot_know.empty()) return f.cannot_know;
  if (f.limited_by) return g.channels[static_cast<std::size_t>(*f.limited_by)].name;
  return f.why.empty() ? "nothing known limits it" : f.why;
}

/// Full links, those of a kind in one line.
std::string full_links(const TrafficView::Run& run, const TextStyle& style) {
  std::map<std::string, std::vector<const Channel*>> kinds;
  for (const auto& s : run.traffic.saturated) {
    const auto& c = run.graph.channels[static_cast<std::size_t>(s.channel)];
    kinds[fmt::format("{} {} {}", c.kind, rate(c.capacity.gb_per_s), to_string(c.capacity.basis))].push_back(&c);
  }
  std::string text;
  for (const auto& [key, channels] : kinds) {
    const auto& c = *channels.front();
    const auto what = channels.size() == 1 ? c.name : fmt::format("{} x {}", channels.size(), c.kind);
    text += drawing::paragraph("", "  ", fmt::format("full: {} ({} GB/s, {})", what, rate(c.capacity.gb_per_s), to_string(c.capacity.basis)), style);
  }
  return text;
}

std::string run_text(const TrafficView::Run& run, const TextStyle& style) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& f : run.traffic.flows) {
    std::vector<std::string> reason;
    for (const auto& word : drawing::words_of(why(run.graph, f))) reason.push_back(word + " ");
    rows.push_back({Cell{{to_string(f.flow.from)}}, Cell{{to_string(f.flow.to)}}, Cell{{(f.is_bound ? "<=" : "") + rate(f.gb_per_s)}}, Cell{std::move(reason)}});
  }
  std::string text = fmt::format("{}\n", run.name) + table({"from", "to", "GB/s", "limited by"}, rows, static_cast<std::size_t>(style.width));
  text += fmt::format("slowest {} GB/s, all together {} GB/s\n", rate(run.traffic.slowest), rate(run.traffic.total));
  if (run.ring_gpus > 1 && run.traffic.slowest)
    text += fmt::format("an all-reduce moves its data at {:.1f} GB/s: 2 x {}/{} of it pass every link\n",
                        *run.traffic.slowest * static_cast<double>(run.ring_gpus) / (2.0 * static_cast<double>(run.ring_gpus - 1)), run.ring_gpus - 1, run.ring_gpus);
  text += full_links(run, style);
  return text + drawing::paragraph("", "", run.advice.sentence, style);
}

}  // namespace

std::string traffic_text(const TrafficView& v, const TextStyle& style) {
  std::string text;
  for (const auto& run : v.runs) text += (text.empty() ? fmt::format("{}: ", v.hostname) : std::string("\n")) + run_text(run, style);
  for (std::size_t i = 1; i < v.runs.size(); ++i) {
    const auto before = v.runs[0].traffic.slowest, after = v.runs[i].traffic.slowest;
    if (!before || !after) continue;
    text += fmt::format("\n{}: the slowest flow gets {:.1f} GB/s instead of {:.1f} ({:+.0f} %)", v.runs[i].name, *after, *before, (*after / *before - 1) * 100);
  }
  return v.runs.size() > 1 ? text + "\n" : text;
}

namespace {

bool is_between_gpus(Pattern p) { return p != Pattern::kLoad && p != Pattern::kSave && p != Pattern::kRdma; }

std::string choice_text(const PlaceView& v) {
  const auto& best = v.result.best;
  const auto& naive = v.result.naive;
  if (best.gpus.size() == 1 && is_between_gpus(v.pattern))
    return fmt::format("GPU {}: one GPU alone sends nothing to others, any will do\n", numbers(best.gpus));
  std::string text = fmt::format("best    GPUs {}, slowest flow {} GB/s{}\n", numbers(best.gpus), rate(best.slowest), best.exact ? "" : " (perhaps not the best: there are too many to try all)");
  if (v.pattern == Pattern::kRing && best.ring.size() > 2) text += fmt::format("ring    {}\n", numbers(best.ring));
  text += fmt::format("naive   GPUs {}, slowest flow {} GB/s\n", numbers(naive.ring), rate(naive.slowest));
  if (best.slowest && naive.slowest && *best.slowest > *naive.slowest * 1.005)
    return text + fmt::format("The best choice is {:.2f} times as fast as GPUs {}.\n", *best.slowest / *naive.slowest, numbers(naive.ring));
  if (best.slowest && naive.slowest) return text + "It is no faster than the first GPUs in their order.\n";
  if (best.slowest) return text + "Nobody can say what the first GPUs in their order would get.\n";
  return text + "Rates are unknown: chosen by the kinds of links.\n";
}

}  // namespace

std::string place_text(const PlaceView& v) {
  std::string text = fmt::format("{}: {} for {}\n", v.hostname, drawing::plural(v.result.best.gpus.size(), "GPU"), to_string(v.pattern)) + choice_text(v);
  for (const auto& pair : v.nics) {
    const auto nic = std::find_if(v.machine.nics.begin(), v.machine.nics.end(), [&](const Nic& n) { return n.index == pair.nic; });
    text += fmt::format("GPU {:<3} NIC {} {}, reach {}, {} GB/s\n", pair.gpu, pair.nic, clean(nic->name), to_string(pair.reach), rate(pair.gb_per_s));
  }
  return text;
}

std::string fabric_text(const FabricView& v) {
  const auto& f = v.fabric;
  const auto& t = v.traffic;
  std::string text = fmt::format("{} machines x {} GPUs, {} leaves, {} spines, {} x {:g} GB/s between a leaf and a spine, {}, {}\n", f.machines, v.gpus, f.leaves,
                                 f.spines, f.links_per_pair, f.leaf_spine_gb_per_s, f.rail_optimized ? "a rail a leaf" : "a machine a leaf",
                                 f.spread ? "spread over all spines" : "a spine a flow, by hash");
  text += fmt::format("all-reduce rings {}: {} flows over {} link directions\n", v.aligned ? "along the rails" : "across the rails", t.flows, t.channels);
  text += fmt::format("slowest {:.1f} GB/s, limited by {}; between machines {:.0f} GB/s in all\n", t.slowest, t.slowest_limited_by, t.total);
  for (const auto& level : t.levels) text += fmt::format("  {}: {} of {} full\n", level.name, level.saturated, level.of);
  return text + t.sentence + "\n";
}

}  // namespace numapin
