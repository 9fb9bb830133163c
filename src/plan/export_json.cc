// The JSON of plans, and the one export that is JSON.
#include <nlohmann/json.hpp>

#include "plan/export.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;

/// Indented by two; bytes that are no UTF-8 (an environment can hold any) become U+FFFD.
std::string text_of(const Json& document) { return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json pairs(const std::vector<std::pair<std::string, std::string>>& variables) {
  Json object = Json::object();
  for (const auto& [name, value] : variables) object[name] = value;
  return object;
}

Json node_array(const NodeSet& nodes) {
  Json array = Json::array();
  for (const NodeId node : nodes) array.push_back(number(node));
  return array;
}

/// null: left alone, or not split.
Json cpulist(const CpuSet& cpus) { return cpus.empty() ? Json(nullptr) : Json(cpus.to_list()); }

Json placement_json(const Placement& p, std::size_t rank) {
  return {{"rank", rank},
          {"gpus", p.gpus},
          {"cpulist", cpulist(p.cpus)},
          {"cores", p.cpus.empty() ? Json(nullptr) : Json(p.cores)},
          {"main_cpulist", cpulist(p.main_cpus)},
          {"worker_cpulist", cpulist(p.worker_cpus)},
          {"near_numa_nodes", p.near_nodes.empty() ? Json(nullptr) : node_array(p.near_nodes)},
          {"memory", {{"mode", std::string(kernel_word(p.memory.mode))}, {"numa_nodes", node_array(p.memory.nodes)}}},
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

Json memory_policy_json(const MemoryPolicy& p) {
  const char* mode = oci_mode(p);
  if (mode == nullptr) return nullptr;
  Json policy = {{"mode", mode}};
  if (!p.nodes.empty()) policy["nodes"] = p.nodes.to_list();
  if (p.balancing) policy["flags"] = {"MPOL_F_NUMA_BALANCING"};
  return policy;
}

Json oci_fragment(const Placement& p) {
  Json fragment = Json::object();
  for (const auto& [name, value] : p.env) fragment["process"]["env"].push_back(name + "=" + value);
  if (!p.cpus.empty()) fragment["linux"]["resources"]["cpu"]["cpus"] = p.cpus.to_list();
  if (p.memory.mode == MemoryMode::kBind) fragment["linux"]["resources"]["cpu"]["mems"] = p.memory.nodes.to_list();
  if (const auto policy = memory_policy_json(p.memory); !policy.is_null()) fragment["linux"]["memoryPolicy"] = policy;
  return fragment;
}

}  // namespace

std::string to_json(const Plan& plan) {
  Json document = {{"schema", "numapin/plan/1"}, {"placements", Json::array()}, {"notes", plan.notes}};
  for (std::size_t i = 0; i < plan.placements.size(); ++i)
    document["placements"].push_back(placement_json(plan.placements[i], i));
  return text_of(document);
}

std::string oci_memory_policy(const MemoryPolicy& policy) {
  const auto json = memory_policy_json(policy);
  return json.is_null() ? "" : json.dump();
}

Result<std::string> export_oci(const ExportRequest& r) {
  if (r.plan.placements.size() == 1) return text_of(oci_fragment(r.plan.placements[0]));
  Json all = Json::array();
  for (const auto& p : r.plan.placements) all.push_back(oci_fragment(p));
  return text_of(all);
}

}  // namespace numapin
