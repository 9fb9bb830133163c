// What numactl's options ask of a machine, read only when asked: `run -N 0 -m 0` needs two small files.
#pragma once

#include <memory>
#include <string_view>

#include "numapin/file_tree.h"
#include "numapin/machine.h"
#include "numapin/perform.h"

namespace numapin::cli {

class NumactlFacts {
 public:
  virtual ~NumactlFacts() = default;
  virtual Result<CpuSet> allowed_cpus() const = 0;   ///< affinity mask
  virtual Result<CpuSet> online_cpus() const = 0;
  virtual Result<CpuSet> offline_cpus() const = 0;
  virtual Result<NodeSet> allowed_nodes() const = 0; ///< of memory: Mems_allowed
  virtual Result<NodeSet> online_nodes() const = 0;
  virtual Result<NodeSet> memory_nodes() const = 0;
  virtual Result<CpuSet> cpus_of_node(NodeId node) const = 0;  ///< kNotFound where there is no such node
  virtual Result<CpuSet> siblings(CpuId cpu) const = 0;        ///< the CPUs of its core, itself among them
  virtual Result<NodeSet> device_nodes(std::string_view spec) const = 0;
};

/// The machine we run on. The tree and the kernel must outlive the result.
std::unique_ptr<NumactlFacts> live_facts(const FileTree& tree, Kernel& kernel);
/// A recorded machine.
std::unique_ptr<NumactlFacts> recorded_facts(const System& system);

}  // namespace numapin::cli
