// Kubernetes: what makes the kubelet place pods of this machine as the plan does, as far as it can. Sources: Kubernetes'
// documentation of the CPU, Memory and Topology Managers, KubeletConfiguration v1beta1, RuntimeClass.
#include <fmt/format.h>

#include <algorithm>

#include "base/json_text.h"
#include "base/text.h"
#include "plan/export.h"
#include "plan/gpu_families.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;
constexpr std::uint64_t kReservedMebibytes = 1024;  // a node: system, kubelet and runtime together
constexpr std::uint64_t kEvictionMebibytes = 100;   // the kubelet's default for memory.available
constexpr int kMostNodes = 8;                       // above it the kubelet does not start without an option

/// What is left to pods: nodes with CPUs and DRAM, less the first core of each.
struct Pool {
  NodeSet nodes;                    ///< with CPUs and DRAM: where memory is reserved
  CpuSet reserved;
  std::map<NodeId, CpuSet> cpus;    ///< without the reserved ones
  int threads = 1;                  ///< CPUs a core
};

Pool make_pool(const Machine& m) {
  Pool pool;
  pool.nodes = cpu_nodes(m) & dram_nodes(m);
  for (const auto& node : m.nodes) {
    if (!node.cpus || node.cpus->empty()) continue;
    const auto first = std::find_if(m.cores.begin(), m.cores.end(), [&](const Core& c) { return node.cpus->contains(c.cpus); });
    const CpuSet kept = first == m.cores.end() ? CpuSet::of(node.cpus->first()) : first->cpus;
    pool.reserved |= kept;
    pool.cpus[node.id] = *node.cpus - kept;
  }
  for (const auto& core : m.cores) pool.threads = std::max(pool.threads, core.cpus.size());
  return pool;
}

/// Some process of the plan needs more than one node.
bool spans_nodes(const Plan& plan) {
  return std::any_of(plan.placements.begin(), plan.placements.end(), [](const Placement& p) { return p.near_nodes.size() > 1; });
}

std::string kubelet(const Machine& m, const Plan& plan, const Pool& pool) {
  std::string text = "# 1. /var/lib/kubelet/config.yaml of this machine: merge; then drain the node, delete\n"
                     "#    /var/lib/kubelet/cpu_manager_state and memory_manager_state, and restart the kubelet.\n"
                     "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
  text += "cpuManagerPolicy: static\n";
  if (pool.threads > 1) text += "cpuManagerPolicyOptions: {full-pcpus-only: \"true\"}  # no two pods on the threads of one core\n";
  text += fmt::format("reservedSystemCPUs: {}  # the first core of each node, for the system and the kubelet\n", json_string(pool.reserved.to_list()));
  text += "memoryManagerPolicy: Static\nreservedMemory:  # in sum systemReserved + kubeReserved + evictionHard, or the kubelet does not start\n";
  for (const NodeId node : pool.nodes) text += fmt::format("  - {{numaNode: {}, limits: {{memory: {}Mi}}}}\n", number(node), kReservedMebibytes);
  const auto total = static_cast<std::uint64_t>(pool.nodes.size()) * kReservedMebibytes;
  text += fmt::format("systemReserved: {{memory: {}Mi}}\n", total - kEvictionMebibytes);
  text += fmt::format("evictionHard: {{memory.available: {}Mi, nodefs.available: 10%, nodefs.inodesFree: 5%, imagefs.available: 15%}}\n", kEvictionMebibytes);
  text += spans_nodes(plan) ? "topologyManagerPolicy: restricted  # the plan has processes on more than one node\n" : "topologyManagerPolicy: single-numa-node\n";
  text += "topologyManagerScope: container\n";
  if (static_cast<int>(m.nodes.size()) > kMostNodes)
    text += fmt::format("topologyManagerPolicyOptions: {{max-allowable-numa-nodes: \"{}\"}}  # since 1.31; without it 8 at most\n", m.nodes.size());
  return text;
}

std::string_view resource_of(GpuFamily family) {
  switch (family) {
    case GpuFamily::kRocm: return "amd.com/gpu";
    case GpuFamily::kLevelZero: return "gpu.intel.com/i915";
    case GpuFamily::kCuda:
    case GpuFamily::kOther: break;
  }
  return "nvidia.com/gpu";
}

/// CPUs and memory that every GPU of these nodes can have for itself, times the GPUs of the process.
struct Share {
  int cpus = 0;
  std::uint64_t gibibytes = 0;
};

