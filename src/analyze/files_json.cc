// Flows and fabrics that a user writes down (docs/analyze.md).
#include <fmt/format.h>

#include "machine/json_place.h"
#include "numapin/analyze.h"

namespace numapin {
namespace {

constexpr std::string_view kFlows = "numapin/flows/1", kFabric = "numapin/fabric/1";
constexpr int kMostMachines = 100000;

DeviceRef read_end(const Place& p) {
  p.demand();
  const auto word = p.text();
  const auto end = word ? parse_end(*word) : std::nullopt;
  if (word && !end) p.complain(fmt::format("\"{}\" is none of gpu0, nic0, node0 and so on", *word));
  return end.value_or(DeviceRef{});
}

}  // namespace

Result<FlowSet> flows_from_json(std::string_view text) {
  NUMAPIN_TRY(const auto json, parse_json(text, "flows"));
  JsonReading reading{"flows", std::nullopt};
  const Place root(&json, "", reading);
  check_schema(root["schema"], kFlows);
  FlowSet set;
  root["flows"].demand();
  root["flows"].each([&](const Place& p) { set.flows.push_back({read_end(p["from"]), read_end(p["to"]), p["gb_per_s"].positive()}); });
  if (reading.error) return Unexpected(*reading.error);
  return set;
}

Result<Fabric> fabric_from_json(std::string_view text) {
  NUMAPIN_TRY(const auto json, parse_json(text, "fabric"));
  JsonReading reading{"fabric", std::nullopt};
  const Place root(&json, "", reading);
  check_schema(root["schema"], kFabric);
  const auto count = [&](std::string_view key, int least) {
    root[key].demand();
    return root[key].integer(least, kMostMachines).value_or(least);
  };
  Fabric f;
  f.machines = count("machines", 1);
  f.leaves = count("leaves", 1);
  f.spines = count("spines", 1);
  f.links_per_pair = root["links_per_pair"].integer(1, 1024).value_or(f.links_per_pair);
  root["leaf_spine_gb_per_s"].demand();
  f.leaf_spine_gb_per_s = root["leaf_spine_gb_per_s"].positive().value_or(f.leaf_spine_gb_per_s);
  f.nic_gb_per_s = root["nic_gb_per_s"].positive();
  f.rail_optimized = root["rail_optimized"].boolean().value_or(f.rail_optimized);
  f.spread = root["spread"].boolean().value_or(f.spread);
  if (reading.error) return Unexpected(*reading.error);
  return f;
}

}  // namespace numapin
