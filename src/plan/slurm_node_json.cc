// The document of `slurm gres --json`, schema numapin/slurm-gres/1 (docs/json.md).
#include "machine/json_null.h"
#include "plan/slurm_node.h"

namespace numapin {

std::string to_json(const SlurmNode& n) {
  using Json = nlohmann::ordered_json;
  auto gpus = Json::array();
  for (const auto& g : n.gpus)
    gpus.push_back({{"gpu", g.gpu},
                    {"type", text_or_null(g.type)},
                    {"file", g.file},
                    {"file_guessed", g.file_guessed},
                    {"cores", g.cores ? Json(g.cores->to_list()) : Json(nullptr)},
                    {"links", g.links.empty() ? Json(nullptr) : Json(g.links)}});
  const Json document = {{"schema", "numapin/slurm-gres/1"},
                         {"node_name", n.name},
                         {"cpus", n.cpus},
                         {"sockets", n.sockets},
                         {"cores_per_socket", n.cores_per_socket},
                         {"threads_per_core", n.threads_per_core},
                         {"real_memory_mib", or_null(n.memory_mib)},
                         {"numa_node_as_socket", n.numa_as_socket},
                         {"node_line", node_line(n)},
                         {"gres_lines", gres_conf_lines(n)},
                         {"gpus", gpus},
                         {"notes", n.notes}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace numapin
