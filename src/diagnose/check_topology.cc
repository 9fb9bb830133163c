// Is the machine what it seems to be? Nodes, distances, where the GPUs are, CPUs that are missing.
#include <algorithm>
#include <set>

#include "diagnose/result.h"

namespace numapin::doctor {
namespace {

bool is_dram(const NumaNode& n) { return !n.kind || *n.kind != MemoryKind::kGpu; }

std::vector<int> all_gpus(const Machine& m) {
  std::vector<int> out;
  for (const auto& gpu : m.gpus) out.push_back(gpu.index);
  return out;
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

constexpr int kCoresOfARealSocket = 4;  // virtual machines are often given a "socket" for each CPU

CheckResult numa_hidden(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (m.packages.empty() || m.nodes.empty()) return unknown("the sockets are not known");
  if (cpu_nodes(m).size() != 1 || m.packages.size() < 2)
    return fine(fmt::format("{}, {}", count_text(m.packages.size(), "socket"),
                            count_text(static_cast<std::size_t>(cpu_nodes(m).size()), "node") + " with CPUs"));
  const auto& line = s.kernel.command_line;
  if (line && line->find("numa=off") != line->npos)
    return settle(
        {{Severity::kProblem, "", "the kernel was started with numa=off", "without it: this machine has several sockets",
          "# take numa=off off the kernel's command line and reboot", "# put numa=off back and reboot"}},
        "");
  const bool real = std::all_of(m.packages.begin(), m.packages.end(),
                                [&](const Package& p) { return core_count(m, p.cpus) >= kCoresOfARealSocket; });
  if (!real) return fine(fmt::format("{} small sockets, as in a virtual machine", m.packages.size()));
  return settle({{Severity::kNote, "", fmt::format("{} sockets, but one NUMA node", m.packages.size()),
                  "a node a socket, if the memory is attached to the sockets: firmware option 'node interleaving' off, or the "
                  "virtual machine's NUMA layout passed through",
                  "", ""}},
                "");
}

CheckResult node_distances(const Setup& s) {
  const auto& m = s.system.machine;
  std::vector<const NumaNode*> nodes;
  for (const auto& n : m.nodes)
    if (is_dram(n) && n.cpus && !n.cpus->empty()) nodes.push_back(&n);
  if (nodes.size() < 2) return not_here("one node");
  std::vector<Finding> found;
  bool any = false, asymmetric = false;
  for (const auto* a : nodes) {
    if (!a->distances) continue;
    const auto self = a->distances->find(number(a->id));
    for (const auto* b : nodes) {
      const auto d = distance(m, a->id, b->id), back = distance(m, b->id, a->id);
      if (!d || self == a->distances->end()) continue;
      any = true;
      if (a != b && *d <= self->second)
        found.push_back({Severity::kWarning, nodes_text(NodeSet::of(a->id)),
                         fmt::format("its distance to node {} is {}, to itself {}", number(b->id), *d, self->second),
                         "farther to another node than to itself: the kernel takes its fallback memory in this order",
                         "# a firmware (or virtual machine) without a distance table: update it, or give the guest its distances",
                         ""});
      if (back && *back != *d) asymmetric = true;
    }
  }
  if (!any) return unknown("no source tells distances");
  if (found.empty() && asymmetric)
    found.push_back(
        {Severity::kNote, "", "distances differ in the two directions", "the same both ways on nearly every machine", "", ""});
  return settle(std::move(found), "distances are plausible");
}

CheckResult node_without_memory(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.nodes.empty()) return unknown("no source tells nodes");
  bool told = false;
  std::vector<Finding> found;
  for (const auto& n : m.nodes) {
    told = told || n.memory_total_bytes;
    if (!n.cpus || n.cpus->empty() || !n.memory_total_bytes || *n.memory_total_bytes > 0) continue;
    found.push_back({Severity::kWarning, nodes_text(NodeSet::of(n.id)), fmt::format("CPUs {} and no memory", n.cpus->to_list()),
                     "memory on every node that has CPUs",
                     "# fit memory modules to this socket; until then use the nearest node: numapin run does", ""});
  }
  if (!told) return unknown("no source tells the nodes' memory");
  if (dram_nodes(m).empty()) return unknown("no node has memory, as the source tells it");
  return settle(std::move(found), "every node with CPUs has memory");
}

CheckResult node_without_cpus(const Setup& s) {
  std::vector<Finding> found;
  for (const auto& n : s.system.machine.nodes) {
    if (!is_dram(n) || !n.cpus || !n.cpus->empty() || !n.memory_total_bytes || *n.memory_total_bytes == 0) continue;
    const auto kind = n.kind ? to_string(*n.kind) : "unknown kind";
    found.push_back({Severity::kNote, nodes_text(NodeSet::of(n.id)), fmt::format("memory without CPUs ({})", kind),
                     "left out of a GPU job's staging memory: numapin run takes the node beside the GPU only", "", ""});
  }
  if (s.system.machine.nodes.empty()) return unknown("no source tells nodes");
  return settle(std::move(found), "every node with memory has CPUs");
}

CheckResult gpu_memory_nodes(const Setup& s) {
  NodeSet nodes;
  for (const auto& n : s.system.machine.nodes)
    if (!is_dram(n)) nodes.insert(n.id);
  if (nodes.empty()) return not_here("no GPU's memory is a NUMA node");
  return settle({{Severity::kNote, nodes_text(nodes), "a GPU's own memory, shown as NUMA memory",
                  "not in a job's memory policy: 'numactl --interleave=all' would put host data into it", "", ""}},
                "");
}

CheckResult split_sockets(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (m.packages.empty()) return unknown("the sockets are not known");
  std::vector<std::string> split;
  for (const auto& p : m.packages)
    if (const auto nodes = nodes_of(m, p.cpus); nodes.size() > 1)
      split.push_back(fmt::format("socket {}: {}", p.id, nodes_text(nodes)));
  if (split.empty()) return fine("a node is a whole socket");
  return settle({{Severity::kNote, "", fmt::format("sockets are split into nodes ({})", fmt::join(split, "; ")),
                  "known: a GPU's node has a part of its socket's cores; 'numapin run --cpus socket' takes all", "", ""}},
                "");
}

// ---- CPUs -----------------------------------------------------------------------------------------------------------

/// By the kernel's switch, or by the look of it: one thread of every core online, and as many times more offline (POWER's
/// ppc64_cpu --smt=off takes CPUs offline one by one).
bool smt_is_off(const Setup& s) {
  const auto& m = s.system.machine;
  if (s.kernel.smt_control) return *s.kernel.smt_control == "off" || *s.kernel.smt_control == "forceoff";
  const bool single =
      !m.cores.empty() && std::all_of(m.cores.begin(), m.cores.end(), [](const Core& c) { return c.cpus.size() == 1; });
  const int online = online_cpus(m).size();
  return single && online > 0 && m.offline->size() % online == 0;
}

CheckResult offline_cpus(const Setup& s) {
  constexpr std::string_view kCpu = "/sys/devices/system/cpu/cpu";
  const auto& m = s.system.machine;
  if (!m.offline) return unknown("no source tells which CPUs are offline");
  if (m.offline->empty()) return fine("every CPU is online");
  if (smt_is_off(s))
    return settle({{Severity::kNote, "", fmt::format("CPUs {} are offline: SMT is switched off", m.offline->to_list()),
                    "intended: fewer, faster threads", "", ""}},
                  "");
  if (m.cores.empty())  // then it cannot be told from SMT switched off
    return settle({{Severity::kNote, "", fmt::format("CPUs {} are offline", m.offline->to_list()), "known, or online", "", ""}},
                  "");
  return settle({{Severity::kWarning, "", fmt::format("CPUs {} are present but offline", m.offline->to_list()),
                  "online, unless somebody wants them off: masks that name them bind to fewer CPUs than they seem to",
                  write_each("1", *m.offline, kCpu, "/online"), write_each("0", *m.offline, kCpu, "/online")}},
                "");
}

CheckResult smt_numbering(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.cores.empty()) return unknown("no source tells cores");
  const auto core = std::find_if(m.cores.begin(), m.cores.end(), [](const Core& c) { return c.cpus.size() > 1; });
  if (core == m.cores.end()) return not_here("one thread a core");
  const int adjacent = static_cast<int>(std::count_if(m.cores.begin(), m.cores.end(), [](const Core& c) {
    return c.cpus.size() > 1 && number(c.cpus.last()) - number(c.cpus.first()) == c.cpus.size() - 1;
  }));
  const auto siblings = fmt::format("CPUs {} are one core", core->cpus.to_list());
  if (adjacent == 0) return fine(siblings + ": first all first threads, then all second ones");
  return settle(
      {{Severity::kNote, "", siblings + ": threads of a core have numbers side by side",
        fmt::format("known to whoever counts: CPUs 0-{} are half as many cores; 'numapin run --smt off' takes one thread a core",
                    2 * core->cpus.size() - 1),
        "", ""}},
      "");
}

// ---- GPUs -----------------------------------------------------------------------------------------------------------

CheckResult gpu_node_unknown(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (m.nodes.empty()) return unknown("no source tells nodes");
  if (has_one_node(m)) return fine("one node");
  std::vector<int> lost;
  bool nameless = false;
  for (const auto& gpu : m.gpus) {
    if (gpu.numa_nodes && !gpu.numa_nodes->empty()) continue;
    if (gpu.address)
      lost.push_back(gpu.index);
    else
      nameless = true;  // of a pasted table: it may be cut, or its column may be missing
  }
  if (lost.empty()) return nameless ? unknown("this record does not tell it") : fine("the node of every GPU is known");
  std::string mend = "# find the node by measuring, then tell the kernel until the next boot (N: the node)";
  std::string undo;
  for (const int index : lost) {
    const auto* gpu = gpu_at(m, index);
    if (!gpu->address) continue;
    mend += fmt::format("\n# echo N >/sys/bus/pci/devices/{}/numa_node", gpu->address->to_string());
    undo += fmt::format("{}# echo -1 >/sys/bus/pci/devices/{}/numa_node", undo.empty() ? "" : "\n", gpu->address->to_string());
  }
  return settle(
      {{Severity::kWarning, gpus_text(lost), "no source tells the NUMA node; the kernel's numa_node is -1",
        "told by the firmware, or by the hypervisor to its guest; tools that read -1 as 0 bind these GPUs' jobs to node 0", mend,
        undo}},
      "");
}

CheckResult sources_disagree(const Setup& s) {
  if (s.system.machine.gpus.empty()) return not_here("no GPU");
  std::vector<Finding> found;
  for (const auto& d : s.system.disagreements) {
    if (d.subject.find("numa") == std::string::npos && d.subject.find("local_cpus") == std::string::npos) continue;
    found.push_back({Severity::kWarning, d.subject, fmt::format("{}, but {}", d.kept, d.other),
                     "the same from every source; numapin goes by the first",
                     "# measure which is true: copy between each node's memory and the GPU; then update firmware or driver", ""});
  }
  return settle(std::move(found), "no two sources differ");
}

CheckResult gpu_spread(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.size() < 2) return not_here("fewer than two GPUs");
  const auto nodes = near_nodes(m, all_gpus(m));
  if (!nodes) return unknown("the node of a GPU is not known");
  if (cpu_nodes(m).size() < 2) return fine("one node");
  if (m.packages.size() < 2) return m.packages.empty() ? unknown("the sockets are not known") : fine("one socket");
  std::vector<int> counts;
  std::string words;
  for (const auto& p : m.packages) {
    const auto own = nodes_of(m, p.cpus);
    const auto count = static_cast<int>(
        std::count_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.numa_nodes->intersects(own); }));
    counts.push_back(count);
    words += fmt::format("{}{} on socket {}", words.empty() ? "" : ", ", count, p.id);
  }
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  if (*most - *least < 2) return fine("GPUs: " + words);
  return settle(
      {{Severity::kNote, "", "GPUs: " + words,
        "about as many on each socket, where the slots allow it: the GPUs of the fuller one share its cores, memory and links",
        "", ""}},
      "");
}

