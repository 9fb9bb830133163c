// The document of numapin_bind_self(), schema numapin/bind/1 (docs/json.md).
#include <nlohmann/json.hpp>

#include "capi/bind_self.h"
#include "plan/policy_text.h"

namespace numapin::capi {
namespace {

using Json = nlohmann::ordered_json;

Json nodes_json(const NodeSet& nodes) {
  auto out = Json::array();
  for (const NodeId node : nodes) out.push_back(number(node));
  return out;
}

Json cpulist(const CpuSet& cpus) { return cpus.empty() ? Json(nullptr) : Json(cpus.to_list()); }

Json policy_json(const MemoryPolicy& p) {
  return {{"mode", std::string(kernel_word(p.mode))}, {"numa_nodes", nodes_json(p.nodes)}};
}

Json threads_json(const BindReport& t) {
  return {{"seen", t.changed + t.as_they_were + t.ended + static_cast<int>(t.refused.size())},
          {"changed", t.changed},
          {"as_they_were", t.as_they_were},
          {"own_shape", t.shaped},
          {"ended", t.ended},
          {"refused", t.refused.size()},
          {"settled", t.settled},
          {"left_out_cpulist", cpulist(t.left_out)}};
}

Json pages_json(const std::optional<TouchedPages>& p) {
  if (!p) return nullptr;
  auto own = Json::object(), stayed = Json::object();
  for (const auto& [node, bytes] : p->own) own[std::to_string(node)] = bytes;
  for (const auto& [reason, share] : p->stayed) stayed[reason] = share;
  return {{"numa_nodes", nodes_json(p->nodes)},
          {"own_bytes", own},
          {"elsewhere_bytes", p->elsewhere()},
          {"moved_bytes", p->moved_bytes ? Json(*p->moved_bytes) : Json(nullptr)},
          {"move_seconds", p->moved_bytes ? Json(p->move_seconds) : Json(nullptr)},
          {"stayed_shares", stayed}};
}

Json losses_json(const std::vector<Error>& losses) {
  auto out = Json::array();
  for (const auto& loss : losses) out.push_back({{"message", loss.message}, {"hint", loss.hint}});
  return out;
}

}  // namespace

std::string to_json(const BindSelfReport& r) {
  const auto& p = r.placement;
  auto env = Json::object();
  for (const auto& [name, value] : p.env) env[name] = value;
  const auto late = late_words(r);
  const Json document = {{"schema", "numapin/bind/1"},
                         {"verdict", verdict(r)},
                         {"dry_run", r.dry_run},
                         {"late", late.empty() ? Json(nullptr) : Json(late)},
                         {"gpus", p.gpus},
                         {"near_numa_nodes", p.near_nodes.empty() ? Json(nullptr) : nodes_json(p.near_nodes)},
                         {"cpulist", cpulist(p.cpus)},
                         {"main_cpulist", cpulist(p.main_cpus)},
                         {"worker_cpulist", cpulist(p.worker_cpus)},
                         {"allowed_cpulist", cpulist(r.allowed)},
                         {"cores", p.cpus.empty() ? Json(nullptr) : Json(p.cores)},
                         {"threads", threads_json(r.threads)},
                         {"memory", {{"asked", policy_json(r.memory.memory_asked)}, {"got", policy_json(r.memory.memory_got)}}},
                         {"pages", pages_json(r.pages)},
                         {"env", env},
                         {"because", p.because},
                         {"warnings", r.warnings},
                         {"losses", losses_json(r.losses)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace numapin::capi
