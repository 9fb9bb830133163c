// Path shapes: docs/containers.md has one of each; container_test.cc all.
#include "numapin/container.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace numapin {
namespace {

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == text.npos; }
/// Every engine's ids: 256 bits as hexadecimal digits.
bool is_id(std::string_view text) { return text.size() == 64 && is_hex(text); }

bool drop_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}
void drop_suffix(std::string_view& text, std::string_view suffix) {
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
}

/// "pod4f0d3a3c_1a2b_..." (systemd) and "pod4f0d3a3c-1a2b-..." -> the UID. Static pods' are 32 digits.
std::string pod_uid(std::string_view part) {
  const auto at = part.rfind("pod");
  if (at == part.npos) return "";
  std::string uid(part.substr(at + 3));
  std::replace(uid.begin(), uid.end(), '_', '-');
  const auto digits = static_cast<std::size_t>(std::count_if(uid.begin(), uid.end(), [](char c) { return c != '-'; }));
  const bool only = uid.find_first_not_of("0123456789abcdef-") == uid.npos;
  return only && digits == 32 ? uid : "";
}

struct Prefix {
  std::string_view text, engine;
};
// How systemd's cgroup managers and cgroupfs ones of the engines name a container's cgroup.
constexpr Prefix kPrefixes[] = {{"docker-", "docker"},     {"libpod-", "podman"},    {"cri-containerd-", "containerd"},
                                {"crio-", "CRI-O"},        {"nerdctl-", "containerd"}, {"lxc.payload.", "LXC"},
                                {"systemd-nspawn@", "systemd-nspawn"}};
// Directories whose entries are containers.
constexpr Prefix kParents[] = {{"docker", "docker"},      {"libpod_parent", "podman"}, {"k8s.io", "containerd"},
                               {"lxc", "LXC"},            {"lxc.payload", "LXC"}};

/// One component of a path below what is already known of it.
void read_part(std::string_view part, std::string_view above, std::optional<ContainerName>& found) {
  const auto start = [&](std::string_view engine, std::string_view id) {
    ContainerName c;
    c.engine = engine;
    c.id = id;
    if (found && found->kubernetes && found->id.empty()) c.kubernetes = true, c.pod_uid = found->pod_uid;
    found = c;
  };
  // "kubepods-burstable-podUID.slice:cri-containerd:ID": containerd's own name where it was told no manager
  const auto colons = split(part, ':');
  if (colons.size() == 3 && is_id(colons[2])) {
    read_part(colons[0], above, found);
    return start(colons[1] == "cri-containerd" ? "containerd" : std::string_view(), colons[2]);
  }
  auto name = part;
  drop_suffix(name, ".scope");
  drop_suffix(name, ".slice");
  drop_suffix(name, ".service");
  if (name == "kubepods" || name.starts_with("kubepods-") || name.find("-kubepods") != name.npos) {
    if (!found || !found->kubernetes || !found->id.empty()) found = ContainerName{.engine = {}, .id = {}, .pod_uid = {}, .kubernetes = true, .pod = {}, .pod_namespace = {}, .container = {}};
  }
  if (found && found->kubernetes && found->id.empty())
    if (const auto uid = pod_uid(name); !uid.empty()) found->pod_uid = uid;
  for (const auto& [text, engine] : kPrefixes) {
    auto rest = name;
    if (!drop_prefix(rest, text) || rest.empty() || rest.starts_with("conmon-")) continue;
    if (engine == "LXC" || engine == "systemd-nspawn" || is_id(rest)) return start(engine, rest);
  }
  for (const auto& [text, engine] : kParents)
    if (above == text && (engine == "LXC" ? !name.empty() : is_id(name))) return start(engine, name);
  // "/default/ID" of containerd's tools, "/kubepods/burstable/podUID/ID", a parent of the user's own choice
  if (is_id(name)) start("", name);
}

std::optional<ContainerName> find_in_path(std::string_view path) {
  std::optional<ContainerName> found;
  std::string_view above;
  for (const auto part : split(path, '/')) {
    if (part.empty()) continue;
    read_part(part, above, found);
    above = part;
  }
  return found;
}

/// Paths of "4:cpuset:/job" and "0::/user.slice"; a text without such lines is a path itself.
std::vector<std::string_view> paths_of(std::string_view cgroup_file) {
  if (cgroup_file.starts_with('/')) return {split_lines(cgroup_file).front()};
  std::vector<std::string_view> paths;
  for (const auto line : split_lines(cgroup_file)) {
    const auto first = line.find(':');
    const auto second = first == line.npos ? first : line.find(':', first + 1);
    if (second != line.npos) paths.push_back(line.substr(second + 1));
  }
  return paths;
}

