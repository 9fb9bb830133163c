// Sources: free functions, text or tree in, Machine out. A source reports only what its input says.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/file_tree.h"
#include "numapin/machine.h"

namespace numapin {

struct NvmlApi;  // gpu/nvml.h: a table of functions; null where there is no driver

// ---- trees ------------------------------------------------------------------------------------------------------
/// CPUs, nodes, memory, PCI devices, GPUs, NICs, NVMe from sysfs and procfs; includes nvidia's /proc/driver and KFD.
/// Not completed (see complete()). Error only when the tree has no CPU list at all.
Result<Machine> from_files(const FileTree& tree);
/// What /proc/self/status, the affinity mask and the cpuset allow. `pid` "self" or a number.
Allowance read_allowance(const FileTree& tree, std::string_view pid = "self");
/// AMD's KFD topology tree alone; `root` is the directory that holds nodes/ ("/sys/class/kfd/kfd/topology").
Result<Machine> from_kfd(const FileTree& tree, std::string_view root);

// ---- texts --------------------------------------------------------------------------------------------------------
/// All take the whole text; errors are kBadInput with line and column. A damaged text gives what is whole of it,
/// and a note in Machine::notes for what is not.
Result<Machine> from_hwloc_xml(std::string_view text);        // versions 1, 2 and 3
Result<Machine> from_nccl_xml(std::string_view text);         // NCCL and RCCL
Result<Machine> from_smi_topo(std::string_view text);         // nvidia-smi topo -m, -mp
Result<Machine> from_numactl_hardware(std::string_view text); // numactl --hardware
Result<Machine> from_lscpu(std::string_view text);            // lscpu, lscpu --hex, lscpu --all --extended
Result<Machine> from_rocm_smi(std::string_view text);         // rocm-smi --showtopo, --showtoponuma
Result<Machine> from_lspci_tree(std::string_view text);       // lspci -tv

// ---- NVML ---------------------------------------------------------------------------------------------------------
Result<Machine> from_nvml(const NvmlApi& nvml);

// ---- whole systems --------------------------------------------------------------------------------------------------
/// The machine behind `tree` ("/" when live): files, then NVML (null: no driver), merged and completed, with the
/// allowance of this process. `visible_env` is the environment's *_VISIBLE_DEVICES.
Result<System> discover(const FileTree& tree, const NvmlApi* nvml,
                        std::map<std::string, std::string> visible_env = {});
/// The narrow path of `run --gpu`: as much of the live System as its default mode needs, from a handful of files
/// (narrow.cc): all GPUs in PCI order, the nodes that the GPUs of `spec` (see choose_gpus()) are near to, online and
/// allowed CPUs. It has no cores (Placement::cores then counts logical CPUs), caches, other nodes, links or NVML facts.
/// Nothing where that is not enough for the answer that discover() gives: locality unknown or doubtful, a node without
/// CPUs or memory, nothing of it allowed, MIG, partitions, an error in `spec`.
std::optional<System> discover_narrow(const FileTree& tree, std::map<std::string, std::string> visible_env,
                                      std::optional<std::string_view> spec);
/// CPUs, caches, NUMA nodes and the allowance alone, from a third of the files and without NVML: enough to place
/// processes without GPUs as discover() would.
Result<System> discover_without_devices(const FileTree& tree, std::map<std::string, std::string> visible_env = {});
/// A recorded machine, by content: .snap, a directory, a tar (plain, gzip, bzip2, xz), hwloc or NCCL XML, the texts
/// above, or the name of a built-in machine. Errors: kNotFound, kBadInput (what was tried, where it failed).
Result<System> open_machine(const std::filesystem::path& path);
Result<System> open_machine_text(std::string bytes, const std::string& name);

/// Built-in machines: name and one line of description, in a fixed order.
struct BuiltinMachine {
  std::string name, description;
};
std::vector<BuiltinMachine> builtin_machines();

// ---- snapshots ------------------------------------------------------------------------------------------------------
struct SnapshotOptions {
  bool keep_ids = false;  ///< keep host name, serial numbers and GPU UUIDs as they are
  std::map<std::string, std::string> visible_env;  ///< the environment's *_VISIBLE_DEVICES, replayed too
};
/// One reviewable text with all that the sources read of `tree` and what NVML said. Replaying it gives the same System.
Result<std::string> make_snapshot(const FileTree& tree, const NvmlApi* nvml, const SnapshotOptions& options);
/// The tree inside a snapshot; strict: a path that was never asked for is kNotRecorded.
Result<std::unique_ptr<FileTree>> make_snapshot_tree(std::string_view text, const std::string& name);

}  // namespace numapin
