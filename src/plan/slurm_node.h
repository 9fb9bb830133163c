// A machine as Slurm wants it described: cores in its count, lines of gres.conf and slurm.conf.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

/// The machine's cores in the order in which Slurm numbers them from 0: hwloc's, socket by socket, without threads.
std::vector<Core> slurm_core_order(const Machine& m);
/// The cores of these nodes in that count.
CpuSet slurm_cores(const Machine& m, const NodeSet& nodes);
/// The CPUs of such cores. Numbers beyond the last core are passed over.
CpuSet cpus_of_slurm_cores(const Machine& m, const CpuSet& cores);

/// A GPU as a line of gres.conf tells it.
struct SlurmGpu {
  int gpu = 0;                 ///< Gpu::index
  std::string type;            ///< "h100"; "" where no source tells the model
  std::string file;            ///< "/dev/nvidia0"
  bool file_guessed = false;   ///< its number is its place in PCI order
  std::optional<CpuSet> cores; ///< in Slurm's count; unknown where the GPU's node is
  std::vector<int> links;      ///< to each GPU, -1 itself; empty: all pairs are alike, so that they tell nothing
  bool operator==(const SlurmGpu&) const = default;
};

struct SlurmNode {
  std::string name;
  int cpus = 0, cores = 0, packages = 0;    ///< packages: what Slurm calls a socket unless it is told otherwise
  int sockets = 0, cores_per_socket = 0, threads_per_core = 0;
  std::optional<std::uint64_t> memory_mib;  ///< of DRAM
  bool numa_as_socket = false;              ///< SlurmdParameters=numa_node_as_socket: a GPU is near a part of its socket
  std::vector<SlurmGpu> gpus;
  std::vector<std::string> notes;           ///< what a site has to know or decide
  bool operator==(const SlurmNode&) const = default;
};

/// Counts `sockets` instead of what slurm_node() chose.
SlurmNode with_sockets(SlurmNode n, int sockets);

/// Error kUnsupported where the machine's cores are not known.
Result<SlurmNode> slurm_node(const Machine& m, const std::string& name);

/// "NodeName=n1 CPUs=8 Boards=1 SocketsPerBoard=2 …": as `slurmd -C` prints it, with Gres= behind.
std::string node_line(const SlurmNode& n);
/// Ready to paste into gres.conf; GPUs that differ in the file's number alone share a line.
std::vector<std::string> gres_conf_lines(const SlurmNode& n);
/// Both files with the notes as comments; newline at the end.
std::string slurm_conf_text(const SlurmNode& n);
/// Schema numapin/slurm-gres/1 (docs/json.md).
std::string to_json(const SlurmNode& n);

}  // namespace numapin
