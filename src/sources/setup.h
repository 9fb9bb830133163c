// What doctor looks at besides the machine, read through a tree: settings of the kernel, devices, software, processes.
#pragma once

#include "numapin/doctor.h"
#include "numapin/file_tree.h"

namespace numapin {

struct NvmlApi;

/// Settings under /proc/sys and /sys, clocks, idle states, memory of the nodes.
KernelFacts read_kernel_facts(const FileTree& tree);

/// ACS of the bridges above GPUs and NICs, their IOMMU domains, memory regions and interrupts.
std::map<PciAddress, PciFacts> read_pci_facts(const FileTree& tree, const Machine& m);
/// The ACS control register in a configuration space; nothing where it is not there.
std::optional<int> parse_acs_control(std::string_view config);

/// Modules, programs that run, Slurm's and the kubelet's files, what NVIDIA's driver tells (`nvml` may be null).
/// In a container the host's programs are not seen, so they stay unknown.
SoftwareFacts read_software_facts(const FileTree& tree, const Machine& m, const NvmlApi* nvml, bool in_container,
                                  const std::map<std::string, std::string>& env);

/// A process with its environment, limits, cgroup and children. Error kNotFound where there is none of that number.
Result<Subject> read_subject(const FileTree& tree, int pid);

}  // namespace numapin
