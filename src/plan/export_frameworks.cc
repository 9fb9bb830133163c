// vLLM's --numa-bind options and Monarch's proc_bind.
#include <fmt/format.h>

#include "base/text.h"
#include "plan/export.h"
#include "plan/gpu_families.h"

namespace numapin {

// vLLM binds each worker with numactl --physcpubind and strict --membind: one node and one CPU list a visible GPU
// (vllm docs, "NUMA binding for multi-socket GPU nodes").
Result<std::string> export_vllm(const ExportRequest& r) {
  std::vector<std::string> nodes, cpus, gpus;
  for (const auto& p : r.plan.placements) {
    if (p.gpus.size() != 1 || p.cpus.empty() || p.near_nodes.empty())
      return fail(Error::Kind::kUnsupported, "write options for vllm: it takes one node and one CPU list a GPU",
                  "plan one process per GPU, with GPUs whose node is known");
    const auto& near = p.memory.nodes.empty() ? p.near_nodes : p.memory.nodes;
    nodes.push_back(std::to_string(number(near.first())));
    cpus.push_back(p.cpus.to_list());
    for (const auto& [name, value] : p.env)
      if (name == "CUDA_VISIBLE_DEVICES") gpus.push_back(value);
  }
  const std::string visible = gpus.size() == nodes.size() ? fmt::format("CUDA_VISIBLE_DEVICES={} ", join(gpus, ",")) : "";
  return fmt::format("# vLLM's memory binding is strict: the node must have room for the worker's memory\n"
                     "{}vllm serve {} --tensor-parallel-size {} --numa-bind --numa-bind-nodes {} --numa-bind-cpus {}\n",
                     visible, command_words(r, "MODEL"), nodes.size(), join(nodes, " "), join(cpus, " "));
}

// Monarch starts each process under numactl or taskset with the keys of its dictionary (meta-pytorch/monarch#2996).
Result<std::string> export_monarch(const ExportRequest& r) {
  std::string text = "proc_bind = [\n";
  for (std::size_t i = 0; i < r.plan.placements.size(); ++i) {
    const auto& p = r.plan.placements[i];
    std::vector<std::string> items;
    if (!p.cpus.empty()) items.push_back(fmt::format("\"physcpubind\": \"{}\"", p.cpus.to_list()));
    // membind is strict, so it stands only for a strict policy
    if (p.memory.mode == MemoryMode::kBind) items.push_back(fmt::format("\"membind\": \"{}\"", p.memory.nodes.to_list()));
    text += fmt::format("    {{{}}},  # {}\n", join(items, ", "), title_of(r.plan, i));
  }
  return text + "]\n";
}

}  // namespace numapin