std::string short_id(const std::string& id) { return is_id(id) ? id.substr(0, 12) : id; }

}  // namespace

std::optional<ContainerName> find_container(std::string_view cgroup_file) {
  std::optional<ContainerName> best;
  for (const auto path : paths_of(cgroup_file)) {
    auto found = find_in_path(path);
    if (found && (!best || (best->id.empty() && !found->id.empty()))) best = std::move(found);
  }
  return best;
}

std::optional<SlurmStep> find_slurm_step(std::string_view cgroup_file) {
  for (const auto path : paths_of(cgroup_file)) {
    if (path.find("slurm") == path.npos) continue;
    SlurmStep s;
    for (auto part : split(path, '/')) {
      if (drop_prefix(part, "job_")) s.job = part;
      else if (drop_prefix(part, "step_")) s.step = part;
      else if (drop_prefix(part, "task_")) s.task = part;
    }
    if (!s.job.empty()) return s;
  }
  return std::nullopt;
}

void add_kubernetes_names(std::string_view log_name, ContainerName& c) {
  if (c.id.empty() || !log_name.ends_with("-" + c.id + ".log")) return;
  const auto parts = split(log_name.substr(0, log_name.size() - c.id.size() - 5), '_');
  if (parts.size() != 3) return;  // names of Kubernetes hold no "_"
  c.pod = parts[0];
  c.pod_namespace = parts[1];
  c.container = parts[2];
}

std::string describe(const ContainerName& c) {
  const auto own = fmt::format("{}{}{}", c.engine, c.engine.empty() || c.id.empty() ? "" : " ", short_id(c.id));
  if (!c.pod.empty()) return fmt::format("pod {}/{}, container {} ({})", c.pod_namespace, c.pod, c.container, own);
  if (c.kubernetes) {
    const auto pod = c.pod_uid.empty() ? std::string("a pod") : "pod " + c.pod_uid;
    return own.empty() ? pod : fmt::format("{}, container {}", pod, own);
  }
  if (c.engine.empty()) return c.id.empty() ? "a container" : "container " + short_id(c.id);
  return fmt::format("{} container{}{}", c.engine, c.id.empty() ? "" : " ", short_id(c.id));
}

std::string describe(const SlurmStep& s) {
  return fmt::format("Slurm job {}{}{}", s.job, s.step.empty() ? "" : ", step " + s.step, s.task.empty() ? "" : ", task " + s.task);
}

std::string outer_command(const ContainerName& c, const CpuSet& cpus, const NodeSet& mems) {
  std::string flags;
  if (!cpus.empty()) flags += " --cpuset-cpus=" + cpus.to_list();
  if (!mems.empty()) flags += " --cpuset-mems=" + mems.to_list();
  if (c.kubernetes)
    return fmt::format("the kubelet: cpuManagerPolicy static and topologyManagerPolicy single-numa-node, and whole CPUs in a Guaranteed "
                       "pod (numapin plan --format k8s); wanted here:{}{}",
                       cpus.empty() ? "" : " CPUs " + cpus.to_list(), mems.empty() ? "" : " memory node " + mems.to_list());
  if (c.engine == "LXC")
    return fmt::format("in the container's configuration:{}{}", cpus.empty() ? "" : " lxc.cgroup2.cpuset.cpus = " + cpus.to_list(),
                       mems.empty() ? "" : " lxc.cgroup2.cpuset.mems = " + mems.to_list());
  if (c.engine == "systemd-nspawn")
    return fmt::format("systemd-nspawn{}{}", cpus.empty() ? "" : " --property=AllowedCPUs=" + cpus.to_list(),
                       mems.empty() ? "" : " --property=AllowedMemoryNodes=" + mems.to_list());
  const std::string_view tool = c.engine == "podman" ? "podman" : c.engine == "containerd" ? "nerdctl" : "docker";
  return fmt::format("{} run{}", tool, flags);
}

std::string outer_permission(const ContainerName& c) {
  if (c.kubernetes) return "securityContext: {capabilities: {add: [SYS_NICE]}} in the pod";
  if (c.engine == "LXC") return "lxc.seccomp.profile with set_mempolicy and mbind";
  if (c.engine == "systemd-nspawn") return "systemd-nspawn --system-call-filter='set_mempolicy mbind'";
  const std::string_view tool = c.engine == "podman" ? "podman" : c.engine == "containerd" ? "nerdctl" : "docker";
  return fmt::format("{} run --cap-add SYS_NICE", tool);
}

}  // namespace numapin
