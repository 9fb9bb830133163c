// The documents of `analyze --json`, schema numapin/analyze/1 (docs/analyze.md).
#include <nlohmann/json.hpp>

#include "machine/json_null.h"
#include "render/analyze.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kSchema = "numapin/analyze/1";

template <class T>
Json value(const std::optional<T>& v) {
  return v ? Json(*v) : Json(nullptr);
}
std::string text_of(const Json& document) { return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string end_word(DeviceRef r) {
  const char* prefix = r.type == DeviceRef::Type::kGpu ? "gpu" : r.type == DeviceRef::Type::kNic ? "nic" : "node";
  return prefix + std::to_string(r.index);
}

Json links_json(const LinkGraph& g) {
  auto links = Json::array();
  for (const auto& e : g.edges) {
    const auto& c = g.channels[static_cast<std::size_t>(e.channel)];
    links.push_back({{"from", g.parts[static_cast<std::size_t>(e.from)].name},
                     {"to", g.parts[static_cast<std::size_t>(e.to)].name},
                     {"channel", e.channel},
                     {"kind", c.kind},
                     {"type", to_string(c.type)},
                     {"gb_per_s", value(c.capacity.gb_per_s)},
                     {"basis", to_string(c.capacity.basis)},
                     {"because", text_or_null(c.capacity.because)}});
  }
  return links;
}

Json route_json(const LinkGraph& g, DeviceRef from, DeviceRef to, const Route& r) {
  auto hops = Json::array();
  for (const int e : r.edges) hops.push_back(e);
  return {{"from", end_word(from)},
          {"to", end_word(to)},
          {"route", route_text(g, r)},
          {"links", std::move(hops)},
          {"gb_per_s", value(r.gb_per_s)},
          {"basis", to_string(r.basis)},
          {"limited_by_channel", value(r.narrowest)},
          {"ceiling_gb_per_s", value(r.ceiling)},
          {"ceiling_because", text_or_null(r.ceiling_because)},
          {"unknown_channels", r.unknown},
          {"guessed_channels", r.guessed},
          {"cannot_know", text_or_null(r.cannot_know)},
          {"reach", to_string(r.reach)}};
}

Json flow_json(const FlowRate& f) {
  return {{"from", end_word(f.flow.from)},
          {"to", end_word(f.flow.to)},
          {"gb_per_s", value(f.gb_per_s)},
          {"is_upper_bound", f.is_bound},
          {"limited_by_channel", value(f.limited_by)},
          {"why", text_or_null(f.why)},
          {"cannot_know", text_or_null(f.cannot_know)}};
}

Json run_json(const TrafficView::Run& run) {
  Json out{{"name", run.name}, {"slowest_gb_per_s", value(run.traffic.slowest)}, {"total_gb_per_s", value(run.traffic.total)}, {"flows", Json::array()}, {"saturated", Json::array()}};
  for (const auto& f : run.traffic.flows) out["flows"].push_back(flow_json(f));
  for (const auto& s : run.traffic.saturated)
    out["saturated"].push_back({{"channel", s.channel}, {"name", run.graph.channels[static_cast<std::size_t>(s.channel)].name}, {"flows", s.flows}});
  out["advice"] = {{"sentence", run.advice.sentence}, {"channels", run.advice.channels}, {"slowest_after_gb_per_s", value(run.advice.slowest_after)}};
  out["links"] = links_json(run.graph);
  return out;
}

Json placing_json(const Placing& p) { return {{"gpus", p.gpus}, {"ring", p.ring}, {"slowest_gb_per_s", value(p.slowest)}, {"exact", p.exact}}; }

}  // namespace

std::string paths_json(const PathsView& v) {
  Json out{{"schema", kSchema}, {"hostname", v.hostname}, {"notes", v.graph.notes}, {"links", links_json(v.graph)}, {"routes", Json::array()}};
  for (const auto& t : v.tables)
    for (std::size_t i = 0; i < t.rows.size(); ++i)
      for (std::size_t j = 0; j < t.columns.size(); ++j)
        if (const auto& r = t.routes[i][j]) out["routes"].push_back(route_json(v.graph, t.rows[i], t.columns[j], *r));
  return text_of(out);
}

std::string traffic_json(const TrafficView& v) {
  Json out{{"schema", kSchema}, {"hostname", v.hostname}, {"runs", Json::array()}};
  for (const auto& run : v.runs) out["runs"].push_back(run_json(run));
  return text_of(out);
}

std::string place_json(const PlaceView& v) {
  Json out{{"schema", kSchema}, {"hostname", v.hostname}, {"pattern", to_string(v.pattern)}, {"best", placing_json(v.result.best)}, {"naive", placing_json(v.result.naive)}, {"nics", Json::array()}};
  for (const auto& p : v.nics) out["nics"].push_back({{"gpu", p.gpu}, {"nic", p.nic}, {"gb_per_s", value(p.gb_per_s)}, {"reach", to_string(p.reach)}});
  return text_of(out);
}

std::string fabric_json(const FabricView& v) {
  const auto& t = v.traffic;
  Json out{{"schema", kSchema}, {"machines", v.fabric.machines}, {"rings", v.aligned ? "aligned" : "crossed"}, {"flows", t.flows}, {"link_directions", t.channels},
           {"slowest_gb_per_s", t.slowest}, {"slowest_limited_by", t.slowest_limited_by}, {"between_machines_gb_per_s", t.total}, {"levels", Json::array()}, {"advice", t.sentence}};
  for (const auto& l : t.levels) out["levels"].push_back({{"name", l.name}, {"saturated", l.saturated}, {"of", l.of}});
  return text_of(out);
}

}  // namespace numapin
