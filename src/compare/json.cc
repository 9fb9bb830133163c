#include <nlohmann/json.hpp>

#include "machine/json_null.h"
#include "numapin/compare.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;

std::string_view word(PairedEffect::Verdict v) {
  switch (v) {
    case PairedEffect::Verdict::kBetter: return "better";
    case PairedEffect::Verdict::kWorse: return "worse";
    case PairedEffect::Verdict::kNoEffect: return "no measurable effect";
    case PairedEffect::Verdict::kTooFew: return "too few runs";
  }
  return "";
}

Json json_of(const PairedEffect& e) {
  return {{"pairs", e.pairs}, {"relative", e.relative}, {"low", or_null(e.low)}, {"high", or_null(e.high)},
          {"p", e.p}, {"verdict", word(e.verdict)}};
}

Json json_of(const Comparison& c, std::size_t metric) {
  const auto result = evaluate(c, metric);
  Json out{{"metric", to_string(c.metrics[metric])}, {"higher_is_better", c.metrics[metric].higher_is_better},
           {"drift", result.drift}, {"drifted", result.drifted}};
  for (std::size_t i = 0; i < result.configs.size(); ++i) {
    const auto& r = result.configs[i];
    Json row{{"config", c.configs[i].name}, {"values", r.values}, {"median", or_null(r.median)}, {"p99", or_null(r.p99)},
             {"failed", r.failed}, {"without_value", r.without_value}};
    if (i != 0) row["effect"] = json_of(r.effect);
    out["configs"].push_back(std::move(row));
  }
  return out;
}

Json json_of(const Trial& t, const Comparison& c) {
  Json bytes = Json::object();
  for (const auto& [node, n] : t.bytes_by_node) bytes[std::to_string(node)] = n;
  return {{"config", c.configs.at(static_cast<std::size_t>(t.config)).name},
          {"round", t.round < 0 ? Json("warm-up") : Json(t.round)},
          {"status", t.status},
          {"values", t.values},
          {"rank_values", t.rank_values},
          {"wall_s", t.wall_s},
          {"cpu_s", t.cpu_s},
          {"max_rss_bytes", t.max_rss_bytes},
          {"voluntary_switches", t.voluntary_switches},
          {"involuntary_switches", t.involuntary_switches},
          {"migrations", or_null(t.migrations)},
          {"bytes_by_node", std::move(bytes)},
          {"numa_misses", or_null(t.numa_misses)},
          {"last_lines", t.last_lines}};
}

}  // namespace

std::string to_json(const Comparison& c) {
  Json out{{"schema", "numapin/compare/1"}, {"command", c.command}, {"seed", c.seed}, {"stopped", c.stopped}};
  for (const auto& config : c.configs)
    out["configs"].push_back({{"name", config.name}, {"command_line", config.stands_for}, {"placement", config.what}});
  out["results"] = Json::array();
  for (std::size_t i = 0; i < c.metrics.size(); ++i) out["results"].push_back(json_of(c, i));
  out["trials"] = Json::array();
  for (const auto& t : c.trials) out["trials"].push_back(json_of(t, c));
  out["conclusion"] = conclusion(c);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace numapin