CheckResult no_near_cpu(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  // The subject's GPUs and mask; of a recording, which has none, all GPUs and what the recorder was allowed.
  const auto* subject = s.subjects.empty() ? nullptr : &s.subjects.front();
  if (subject != nullptr && subject->kind == Subject::Kind::kProcess) return not_here("a process is judged by gpu-other-node");
  const auto gpus = subject == nullptr ? all_gpus(m) : subject->gpus;
  const auto allowed =
      subject == nullptr ? s.system.allowance.cpus.value_or(CpuSet()) & online_cpus(m) : allowed_cpus(m, *subject);
  if (allowed.empty()) return unknown("what this process may use is not known");
  std::vector<int> far;
  NodeSet nodes;
  for (const int index : gpus) {
    const auto* gpu = gpu_at(m, index);
    if (gpu == nullptr || !gpu->numa_nodes) continue;
    const auto near = cpus_of(m, *gpu->numa_nodes);
    if (near.empty() || near.intersects(allowed)) continue;
    far.push_back(index);
    nodes |= *gpu->numa_nodes;
  }
  if (far.empty()) return fine("every visible GPU has an allowed CPU beside it");
  const auto& cgroup = subject == nullptr ? s.system.allowance.cgroup : subject->cgroup;
  const auto where =
      cgroup.empty() ? std::string("affinity mask or cpuset") : fmt::format("affinity mask, or cpuset of {}", cgroup);
  const auto near = cpus_of(m, nodes);
  const auto ask = subject != nullptr && subject->container
                       ? outer_command(*subject->container, near, {})
                       : fmt::format("docker run --cpuset-cpus={}; srun --gres-flags=enforce-binding", near.to_list());
  // Who did not choose among the GPUs may mean the others.
  const auto severity = subject != nullptr && subject->means_gpus ? Severity::kWarning : Severity::kNote;
  return settle(
      {{severity, gpus_text(far), fmt::format("on {}; allowed are CPUs {} ({})", nodes_text(nodes), allowed.to_list(), where),
        "an allowed CPU beside every GPU that is used",
        fmt::format("# ask for CPUs of {} ({}): {}; or use the other GPUs", nodes_text(nodes), near.to_list(), ask),
        ""}},
      "");
}

