// The report of measurements as JSON, both ways; docs/bench.md describes it key by key. Change both together.
#include "machine/json_place.h"
#include "numapin/measured.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kSchema = "numapin/measured/1";

Json value(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }
template <class T>
Json value(const std::optional<T>& v) {
  if (!v) return nullptr;
  if constexpr (std::is_enum_v<T>) return number(*v);
  else return *v;
}
Json value(const std::vector<NodeId>& nodes) {
  auto out = Json::array();
  for (const NodeId id : nodes) out.push_back(number(id));
  return out;
}

Json gpu_json(const MeasuredGpu& g) {
  return {{"index", g.index},
          {"address", g.address ? Json(g.address->to_string()) : Json(nullptr)},
          {"model", value(g.model)},
          {"numa_nodes", value(g.nodes)}};
}

Json measurement_json(const Measurement& m) {
  return {{"metric", to_string(m.metric)},
          {"cpu_node", value(m.cpu_node)},
          {"memory_node", value(m.memory_node)},
          {"gpu", value(m.gpu)},
          {"peer_gpu", value(m.peer_gpu)},
          {"cpu", value(m.cpu)},
          {"peer_cpu", value(m.peer_cpu)},
          {"together", to_string(m.together)},
          {"peer_access", value(m.peer_access)},
          {"threads", value(m.threads)},
          {"bytes", value(m.bytes)},
          {"page_bytes", value(m.page_bytes)},
          {"load_gb_per_s", value(m.load_gb_per_s)},
          {"how", value(m.how)},
          {"unit", is_time(m.metric) ? "ns" : "GB/s"},
          {"median", value(median(m.samples))},
          {"spread", value(spread(m.samples))},
          {"samples", m.samples},
          {"ceiling", value(m.ceiling)},
          {"ceiling_from", value(m.ceiling_from)},
          {"disturbed", value(m.disturbed)},
          {"skipped", value(m.skipped)}};
}

// ---- and back -------------------------------------------------------------------------------------------------------

std::string text(const Place& p) { return p.text().value_or(""); }
std::optional<NodeId> node(const Place& p) {
  const auto id = p.integer(0, kMaxIds - 1);
  return id ? std::optional(static_cast<NodeId>(*id)) : std::nullopt;
}
std::optional<CpuId> cpu(const Place& p) {
  const auto id = p.integer(0, kMaxIds - 1);
  return id ? std::optional(static_cast<CpuId>(*id)) : std::nullopt;
}
std::vector<NodeId> nodes(const Place& p) {
  std::vector<NodeId> all;
  p.each([&](const Place& e) {
    e.demand();
    if (const auto id = node(e)) all.push_back(*id);
  });
  return all;
}

MeasuredGpu read_gpu(const Place& p) {
  MeasuredGpu g;
  p["index"].demand();
  g.index = p["index"].integer().value_or(0);
  if (const auto address = p["address"].text()) {
    g.address = PciAddress::parse(*address);
    if (!g.address) p["address"].complain(fmt::format("\"{}\" is not a PCI address", *address));
  }
  g.model = text(p["model"]);
  g.nodes = nodes(p["numa_nodes"]);
  return g;
}

Measurement read_measurement(const Place& p) {
  Measurement m;
  p["metric"].demand();
  m.metric = enumerator(p["metric"], Metric::kPeerLatency).value_or(Metric::kRead);
  m.cpu_node = node(p["cpu_node"]);
  m.memory_node = node(p["memory_node"]);
  m.gpu = p["gpu"].integer();
  m.peer_gpu = p["peer_gpu"].integer();
  m.cpu = cpu(p["cpu"]);
  m.peer_cpu = cpu(p["peer_cpu"]);
  m.together = enumerator(p["together"], Together::kRing).value_or(Together::kAlone);
  m.peer_access = p["peer_access"].boolean();
  m.threads = p["threads"].integer(1);
  m.bytes = p["bytes"].size();
  m.page_bytes = p["page_bytes"].size();
  m.load_gb_per_s = p["load_gb_per_s"].number();
  m.how = text(p["how"]);
  p["samples"].each([&](const Place& e) {
    e.demand();
    const auto sample = e.number();
    // A time may be nothing within the clock's grain, and a thread that moves may gain; no rate is nothing.
    if (sample && !is_time(m.metric) && *sample <= 0) e.complain("not a number above 0");
    if (sample) m.samples.push_back(*sample);
  });
  m.ceiling = p["ceiling"].positive();
  m.ceiling_from = text(p["ceiling_from"]);
  m.disturbed = text(p["disturbed"]);
  m.skipped = text(p["skipped"]);
  return m;
}

}  // namespace

std::string to_json(const Measured& m) {
  Json out{{"schema", kSchema},
           {"numapin_version", value(m.numapin_version)},
           {"taken_at", value(m.taken_at)},
           {"cpu_model", value(m.cpu_model)},
           {"cpu_nodes", value(m.cpu_nodes)},
           {"memory_nodes", value(m.memory_nodes)},
           {"gpu_memory_nodes", value(m.gpu_memory_nodes)},
           {"gpus", Json::array()},
           {"measurements", Json::array()},
           {"notes", m.notes}};
  for (const auto& gpu : m.gpus) out["gpus"].push_back(gpu_json(gpu));
  for (const auto& one : m.measurements) out["measurements"].push_back(measurement_json(one));
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Measured> measured_from_json(std::string_view document) {
  NUMAPIN_TRY(const auto json, parse_json(document, "measured"));
  JsonReading reading{"measured", std::nullopt};
  const Place root(&json, "", reading);
  check_schema(root["schema"], kSchema);
  Measured m;
  m.numapin_version = text(root["numapin_version"]);
  m.taken_at = text(root["taken_at"]);
  m.cpu_model = text(root["cpu_model"]);
  m.cpu_nodes = nodes(root["cpu_nodes"]);
  m.memory_nodes = nodes(root["memory_nodes"]);
  m.gpu_memory_nodes = nodes(root["gpu_memory_nodes"]);
  root["gpus"].each([&](const Place& p) { m.gpus.push_back(read_gpu(p)); });
  root["measurements"].each([&](const Place& p) { m.measurements.push_back(read_measurement(p)); });
  root["notes"].each([&](const Place& p) { m.notes.push_back(text(p)); });
  if (reading.error) return Unexpected(*reading.error);
  return m;
}

}  // namespace numapin
