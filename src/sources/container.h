// The container of a process, from its cgroup and what engines leave inside.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "numapin/container.h"
#include "numapin/file_tree.h"

namespace numapin {

/// The container of another process, with Kubernetes' names where the kubelet's logs are on this machine.
std::optional<ContainerName> read_container(const FileTree& tree, int pid);
/// The Slurm step of another process.
std::optional<SlurmStep> read_slurm_step(const FileTree& tree, int pid);
/// The container that the reader itself is in. Inside, a cgroup namespace hides the path on most machines with cgroup v2;
/// files and variables that engines leave tell then which engine it is, and no id.
std::optional<ContainerName> read_own_container(const FileTree& tree, const std::map<std::string, std::string>& env);

}  // namespace numapin