Share share_of(const Machine& m, const Pool& pool, const Placement& p) {
  const auto nodes = p.near_nodes.empty() ? pool.nodes : p.near_nodes;
  const auto beside = std::max<std::size_t>(1, static_cast<std::size_t>(std::count_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) {
    return !g.numa_nodes || g.numa_nodes->intersects(nodes);
  })));
  const auto own = std::max<std::size_t>(1, p.gpus.size());
  CpuSet cpus;
  std::uint64_t bytes = 0;
  for (const NodeId id : nodes) {
    if (const auto it = pool.cpus.find(id); it != pool.cpus.end()) cpus |= it->second;
    const auto* node = find_node(m, id);
    const auto memory = node != nullptr && pool.nodes.contains(id) ? node->memory_total_bytes.value_or(0) : 0;
    bytes += memory - std::min(memory, kReservedMebibytes * kMebibyte);
  }
  Share share;
  share.cpus = static_cast<int>(static_cast<std::size_t>(cpus.size()) * own / beside);
  if (!p.cpus.empty()) share.cpus = std::min(share.cpus, p.cpus.size());
  share.cpus = std::max(pool.threads, share.cpus / pool.threads * pool.threads);  // full-pcpus-only refuses parts of cores
  share.gibibytes = std::max<std::uint64_t>(1, bytes / beside * own / (1024 * kMebibyte));
  return share;
}

std::string resources(const Machine& m, const Pool& pool, const Placement& p) {
  const auto share = share_of(m, pool, p);
  std::map<std::string_view, int> gpus;
  for (const int g : p.gpus) ++gpus[resource_of(family_of(*gpu_at(m, g)))];
  std::string limits = fmt::format("cpu: {}, memory: {}Gi", share.cpus, share.gibibytes);
  for (const auto& [resource, count] : gpus) limits += fmt::format(", {}: {}", resource, count);
  return limits;
}

std::string pod(const ExportRequest& r, const Placement& p, const std::string& name, const std::string& limits, const std::string& ranks) {
  std::string text = fmt::format("---\n# 2. A pod of class Guaranteed (requests are the limits, whole CPUs), for {}.\n"
                                 "#    The device plugin chooses the GPU; the kubelet takes CPUs and memory of the same node.\n",
                                 ranks);
  for (const auto& warning : p.warnings) text += fmt::format("#    warning: {}\n", warning);
  text += fmt::format("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\nspec:\n  runtimeClassName: numapin  # from 3.; without it no memory policy is set\n"
                      "  restartPolicy: Never\n  containers:\n    - name: main\n      image: IMAGE\n", name);
  if (!r.command.empty()) {
    std::vector<std::string> words;
    for (const auto& word : r.command) words.push_back(json_string(word));
    text += fmt::format("      command: [{}]\n", join(words, ", "));
  }
  text += fmt::format("      resources:\n        limits: {{{}}}\n", limits);
  return text + "      # only where a program inside sets memory policies itself (numactl, numapin run):\n"
                "      # securityContext: {capabilities: {add: [SYS_NICE]}}\n";
}

constexpr std::string_view kRuntimeClass =
    "---\n"
    "# 3. numapin as the runtime of such pods: CPUs stay what the kubelet gave, the memory policy is added. On each machine:\n"
    "#    ln -s /usr/bin/numapin /usr/bin/numapin-runtime\n"
    "#    /etc/numapin/runtime.conf, where NVIDIA's toolkit puts the GPUs in: runtime = /usr/bin/nvidia-container-runtime\n"
    "#    containerd, /etc/containerd/config.toml (version 2; in version 3 the plugin is io.containerd.cri.v1.runtime):\n"
    "#      [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.numapin]\n"
    "#        runtime_type = \"io.containerd.runc.v2\"\n"
    "#        pod_annotations = [\"numapin.*\"]\n"
    "#        container_annotations = [\"numapin.*\", \"cdi.k8s.io/*\"]\n"
    "#      [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.numapin.options]\n"
    "#        BinaryName = \"/usr/bin/numapin-runtime\"\n"
    "#    CRI-O, /etc/crio/crio.conf.d/numapin.conf:\n"
    "#      [crio.runtime.runtimes.numapin]\n"
    "#        runtime_path = \"/usr/bin/numapin-runtime\"\n"
    "apiVersion: node.k8s.io/v1\n"
    "kind: RuntimeClass\n"
    "metadata:\n"
    "  name: numapin\n"
    "handler: numapin\n";

}  // namespace

Result<std::string> export_k8s(const ExportRequest& r) {
  const auto pool = make_pool(r.machine);
  if (pool.nodes.empty())
    return fail(Error::Kind::kUnsupported, "write the plan as k8s: no node with CPUs and memory is known", "the CPU and Memory Managers need them");
  auto text = kubelet(r.machine, r.plan, pool);
  std::map<std::string, std::vector<std::size_t>> shapes;  // resources -> ranks
  std::vector<std::string> order;
  for (std::size_t i = 0; i < r.plan.placements.size(); ++i) {
    const auto limits = resources(r.machine, pool, r.plan.placements[i]);
    if (!shapes.contains(limits)) order.push_back(limits);
    shapes[limits].push_back(i);
  }
  for (const auto& limits : order) {
    const auto& ranks = shapes[limits];
    const auto name = order.size() == 1 ? std::string("job") : fmt::format("job-{}", ranks[0]);
    const std::vector<int> numbers(ranks.begin(), ranks.end());
    const auto whose = r.plan.placements.size() == 1 ? title_of(r.plan, 0) : fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", index_list(numbers));
    text += pod(r, r.plan.placements[ranks[0]], name, limits, whose);
  }
  return text + std::string(kRuntimeClass);
}

}  // namespace numapin
