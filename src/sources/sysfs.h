// The parts of from_files(): each reads one corner of /sys or /proc and adds what it says to the machine.
#pragma once

#include "numapin/machine.h"
#include "numapin/sources.h"

namespace numapin::sources {

/// Online and offline CPUs. Error: no file of the tree says which CPUs there are.
Result<void> add_cpu_list(const FileTree& tree, Machine& m);
/// NUMA nodes: CPUs, memory, distances, kind. A kernel without NUMA is one node 0.
void add_nodes(const FileTree& tree, Machine& m);
/// CPUs and memory of one node.
NumaNode read_node(const FileTree& tree, NodeId id, const CpuSet& online);
/// Of "Node 0 MemTotal:  32980312 kB" of a node's meminfo, and the same without "Node 0" of /proc/meminfo.
std::optional<std::uint64_t> memory_bytes(std::string_view meminfo, std::string_view key);
/// Packages, cores, L3 groups, core kinds; needs the online CPUs and the nodes.
void add_cores(const FileTree& tree, Machine& m);
/// Host name, kernel, architecture, CPU model.
void add_names(const FileTree& tree, Machine& m);
/// PCI devices and what is on them: GPUs, NICs, NVMe.
void add_pci(const FileTree& tree, Machine& m);
/// /proc/driver/nvidia: model, UUID, minor, memory nodes of the GPUs.
void add_nvidia_proc(const FileTree& tree, Machine& m);
/// Model, UUID and minor of one GPU from there.
void add_nvidia_information(const FileTree& tree, Gpu& gpu);
/// AMD's KFD: unique id, render minor, memory, partitions, xGMI links.
void add_kfd(const FileTree& tree, Machine& m);
/// Only what tells GPUs apart (unique id, minor), one file a KFD node.
void add_kfd_ids(const FileTree& tree, Machine& m);

}  // namespace numapin::sources
