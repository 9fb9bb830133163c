#include "sources/container.h"

#include "sources/read.h"

namespace numapin {
namespace {

using sources::read_text;

std::string cgroup_file(const FileTree& tree, const std::string& pid) { return read_text(tree, "/proc/" + pid + "/cgroup").value_or(""); }

/// What the variable "container" says of the engine (systemd's CONTAINER_INTERFACE.md, podman, LXC).
std::string engine_of_variable(const std::string& value) {
  if (value == "docker" || value == "podman") return value;
  if (value == "systemd-nspawn") return "systemd-nspawn";
  return value.starts_with("lxc") ? "LXC" : "";
}

/// An image that was booted as a machine has engines' files too; there, or with --pid=host, process 2 is the kernel's.
bool sees_kernel(const FileTree& tree) { return read_text(tree, "/proc/2/comm") == "kthreadd"; }

}  // namespace

std::optional<ContainerName> read_container(const FileTree& tree, int pid) {
  auto c = find_container(cgroup_file(tree, std::to_string(pid)));
  if (!c || !c->kubernetes || c->id.empty()) return c;
  for (const auto& name : sources::entries(tree, "/var/log/containers")) add_kubernetes_names(name, *c);
  return c;
}

std::optional<SlurmStep> read_slurm_step(const FileTree& tree, int pid) { return find_slurm_step(cgroup_file(tree, std::to_string(pid))); }

std::optional<ContainerName> read_own_container(const FileTree& tree, const std::map<std::string, std::string>& env) {
  auto c = find_container(cgroup_file(tree, "self"));
  const auto variable = env.find("container");
  const bool outside = sees_kernel(tree);
  const bool podmans = !outside && tree.read("/run/.containerenv"), dockers = !outside && tree.read("/.dockerenv");
  if (!c && (podmans || dockers || variable != env.end())) c.emplace();
  if (!c) return c;
  if (c->engine.empty() && variable != env.end()) c->engine = engine_of_variable(variable->second);
  if (c->engine.empty()) c->engine = podmans ? "podman" : dockers ? "docker" : "";
  c->kubernetes = c->kubernetes || env.contains("KUBERNETES_SERVICE_HOST");
  return c;
}

}  // namespace numapin