constexpr Check kChecks[] = {
    {"numa-hidden", Family::kTopology, Severity::kProblem, Effect::kLarge, "sockets show as NUMA nodes",
     "host memory behind the other socket: 34.4 instead of 90.9 GB/s on a 2-socket Xeon (cnf-testbed#129), and no tool can place "
     "anything",
     "A machine with several sockets has memory attached to each. With 'node interleaving' on in the firmware, with numa=off on "
     "the "
     "kernel's command line, or in a virtual machine without a NUMA layout, Linux sees one node, and data lies on both sockets "
     "by "
     "turns. Nothing can be bound then.\nOnly numa=off is called a problem: a virtual machine may really lie on one socket.",
     true, numa_hidden},
    {"node-distances", Family::kTopology, Severity::kWarning, Effect::kUnmeasured, "node distances are plausible", "unmeasured",
     "The kernel takes memory from the nearest node when the wanted one is full, by the firmware's distance table (ACPI SLIT). A "
     "node "
     "that is as far from itself as from the others has no such order.",
     true, node_distances},
    {"node-without-memory", Family::kTopology, Severity::kWarning, Effect::kLarge, "nodes with CPUs have memory",
     "all its memory is remote: 34.4 instead of 90.9 GB/s on a 2-socket Xeon (cnf-testbed#129)",
     "A socket without memory modules is a node with CPUs and 0 MB. Its CPUs read everything from another node, and numactl -N "
     "refuses "
     "it (numactl#165).",
     true, node_without_memory},
    {"node-without-cpus", Family::kTopology, Severity::kNote, Effect::kUnmeasured, "nodes with memory have CPUs", "unmeasured",
     "Memory expanders (CXL), persistent memory and processors' HBM show as nodes without CPUs. They are slower or smaller than "
     "a "
     "socket's own memory; pinned memory for CUDA may fail there (open-gpu-kernel-modules#885).",
     true, node_without_cpus},
    {"gpu-memory-nodes", Family::kTopology, Severity::kNote, Effect::kUnmeasured, "GPUs' own memory is not NUMA memory",
     "unmeasured",
     "On Grace Hopper and POWER9 a GPU's memory is a NUMA node, so that ordinary allocations may land in it. One GH200 shows "
     "nine nodes, "
     "most of them empty. NVIDIA's CDMM mode hides it (/proc/driver/nvidia/params, CoherentGPUMemoryMode).",
     true, gpu_memory_nodes},
    {"split-sockets", Family::kTopology, Severity::kNote, Effect::kModerate, "a NUMA node is a whole socket",
     "unmeasured; the GPU's node holds a half or a quarter of the socket's cores (NVIDIA/gpu_affinity, DGX A100)",
     "Sub-NUMA clustering (Intel SNC) and nodes per socket (AMD NPS2, NPS4) cut a socket into nodes. Memory is a little nearer, "
     "but a "
     "GPU's node has fewer cores, and only some nodes have a GPU. Jobs with many data-loading workers want the whole socket.",
     true, split_sockets},
    {"offline-cpus", Family::kTopology, Severity::kWarning, Effect::kUnmeasured, "every CPU is online",
     "unmeasured; the machine has fewer CPUs than its data sheet, and masks copied from elsewhere are narrower than they look",
     "CPUs can be taken offline by hand, by power management, or by switching SMT off. A mask that names them is not refused: "
     "the kernel "
     "drops them in silence.",
     true, offline_cpus},
    {"smt-numbering", Family::kTopology, Severity::kNote, Effect::kSmall, "SMT siblings are numbered last",
     "0-10 % for jobs that count siblings as cores (the article this project grew from; no data published)",
     "Most servers number the first threads of all cores first, then the second ones. Some number the threads of a core side by "
     "side, as "
     "most virtual machines do, and some number sockets by turns. 'CPUs 0-7' then means four cores. Only "
     "/sys/devices/system/cpu/cpu*/topology/thread_siblings_list tells; numapin goes by it.",
     true, smt_numbering},
    {"gpu-node-unknown", Family::kTopology, Severity::kWarning, Effect::kLarge, "the node of every GPU is known",
     "a job bound to the wrong node: 133 instead of 377 GB/s host to device on 2x GH200 (dnhkng, 2026-04); 3.8 instead of 12.2 "
     "GB/s on P100 (gearshifft#82); none "
     "on MI210 with EPYC 9554 (rocm_bandwidth_test#129)",
     "Firmware that tells no proximity domain, and most virtual machines, leave numa_node at -1. Nothing is guessed here: "
     "numapin run leaves "
     "CPUs and memory alone for such a GPU, where other tools take -1 for node 0.",
     true, gpu_node_unknown},
    {"sources-disagree", Family::kTopology, Severity::kWarning, Effect::kLarge, "all sources name the same node for a GPU",
     "as gpu-node-unknown, if the first source is wrong",
     "The kernel's numa_node, NVIDIA's library and AMD's KFD are asked independently. Azure found the kernel's value wrong in "
     "whole series "
     "of virtual machines (azurehpc#327).",
     true, sources_disagree},
    {"gpu-spread", Family::kTopology, Severity::kNote, Effect::kUnmeasured, "GPUs are spread evenly over the sockets",
     "unmeasured",
     "With six GPUs on one socket and two on the other, the six have a third of the cores each, and share that socket's memory "
     "and PCIe.",
     true, gpu_spread},
    {"no-near-cpu", Family::kTopology, Severity::kWarning, Effect::kLarge, "every visible GPU has an allowed CPU beside it",
     "as gpu-other-node",
     "A cpuset (container, Slurm job) or an affinity mask that has no CPU of a visible GPU's node makes every access to that GPU "
     "cross the "
     "sockets. numapin run keeps to the allowed CPUs, says so, and still puts memory beside the GPU.",
     true, no_near_cpu},
};

}  // namespace

std::span<const Check> topology_checks() { return kChecks; }

}  // namespace numapin::doctor
