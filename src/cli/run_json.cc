#include <nlohmann/json.hpp>

#include "cli/run_placement.h"
#include "plan/policy_text.h"

namespace numapin::cli {

std::string run_json(const RunPlacement& where, const std::vector<std::string>& words) {
  const auto& p = where.placement;
  nlohmann::ordered_json env = nlohmann::ordered_json::object();
  for (const auto& [name, value] : p.env) env[name] = value;
  nlohmann::ordered_json memory = nullptr;
  if (p.memory.mode != MemoryMode::kNone) {
    memory = {{"mode", std::string(kernel_word(p.memory.mode))},
              {"nodes", p.memory.nodes.to_list()},
              {"balancing", p.memory.balancing}};
  }
  const nlohmann::ordered_json doc = {
      {"schema", "numapin/run/1"},
      {"gpus", p.gpus},
      {"near_nodes", p.near_nodes.to_list()},
      {"cpulist", p.cpus.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(p.cpus.to_list())},
      {"memory", memory},
      {"env", env},
      {"because", p.because},
      {"warnings", p.warnings},
      {"command", words},
  };
  return doc.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace numapin::cli
