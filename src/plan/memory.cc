#include "plan/memory.h"

#include <fmt/format.h>

namespace numapin {
namespace {

bool needs_nodes(MemoryMode mode) {
  switch (mode) {
    case MemoryMode::kPreferred:
    case MemoryMode::kPreferredOne:
    case MemoryMode::kBind:
    case MemoryMode::kInterleave:
    case MemoryMode::kWeightedInterleave: return true;
    case MemoryMode::kDefault:
    case MemoryMode::kLocal:
    case MemoryMode::kNone: break;
  }
  return false;
}

MemoryChoice left_alone(std::string because) { return {{}, "memory: left alone, " + std::move(because), {}}; }

/// The GPU's nodes have no memory that may be used: the nearest that has.
MemoryChoice fall_back(const Ground& g, const Job& job, const NodeSet& near) {
  const auto nodes = nearest(g.m, near, g.memory_nodes);
  const bool has_memory = near.intersects(dram_nodes(g.m));
  const auto reason = fmt::format("{} {}", node_words(near),
                                  has_memory ? "is not among the allowed memory nodes (cpuset.mems)" : "has no DRAM");
  MemoryChoice choice{{job.memory, nodes, false},
                      fmt::format("memory: {} on {}, the nearest, as {}", to_string(job.memory), node_words(nodes), reason),
                      {}};
  if (has_memory)
    choice.warnings.push_back(fmt::format("no allowed memory near the GPU: {}; {} used instead. Allow it (container: "
                                          "--cpuset-mems {})",
                                          reason, node_words(nodes), near.to_list()));
  return choice;
}

}  // namespace

MemoryChoice choose_memory(const Ground& g, const Job& job, const NodeSet& near) {
  if (job.memory == MemoryMode::kNone) return left_alone("as asked");
  if (!needs_nodes(job.memory))
    return {{job.memory, {}, false}, fmt::format("memory: {}, as asked", to_string(job.memory)), {}};
  if (g.memory_nodes.empty()) return left_alone("no source tells of memory nodes that may be used");
  if (job.memory_over_all)
    return {{job.memory, g.memory_nodes, false},
            fmt::format("memory: {} over {}, all allowed DRAM", to_string(job.memory), node_words(g.memory_nodes)),
            {}};
  if (near.empty()) return left_alone("as there is no node to be near to");
  const auto nodes = near & g.memory_nodes;
  if (nodes.empty()) return fall_back(g, job, near);
  return {{job.memory, nodes, false},
          fmt::format("memory: {} on {}", to_string(job.memory), node_words(nodes)),
          {}};
}

}  // namespace numapin
