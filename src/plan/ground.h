// What every policy works on: the CPUs, cores and memory nodes that may be used, and where each GPU is among them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "numapin/plan.h"
#include "plan/policy_text.h"

namespace numapin {

/// A physical core, as far as it may be used.
struct UsableCore {
  CpuSet cpus;          ///< its allowed logical CPUs; one of them with SMT off
  int l3 = -1;          ///< index in Machine::l3; -1: unknown
  int preference = 0;   ///< highest_perf, else capacity; larger is preferred
};

struct Ground {
  const Machine& m;
  CpuSet allowed;                                   ///< affinity mask and cpuset, online
  CpuSet usable;                                    ///< of those, what reserve and SMT leave
  std::map<NodeId, std::vector<UsableCore>> cores;  ///< of each node that has any; by L3, then first CPU
  std::map<NodeId, CpuSet> cpus;                    ///< of each such node: all of its cores' CPUs
  NodeSet cpu_nodes;                                ///< keys of `cores`
  NodeSet memory_nodes;                             ///< DRAM that may be used
  std::vector<int> core_of_cpu;                     ///< by CPU: a number that its siblings share; -1: not usable
  std::vector<std::string> warnings;

  CpuSet cpus_on(const NodeSet& nodes) const;
  std::vector<UsableCore> cores_on(const NodeSet& nodes) const;  ///< by node
  /// Physical cores that `cpus` lie on.
  int count_cores(const CpuSet& cpus) const;
};

/// Error kBadInput when the reserve leaves a node without a core.
Result<Ground> make_ground(const Machine& m, const Allowance& a, const Job& job);

/// Where a GPU, or a process without one, may have its CPUs.
struct Locality {
  NodeSet near;                    ///< the GPU's nodes; empty: unknown
  NodeSet cpu_nodes;               ///< nodes whose CPUs it gets: near ones, else the nearest usable; empty: unknown
  std::string reason;              ///< "node 0 of GPU 0 (sysfs)"
  std::vector<std::string> warnings;
};
Locality locate(const Ground& g, const Gpu& gpu);

/// Of `candidates`, those at the least distance from any of `from`; all where no distance is known.
NodeSet nearest(const Machine& m, const NodeSet& from, const NodeSet& candidates);

}  // namespace numapin
