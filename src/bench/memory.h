// Host memory: every node with CPUs against every node with memory; cores against cores.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "numapin/file_tree.h"
#include "numapin/measured.h"

namespace numapin {

/// Called before each step; `part` is the share done, 0..1.
using BenchProgress = std::function<void(double part, std::string_view step)>;

struct MemoryBench {
  bool quick = false;
  std::optional<std::uint64_t> buffer_bytes;  ///< of a node; unset: 4 x L3, at least 256 MiB, within what is free
  std::optional<NodeSet> nodes;               ///< only these; unset: all
};

/// Whose memory the CPUs are measured with.
struct MemoryTargets {
  NodeSet own;  ///< of the machine
  NodeSet gpu;  ///< a GPU's own, which CPUs reach as memory of a node (NVLink-C2C of Grace, NVLink of POWER9)
};
MemoryTargets memory_targets(const Machine& m, const MemoryBench& options);

/// One thread for each core of the node that this process may use: the first allowed CPU of each.
std::vector<CpuId> cpus_to_measure(const System& s, NodeId node);
/// How much to allocate on `node`: what was asked for, or 4 x the L3 of the CPUs (the figure must be of memory), and
/// never over a quarter of what is free there and of what the cgroup leaves; `headroom` is the latter.
std::uint64_t buffer_size(const System& s, NodeId node, const MemoryBench& options, std::optional<std::uint64_t> headroom);

/// Pairs that cannot be measured are in the answer with the reason. Error only where nothing at all can be.
Result<std::vector<Measurement>> bench_memory(const System& s, const FileTree& tree, const MemoryBench& options,
                                              const BenchProgress& progress);
/// Time of a cache line from one core to another, each pair of cores that may be used.
Result<std::vector<Measurement>> bench_cores(const System& s, bool quick, const BenchProgress& progress);
/// What a thread loses by moving to another node, its working set in the old node's caches; empty on one node.
std::vector<Measurement> bench_migration(const System& s, bool quick);

}  // namespace numapin
