// The JSON of plans, and the one export that is JSON.
#include <nlohmann/json.hpp>

#include "plan/export.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;

Json pairs(const std::vector<std::pair<std::string, std::string>>& variables) {
  Json object = Json::object();
  for (const auto& [name, value] : variables) object[name] = value;
  return object;
}

Json placement_json(const Placement& p, std::size_t rank) {
  Json near = nullptr;
  if (!p.near_nodes.empty()) near = p.near_nodes.to_list();
  return {{"rank", rank},
          {"gpus", p.gpus},
          {"cpulist", p.cpus.to_list()},
          {"cores", p.cores},
          {"main_cpulist", p.main_cpus.to_list()},
          {"worker_cpulist", p.worker_cpus.to_list()},
          {"near_nodelist", near},
          {"memory", {{"mode", std::string(to_string(p.memory.mode))}, {"nodelist", p.memory.nodes.to_list()}}},
          {"env", pairs(p.env)},
          {"because", p.because},
          {"warnings", p.warnings}};
}

/// Mode names of linux.memoryPolicy (OCI runtime specification 1.3); nothing where there is none to set.
const char* oci_mode(const MemoryPolicy& policy) {
  switch (policy.mode) {
    case MemoryMode::kPreferred: return "MPOL_PREFERRED_MANY";
    case MemoryMode::kPreferredOne: return "MPOL_PREFERRED";
    case MemoryMode::kBind: return "MPOL_BIND";
    case MemoryMode::kInterleave: return "MPOL_INTERLEAVE";
    case MemoryMode::kWeightedInterleave: return "MPOL_WEIGHTED_INTERLEAVE";
    case MemoryMode::kLocal: return "MPOL_LOCAL";
    case MemoryMode::kDefault: return "MPOL_DEFAULT";
    case MemoryMode::kNone: break;
  }
  return nullptr;
}

Json oci_fragment(const Placement& p) {
  Json fragment = Json::object();
  for (const auto& [name, value] : p.env) fragment["process"]["env"].push_back(name + "=" + value);
  if (!p.cpus.empty()) fragment["linux"]["resources"]["cpu"]["cpus"] = p.cpus.to_list();
  if (p.memory.mode == MemoryMode::kBind) fragment["linux"]["resources"]["cpu"]["mems"] = p.memory.nodes.to_list();
  if (const char* mode = oci_mode(p.memory)) {
    auto& policy = fragment["linux"]["memoryPolicy"];
    policy["mode"] = mode;
    if (!p.memory.nodes.empty()) policy["nodes"] = p.memory.nodes.to_list();
    if (p.memory.balancing) policy["flags"] = {"MPOL_F_NUMA_BALANCING"};
  }
  return fragment;
}

}  // namespace

std::string to_json(const Plan& plan) {
  Json document = {{"schema", "numapin/plan/1"}, {"placements", Json::array()}, {"notes", plan.notes}};
  for (std::size_t i = 0; i < plan.placements.size(); ++i)
    document["placements"].push_back(placement_json(plan.placements[i], i));
  return document.dump(2) + "\n";
}

Result<std::string> export_oci(const ExportRequest& r) {
  if (r.plan.placements.size() == 1) return oci_fragment(r.plan.placements[0]).dump(2) + "\n";
  Json all = Json::array();
  for (const auto& p : r.plan.placements) all.push_back(oci_fragment(p));
  return all.dump(2) + "\n";
}

}  // namespace numapin
