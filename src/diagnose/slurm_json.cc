// The documents of `slurm check --json` and `slurm explain --json` (docs/json.md).
#include "diagnose/check_slurm.h"
#include "diagnose/slurm_explain.h"
#include "machine/json_null.h"

namespace numapin {
namespace {

using Json = nlohmann::ordered_json;

Json ids_json(const NodeSet& nodes) {
  auto out = Json::array();
  for (const auto node : nodes) out.push_back(static_cast<int>(node));
  return out;
}
Json list_or_null(const CpuSet& cpus) { return text_or_null(cpus.to_list()); }
std::string dump(const Json& document) { return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string to_json(const SlurmFindings& f) {
  auto findings = Json::array();
  for (const auto& one : f.findings)
    findings.push_back({{"severity", std::string(to_string(one.severity))},
                        {"about", text_or_null(one.about)},
                        {"is", one.is},
                        {"should_be", one.should},
                        {"mend", text_or_null(one.mend)}});
  return dump({{"schema", "numapin/slurm-check/1"}, {"findings", findings}, {"fine", f.fine}, {"unknown", f.unknown}});
}

std::string to_json(const SlurmExplanation& e) {
  const auto& g = e.given;
  return dump({{"schema", "numapin/slurm-explain/1"},
               {"about", g.what},
               {"job_cpulist", list_or_null(g.job_cpus)},
               {"task_cpulist", g.task_cpus ? list_or_null(*g.task_cpus) : Json(nullptr)},
               {"allowed_memory_nodes", g.mems ? ids_json(*g.mems) : Json(nullptr)},
               {"policy", text_or_null(g.policy)},
               {"gpus", g.gpus},
               {"near_numa_nodes", e.near.empty() ? Json(nullptr) : ids_json(e.near)},
               {"near_cpulist", list_or_null(e.near_cpus)},
               {"because", g.because},
               {"wrong", e.wrong},
               {"notes", e.notes},
               {"command", text_or_null(e.line)}});
}

}  // namespace numapin
