// The document of `inspect --json`, schema numapin/inspect/1 (docs/json.md).
#include <nlohmann/json.hpp>

#include "machine/json_null.h"
#include "render/inspect.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;

Json bytes_json(const NodeBytes& b) {
  auto out = Json::object();
  for (const auto& [node, bytes] : b) out[std::to_string(node)] = bytes;
  return out;
}

Json thread_json(const ThreadInfo& t) {
  return {{"tid", t.tid},
          {"name", t.name},
          {"state", std::string(1, t.state)},
          {"allowed_cpulist", t.allowed_cpus.to_list()},
          {"last_cpu", or_null(t.last_cpu)},
          {"voluntary_switches", or_null(t.voluntary_switches)},
          {"involuntary_switches", or_null(t.involuntary_switches)},
          {"migrations", or_null(t.migrations)},
          {"cpu_ticks", t.cpu_ticks}};
}

Json memory_json(const std::optional<ProcessMemory>& m) {
  if (!m) return nullptr;
  auto own_policy = Json::array();
  for (const auto& v : m->own_policy)
    own_policy.push_back({{"start", v.start}, {"policy", v.policy}, {"file", v.file}, {"bytes", bytes_json(v.bytes)}});
  auto shares = Json::object();
  for (const auto& [node, bounds] : m->sample_shares) shares[std::to_string(node)] = {{"low", bounds.first}, {"high", bounds.second}};
  return {{"policy", m->policy},
          {"own_bytes", bytes_json(m->own())},
          {"huge_bytes", bytes_json(m->huge)},
          {"heap_bytes", bytes_json(m->heap)},
          {"stack_bytes", bytes_json(m->stack)},
          {"private_bytes", bytes_json(m->private_)},
          {"anon_bytes", bytes_json(m->anon)},
          {"shared_bytes", bytes_json(m->shared)},
          {"file_bytes", bytes_json(m->file)},
          {"locked_bytes", m->locked_bytes},
          {"pinned_bytes", m->pinned_bytes},
          {"device_bytes", m->device_bytes},
          {"sample_pages", m->sample_pages == 0 ? Json(nullptr) : Json(m->sample_pages)},
          {"sample_shares", shares},
          {"own_policy", own_policy}};
}

Json gpu_json(const Machine& m, int index) {
  Json out = {{"index", index}, {"address", nullptr}, {"uuid", nullptr}, {"numa_nodes", nullptr}};
  for (const auto& gpu : m.gpus) {
    if (gpu.index != index) continue;
    if (gpu.address) out["address"] = gpu.address->to_string();
    if (gpu.uuid) out["uuid"] = *gpu.uuid;
    if (!gpu.numa_nodes) continue;
    out["numa_nodes"] = Json::array();
    for (NodeId id : *gpu.numa_nodes) out["numa_nodes"].push_back(number(id));
  }
  return out;
}

Json container_json(const std::optional<ContainerName>& c) {
  if (!c) return nullptr;
  return {{"engine", text_or_null(c->engine)}, {"id", text_or_null(c->id)},
          {"pod_uid", text_or_null(c->pod_uid)}, {"pod", text_or_null(c->pod)},
          {"pod_namespace", text_or_null(c->pod_namespace)}, {"name", text_or_null(c->container)}};
}

Json slurm_json(const std::optional<SlurmStep>& s) {
  if (!s) return nullptr;
  return {{"job", s->job}, {"step", text_or_null(s->step)}, {"task", text_or_null(s->task)}};
}

Json process_json(const Machine& m, const Inspection& i) {
  const auto& p = i.process;
  auto gpus = Json::array(), threads = Json::array();
  for (int index : i.gpus) gpus.push_back(gpu_json(m, index));
  for (const auto& t : p.threads) threads.push_back(thread_json(t));
  return {{"pid", p.pid},
          {"parent", p.parent},
          {"depth", i.depth},
          {"name", p.name},
          {"command", p.command},
          {"uid", or_null(p.uid)},
          {"start_ticks", p.start_ticks},
          {"state", std::string(to_string(i.verdict.state))},
          {"verdict", i.verdict.line},
          {"mend", i.verdict.mend.empty() ? Json(nullptr) : Json(i.verdict.mend)},
          {"gpus", gpus},
          {"container", container_json(i.container)},
          {"slurm", slurm_json(i.slurm)},
          {"allowed_nodes", p.allowed_mems.to_list()},
          {"threads", threads},
          {"memory", memory_json(p.memory)},
          {"denied", p.denied}};
}

}  // namespace

std::string inspect_json(const Machine& m, const std::vector<Inspection>& list, const std::vector<std::string>& notes) {
  auto processes = Json::array();
  for (const auto& i : list) processes.push_back(process_json(m, i));
  const Json document = {{"schema", "numapin/inspect/1"}, {"processes", processes}, {"notes", notes}};
  // Names and command lines are bytes of any kind: what is not UTF-8 is replaced, not refused.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace numapin
