// Whose a process is: the container, pod or Slurm step that its cgroup's path names. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "numapin/id_set.h"

namespace numapin {

struct ContainerName {
  std::string engine;   ///< "docker", "podman", "containerd", "CRI-O", "LXC", "systemd-nspawn"; "" where the path does not tell
  std::string id;       ///< 64 hexadecimal digits, or a name; "" where unknown
  std::string pod_uid;  ///< "4f0d3a3c-1a2b-4c5d-8e9f-0123456789ab"; "" outside Kubernetes
  bool kubernetes = false;
  std::string pod, pod_namespace, container;  ///< Kubernetes' names, where kubelet's log directory tells them
  bool operator==(const ContainerName&) const = default;
};

struct SlurmStep {
  std::string job, step, task;  ///< "123", "0" or "batch", "1"; step and task may be ""
  bool operator==(const SlurmStep&) const = default;
};

/// From /proc/PID/cgroup (v1, v2 and both at once), or from one path of it. Of nested containers the innermost. Nothing for a process in
/// none, and for the helpers beside a container (conmon).
std::optional<ContainerName> find_container(std::string_view cgroup_file);
std::optional<SlurmStep> find_slurm_step(std::string_view cgroup_file);

/// "train-0_default_main-0123…(64).log" of /var/log/containers, for the container with that id: fills the three names.
void add_kubernetes_names(std::string_view log_name, ContainerName& c);

/// "docker container 0123456789ab", "pod default/train-0, container main (containerd 0123456789ab)"
std::string describe(const ContainerName& c);
std::string describe(const SlurmStep& s);

/// What sets the CPUs and memory nodes of such a container from outside, with these values. An empty set is left out.
std::string outer_command(const ContainerName& c, const CpuSet& cpus, const NodeSet& mems);
/// What lets programs in such a container set a memory policy themselves.
std::string outer_permission(const ContainerName& c);

}  // namespace numapin
