// `analyze paths` as text: matrices with heat, then the routes behind them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "render/analyze.h"
#include "render/layout.h"
#include "render/topo_parts.h"

namespace numapin {
namespace {

constexpr std::string_view kPlain = "\033[0m";
/// From a twentieth of the best pair to the best: 256-colour backgrounds, red over yellow to green.
constexpr int kHeat[] = {52, 88, 130, 136, 100, 64, 28, 22};
constexpr std::string_view kBlocks[] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};

std::string rate_text(double gb_per_s) { return gb_per_s < 10 ? fmt::format("{:.1f}", gb_per_s) : fmt::format("{:.0f}", gb_per_s); }

std::string short_name(DeviceRef r) {
  switch (r.type) {
    case DeviceRef::Type::kGpu: return fmt::format("GPU{}", r.index);
    case DeviceRef::Type::kNic: return fmt::format("NIC{}", r.index);
    case DeviceRef::Type::kNode: break;
  }
  return fmt::format("mem{}", r.index);
}

/// "376", "<=27" where a link on the way is unknown, "~34" where one is a guess, "?" where nobody can say.
std::string cell_text(const std::optional<Route>& r) {
  if (!r) return "-";
  if (!r->gb_per_s) return "?";
  const auto mark = !r->unknown.empty() ? "<=" : r->basis == Basis::kGuess ? "~" : "";
  return mark + rate_text(*r->gb_per_s);
}

double best_of(const PairTable& t) {
  double best = 0;
  for (const auto& row : t.routes)
    for (const auto& r : row)
      if (r && r->gb_per_s) best = std::max(best, *r->gb_per_s);
  return best;
}

std::size_t heat_of(const Route& r, double best) {
  const auto step = static_cast<std::size_t>(*r.gb_per_s / best * 8);
  return std::min<std::size_t>(step, 7);
}

std::string matrix_of(const PairTable& t, const TextStyle& style) {
  const double best = best_of(t);
  Matrix m;
  for (const auto& c : t.columns) m.columns.push_back(short_name(c));
  for (std::size_t i = 0; i < t.rows.size(); ++i) {
    m.rows.push_back(short_name(t.rows[i]));
    auto& cells = m.cells.emplace_back();
    for (const auto& r : t.routes[i]) {
      auto cell = cell_text(r);
      const bool warm = r && r->gb_per_s && best > 0;
      if (style.color && warm) cell = fmt::format("\033[48;5;{}m{}{}", kHeat[heat_of(*r, best)], cell, kPlain);
      else if (style.unicode && warm) cell += kBlocks[heat_of(*r, best)];
      cells.push_back(std::move(cell));
    }
  }
  return matrix_text(m, "  ", static_cast<std::size_t>(style.width));
}

std::string limit_text(const LinkGraph& g, const Route& r) {
  if (!r.cannot_know.empty()) return "unknown: " + r.cannot_know;
  if (!r.gb_per_s) return "unknown: no capacity on the way is known";
  auto text = fmt::format("{}{} GB/s", r.unknown.empty() ? "" : "at most ", rate_text(*r.gb_per_s));
  if (r.narrowest && r.basis != Basis::kMeasured) text += fmt::format(", limited by {} ({})", g.channels[static_cast<std::size_t>(*r.narrowest)].kind, to_string(r.basis));
  else if (r.narrowest) text += fmt::format(", limited by {}, measured", g.channels[static_cast<std::size_t>(*r.narrowest)].kind);
  else text += ", " + r.ceiling_because;
  return text;
}

/// Routes are alike when they take the same kinds of links for the same rate.
std::string signature(const LinkGraph& g, const Route& r) {
  std::string text = limit_text(g, r);
  for (const int e : r.edges) {
    const auto& edge = g.edges[static_cast<std::size_t>(e)];
    text += fmt::format("|{} {}", g.channels[static_cast<std::size_t>(edge.channel)].kind, static_cast<int>(g.parts[static_cast<std::size_t>(edge.to)].kind));
  }
  return text;
}

struct Alike {
  const Route* first = nullptr;
  std::vector<std::string> pairs;
};

std::string alike_text(const LinkGraph& g, const Alike& a, double best, const TextStyle& style) {
  const auto& r = *a.first;
  const auto arrow = style.unicode ? " \u2192 " : " -> ";
  const auto text = drawing::paragraph("  ", "      ", fmt::format("{}: {}", route_text(g, r, arrow), limit_text(g, r)), style);
  std::string rest = fmt::format("reach {}", to_string(r.reach));
  if (r.gb_per_s && best > 0) rest += fmt::format(", {:.0f} % of the best pair", *r.gb_per_s / best * 100);
  if (a.pairs.size() > 1) {
    rest += fmt::format("; the same for {} more:", a.pairs.size() - 1);
    for (std::size_t i = 1; i < std::min<std::size_t>(a.pairs.size(), 7); ++i) rest += " " + a.pairs[i];
    if (a.pairs.size() > 7) rest += " ...";
  }
  return text + drawing::paragraph("      ", "      ", rest, style);
}

std::string routes_of(const LinkGraph& g, const PairTable& t, bool every_pair, const TextStyle& style) {
  std::vector<std::string> order;
  std::map<std::string, Alike> groups;
  for (std::size_t i = 0; i < t.rows.size(); ++i)
    for (std::size_t j = 0; j < t.columns.size(); ++j) {
      const auto& r = t.routes[i][j];
      if (!r) continue;
      const auto key = every_pair ? fmt::format("{} {}", i, j) : signature(g, *r);
      auto& group = groups[key];
      if (group.first == nullptr) {
        group.first = &*r;
        order.push_back(key);
      }
      group.pairs.push_back(fmt::format("{}-{}", short_name(t.rows[i]), short_name(t.columns[j])));
    }
  std::string text;
  for (const auto& key : order) text += alike_text(g, groups[key], best_of(t), style);
  return text;
}

std::set<std::uint32_t> channels_of(const std::vector<PairTable>& tables) {
  std::set<std::uint32_t> used;
  for (const auto& t : tables)
    for (const auto& row : t.routes)
      for (const auto& r : row)
        if (r)
          for (const auto& use : r->uses) used.insert(use.channel);
  return used;
}

/// What the rates rest on: each kind of link once.
std::string capacities_text(const LinkGraph& g, const std::vector<PairTable>& tables, const TextStyle& style) {
  std::map<std::string, std::string> lines;
  for (const auto channel : channels_of(tables)) {
    const auto& c = g.channels[channel];
    if (c.type == LinkType::kOnDie) continue;
    const auto rate = c.capacity.gb_per_s ? fmt::format("{} GB/s, {}", rate_text(*c.capacity.gb_per_s), to_string(c.capacity.basis)) : std::string("unknown");
    lines[fmt::format("{} {}", c.kind, rate)] = fmt::format("{}: {}{}{}", c.kind, rate, c.capacity.because.empty() ? "" : ": ", c.capacity.because);
  }
  std::string text;
  for (const auto& [key, line] : lines) text += drawing::paragraph("  ", "      ", line, style);
  for (const auto& note : g.notes) text += drawing::paragraph("  note: ", "      ", note, style);
  return text;
}

}  // namespace

std::string paths_text(const PathsView& v, const TextStyle& style) {
  std::string text = fmt::format("{}: GB/s that one transfer alone gets\n(<= a link on the way is unknown, ~ the limit is a guess, ? nobody can say)\n", v.hostname);
  for (const auto& t : v.tables) text += fmt::format("\n{}\n{}{}", t.title, matrix_of(t, style), routes_of(v.graph, t, v.every_pair, style));
  return text + "\nwhat the links carry, one way\n" + capacities_text(v.graph, v.tables, style);
}

}  // namespace numapin
