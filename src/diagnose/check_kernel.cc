// Settings of the kernel and the machine that GPU jobs feel.
#include <algorithm>

#include "base/units.h"
#include "diagnose/result.h"

namespace numapin::doctor {
namespace {

Finding sysctl(Severity severity, std::string_view name, int is, int should, std::string why) {
  return {severity,
          "",
          fmt::format("{} = {}", name, is),
          fmt::format("{}: {}", should, why),
          fmt::format("sysctl -w {}={}", name, should),
          fmt::format("sysctl -w {}={}", name, is)};
}

bool has_rdma(const Machine& m) {
  return std::any_of(m.nics.begin(), m.nics.end(), [](const Nic& n) { return n.infiniband; });
}

// ---- memory ---------------------------------------------------------------------------------------------------------

CheckResult numa_balancing(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (!s.kernel.numa_balancing) return unknown("kernel.numa_balancing cannot be read");
  if (dram_nodes(m).size() < 2) return fine("one node");
  if (*s.kernel.numa_balancing == 0) return fine("kernel.numa_balancing = 0");
  return settle({sysctl(Severity::kWarning, "kernel.numa_balancing", *s.kernel.numa_balancing, 0,
                        "what the GPU vendors advise for jobs that are bound")},
                "");
}

CheckResult zone_reclaim(const Setup& s) {
  if (!s.kernel.zone_reclaim_mode) return unknown("vm.zone_reclaim_mode cannot be read");
  if (dram_nodes(s.system.machine).size() < 2) return not_here("one node");
  if (*s.kernel.zone_reclaim_mode == 0) return fine("vm.zone_reclaim_mode = 0");
  return settle({sysctl(Severity::kWarning, "vm.zone_reclaim_mode", *s.kernel.zone_reclaim_mode, 0,
                        "the kernel's default; 'numapin run --make-room' frees cache once, before the job starts")},
                "");
}

CheckResult thp(const Setup& s) {
  if (!s.kernel.thp_enabled) return unknown("transparent_hugepage/enabled cannot be read");
  if (*s.kernel.thp_enabled != "never") return fine("transparent huge pages: " + *s.kernel.thp_enabled);
  return settle(
      {{Severity::kNote, "", "transparent huge pages are switched off",
        "madvise, if big host buffers are touched by the CPUs: programs that ask get them, others do not",
        "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled", "echo never >/sys/kernel/mm/transparent_hugepage/enabled"}},
      "");
}

CheckResult thp_defrag(const Setup& s) {
  if (!s.kernel.thp_defrag || !s.kernel.thp_enabled) return unknown("transparent_hugepage/defrag cannot be read");
  if (*s.kernel.thp_defrag != "always" || *s.kernel.thp_enabled == "never") return fine("defrag: " + *s.kernel.thp_defrag);
  return settle(
      {{Severity::kWarning, "", "transparent_hugepage/defrag = always: any page fault may stop to compact memory",
        "madvise (the kernel's default): only programs that asked wait",
        "echo madvise >/sys/kernel/mm/transparent_hugepage/defrag", "echo always >/sys/kernel/mm/transparent_hugepage/defrag"}},
      "");
}

constexpr double kFullOfCache = 0.10, kCacheShare = 0.30;  // less than a tenth free, more than three tenths clean cache

CheckResult page_cache(const Setup& s) {
  const auto& m = s.system.machine;
  if (m.gpus.empty()) return not_here("no GPU");
  if (dram_nodes(m).size() < 2) return fine("one node");
  std::vector<Finding> found;
  bool seen = false;
  NodeSet near;
  for (const auto& gpu : m.gpus)
    if (gpu.numa_nodes) near |= *gpu.numa_nodes;
  for (const NodeId id : near) {
    const auto it = s.kernel.nodes.find(id);
    if (it == s.kernel.nodes.end() || !it->second.total || !it->second.free || !it->second.clean_cache || *it->second.total == 0)
      continue;
    seen = true;
    const auto& use = it->second;
    const auto total = static_cast<double>(*use.total);
    if (static_cast<double>(*use.free) >= kFullOfCache * total || static_cast<double>(*use.clean_cache) <= kCacheShare * total)
      continue;
    found.push_back(
        {Severity::kWarning, nodes_text(NodeSet::of(id)),
         fmt::format("{} of {} free, {} page cache", size_text(*use.free), size_text(*use.total), size_text(*use.clean_cache)),
         "free pages for the job that starts: 'preferred' and first touch go to the next node, in silence, where there are none",
         "# numapin run makes room by itself (--make-room 8G for more); for all nodes at once: echo 1 >/proc/sys/vm/drop_caches",
         ""});
  }
  if (!seen) return unknown("the nodes' memory cannot be read");
  return settle(std::move(found), "the GPUs' nodes have free memory");
}

CheckResult hugepages(const Setup& s) {
  const auto& m = s.system.machine;
  std::vector<Finding> found;
  bool seen = false, any = false;
  std::uint64_t all = 0;
  for (const auto& [id, use] : s.kernel.nodes) {
    if (!use.huge) continue;
    seen = true;
    all += *use.huge;
    any = any || *use.huge > 0;
    if (use.huge_free && use.total && *use.huge_free > *use.total / 4)
      found.push_back(
          {Severity::kWarning, nodes_text(NodeSet::of(id)),
           fmt::format("{} of {} is reserved for huge pages that nobody uses", size_text(*use.huge_free), size_text(*use.total)),
           "reserved only while something uses them (DPDK, databases, virtual machines)",
           fmt::format("# lower nr_hugepages in /sys/devices/system/node/node{}/hugepages/*", number(id)),
           "# write the number that was there"});
  }
  if (!seen) return unknown("hugepages of the nodes cannot be read");
  if (!any) return fine("no huge pages are reserved");
  for (const auto& gpu : m.gpus) {
    const auto nodes = gpu.numa_nodes ? *gpu.numa_nodes & dram_nodes(m) : NodeSet();
    const bool none = !nodes.empty() && std::all_of(nodes.begin(), nodes.end(), [&](NodeId id) {
      const auto it = s.kernel.nodes.find(id);
      return it != s.kernel.nodes.end() && it->second.huge && *it->second.huge == 0;
    });
    if (!none) continue;
    found.push_back({Severity::kNote, nodes_text(nodes), fmt::format("no huge pages here, {} on other nodes", size_text(all)),
                     fmt::format("reserved node by node, if the job of GPU {} uses them", gpu.index), "", ""});
    break;
  }
  return settle(std::move(found), size_text(all) + " reserved, in use or spread over the GPUs' nodes");
}

// ---- clocks ---------------------------------------------------------------------------------------------------------

/// Writes `value` to a file of these clock domains.
std::string set_policies(const CpuSet& policies, std::string_view file, std::string_view value) {
  return write_each(value, policies, "/sys/devices/system/cpu/cpufreq/policy", file);
}

CheckResult governor(const Setup& s) {
  if (s.kernel.frequencies.empty()) return unknown("no cpufreq (a virtual machine, or clocks left to the firmware)");
  std::map<std::string, CpuSet> slow;  // governor -> policies
  for (const auto& f : s.kernel.frequencies) {
    // intel_pstate and amd-pstate-epp: "powersave" is their ordinary governor; energy-bias looks at their preference.
    const bool by_hardware =
        f.driver.starts_with("intel_pstate") || f.driver.starts_with("amd-pstate-epp") || f.driver.starts_with("amd_pstate_epp");
    if (f.governor == "performance" || f.governor.empty() || (f.governor == "powersave" && by_hardware)) continue;
    slow[f.governor].insert(CpuId{f.policy});
  }
  if (slow.empty()) return fine("governor: " + s.kernel.frequencies.front().governor);
  std::vector<Finding> found;
  for (const auto& [name, policies] : slow)
    found.push_back(
        {name == "powersave" ? Severity::kWarning : Severity::kNote, "",
         fmt::format("cpufreq governor {} on {} of {} clock domains", name, policies.size(), s.kernel.frequencies.size()),
         "performance: the thread that feeds a GPU works in short bursts, which slow governors do not see",
         set_policies(policies, "/scaling_governor", "performance"), set_policies(policies, "/scaling_governor", name)});
  return settle(std::move(found), "");
}

CheckResult energy_bias(const Setup& s) {
  std::map<std::string, CpuSet> slow;  // preference -> policies
  bool seen = false;
  for (const auto& f : s.kernel.frequencies) {
    seen = seen || !f.energy_preference.empty();
    if (f.energy_preference == "power" || f.energy_preference == "balance_power") slow[f.energy_preference].insert(CpuId{f.policy});
  }
  std::vector<Finding> found;
  for (const auto& [name, policies] : slow)
    found.push_back(
        {Severity::kWarning, "",
         fmt::format("energy preference {} on {} of {} clock domains", name, policies.size(), s.kernel.frequencies.size()),
         "balance_performance or performance", set_policies(policies, "/energy_performance_preference", "balance_performance"),
         set_policies(policies, "/energy_performance_preference", name)});
  const auto& bias = s.kernel.energy_perf_bias;
  constexpr int kNormal = 6;  // of 0 (performance) to 15 (powersave), Intel's MSR_IA32_ENERGY_PERF_BIAS
  if (slow.empty() && bias && *bias > kNormal)
    found.push_back({Severity::kWarning, "", fmt::format("energy_perf_bias = {} (CPU 0; 0 is performance, 15 powersave)", *bias),
                     "6 or less", "for b in /sys/devices/system/cpu/cpu*/power/energy_perf_bias; do echo 6 >\"$b\"; done",
                     fmt::format("for b in /sys/devices/system/cpu/cpu*/power/energy_perf_bias; do echo {} >\"$b\"; done", *bias)});
  if (!seen && !bias) return unknown("this processor's driver has no such setting");
  return settle(std::move(found), "towards performance, or balanced");
}

constexpr int kSlowWakeUs = 100;

CheckResult idle_states(const Setup& s) {
  if (s.kernel.idle_states.empty()) return unknown("no cpuidle (a virtual machine, or idle=poll)");
  const IdleState* deepest = nullptr;
  for (const auto& state : s.kernel.idle_states)
    if (!state.disabled && (deepest == nullptr || state.latency_us > deepest->latency_us)) deepest = &state;
  if (deepest == nullptr || deepest->latency_us < kSlowWakeUs) return fine("no idle state takes 100 us or more to leave");
  std::string mend, undo;
  for (const auto& state : s.kernel.idle_states) {
    if (state.disabled || state.latency_us < kSlowWakeUs) continue;
    mend += fmt::format("{}cpupower idle-set -d {}", mend.empty() ? "" : "\n", state.number);
    undo += fmt::format("{}cpupower idle-set -e {}", undo.empty() ? "" : "\n", state.number);
  }
  return settle({{Severity::kNote, "", fmt::format("idle state {} takes {} us to leave", deepest->name, deepest->latency_us),
                  "shallower, where latency counts more than power (small batches, RDMA)", mend, undo}},
                "");
}

CheckResult autogroup(const Setup& s) {
  if (!s.kernel.sched_autogroup) return unknown("kernel.sched_autogroup_enabled cannot be read");
  if (*s.kernel.sched_autogroup == 0) return fine("kernel.sched_autogroup_enabled = 0");
  return settle({sysctl(Severity::kNote, "kernel.sched_autogroup_enabled", *s.kernel.sched_autogroup, 0,
                        "on servers: it shares CPU time between sessions, and nice counts only within one")},
                "");
}

// ---- devices --------------------------------------------------------------------------------------------------------

CheckResult iommu(const Setup& s) {
  const auto& m = s.system.machine;
  constexpr std::uint32_t kVga = 0x0300;  // cards for screens: drivers do not let them talk to each other
  std::vector<const Gpu*> peers;
  for (const auto& gpu : m.gpus) {
    const auto* device = gpu.address ? find_pci(m, *gpu.address) : nullptr;
    // Over C2C (Grace) the SMMU does the address translation that the GPU relies on.
    if (device != nullptr && device->class_code >> 8 != kVga && !gpu.memory_node) peers.push_back(&gpu);
  }
  if (peers.empty() || (peers.size() < 2 && !has_rdma(m))) return not_here("no two devices that would talk to each other");
  std::vector<int> translated;
  bool seen = false;
  for (const auto* peer : peers) {
    const auto& gpu = *peer;
    const auto it = s.pci.find(*gpu.address);
    if (it == s.pci.end()) continue;
    seen = true;
    if (it->second.iommu_domain.starts_with("DMA")) translated.push_back(gpu.index);
  }
  if (!seen) return unknown("the GPUs' IOMMU groups cannot be read");
  if (translated.empty()) return fine("the GPUs' addresses are not translated");
  return settle(
      {{Severity::kWarning, gpus_text(translated), "behind an IOMMU that translates addresses (domain type DMA)",
        "passed through (identity): traffic between GPUs, and to NICs, may be sent up to the root complex otherwise",
        "# add iommu=pt (Arm: iommu.passthrough=1) to the kernel's command line, and reboot", "# take it off again, and reboot"}},
      "");
}

CheckResult locked_memory(const Setup& s) {
  if (!has_rdma(s.system.machine))
    return not_here("no RDMA device: pinned memory of CUDA and ROCm does not count against ulimit -l");
  constexpr std::uint64_t kEnough = std::uint64_t{1} << 30;
  std::vector<Finding> found;
  bool seen = false;
  for (const auto& subject : s.subjects) {
    if (!subject.locked_limit_bytes) continue;
    seen = true;
    if (*subject.locked_limit_bytes >= kEnough) continue;
    found.push_back({Severity::kWarning, subject.kind == Subject::Kind::kProcess ? name_of(subject) : "",
                     fmt::format("ulimit -l is {}", size_text(*subject.locked_limit_bytes)),
                     "unlimited, where NCCL, UCX or MPI register memory with the NIC",
                     "# '* - memlock unlimited' in /etc/security/limits.conf; docker run --ulimit memlock=-1; "
                     "LimitMEMLOCK=infinity for a service",
                     "# take the line, the option or the setting out again"});
  }
  if (!seen) return unknown("the limit cannot be read");
  return settle(std::move(found), "enough may be locked");
}

bool runs(const Setup& s, std::string_view name) {
  return s.software.programs &&
         std::find(s.software.programs->begin(), s.software.programs->end(), name) != s.software.programs->end();
}

struct IrqDevice {
  std::string name;
  PciAddress address;
  NodeSet nodes;
};

std::vector<IrqDevice> irq_devices(const Machine& m) {
  std::vector<IrqDevice> out;
  for (const auto& gpu : m.gpus)
    if (gpu.address && gpu.numa_nodes) out.push_back({fmt::format("GPU {}", gpu.index), *gpu.address, *gpu.numa_nodes});
  for (const auto& nic : m.nics)
    if (nic.address && nic.numa_nodes)
      out.push_back({nic.name.empty() ? fmt::format("NIC {}", nic.index) : nic.name, *nic.address, *nic.numa_nodes});
  return out;
}

CheckResult irq_node(const Setup& s) {
  const auto& m = s.system.machine;
  if (has_one_node(m)) return not_here("one node");
  std::vector<Finding> found;
  bool seen = false;
  for (const auto& device : irq_devices(m)) {
    const auto facts = s.pci.find(device.address);
    const auto near = cpus_of(m, device.nodes);
    if (facts == s.pci.end() || facts->second.irqs.empty() || near.empty()) continue;
    seen = true;
    CpuSet targets;
    for (const auto& [irq, cpus] : facts->second.irqs) targets |= cpus;
    if (targets.empty() || targets.intersects(near)) continue;
    std::string mend = runs(s, "irqbalance") ? "# irqbalance may move them again: exclude them by its --banirq" : "", undo;
    for (const auto& [irq, cpus] : facts->second.irqs) {
      const auto mask = facts->second.irq_masks.find(irq);
      mend += fmt::format("{}echo {} >/proc/irq/{}/smp_affinity_list", mend.empty() ? "" : "\n", near.to_list(), irq);
      undo += fmt::format("{}echo {} >/proc/irq/{}/smp_affinity_list", undo.empty() ? "" : "\n",
                          (mask == facts->second.irq_masks.end() ? cpus : mask->second).to_list(), irq);
    }
    found.push_back({Severity::kWarning, fmt::format("{} ({})", device.name, device.address.to_string()),
                     fmt::format("on {}, all {} go to CPUs {}", nodes_text(device.nodes),
                                 count_text(facts->second.irqs.size(), "interrupt"), targets.to_list()),
                     "to CPUs of its own node", mend, undo});
  }
  if (!seen) return unknown("no interrupts of GPUs or NICs are seen");
  return settle(std::move(found), "each GPU and NIC with interrupts has one that goes to its node");
}

CheckResult irqbalance(const Setup& s) {
  const auto& m = s.system.machine;
  if (has_one_node(m)) return not_here("one node");
  if (!s.software.programs) return unknown("inside a container the host's programs are not seen");
  if (runs(s, "irqbalance")) return fine("irqbalance runs");
  // Without the daemon all is well where somebody spread the interrupts, or the driver's queues are spread by the kernel.
  CpuSet targets;
  std::size_t count = 0;
  for (const auto& device : irq_devices(m))
    if (const auto it = s.pci.find(device.address); it != s.pci.end())
      for (const auto& [irq, cpus] : it->second.irqs) {
        targets |= cpus;
        ++count;
      }
  if (count < 2) return unknown("no interrupts of GPUs or NICs are seen");
  if (targets.size() > 1) return fine("irqbalance does not run, and interrupts go to several CPUs");
  return settle(
      {{Severity::kNote, "",
        fmt::format("all {} interrupts of GPUs and NICs go to CPU {}, and irqbalance does not run", count, targets.to_list()),
        "spread over the devices' own nodes", "systemctl start irqbalance", "systemctl stop irqbalance"}},
      "");
}

constexpr Check kChecks[] = {
    {"numa-balancing", Family::kKernel, Severity::kWarning, Effect::kModerate, "the kernel does not migrate pages by itself",
     "unmeasured for bound GPU jobs; AMD warns that the GPU can wait for the scan to end",
     "Automatic NUMA balancing unmaps pages to see who touches them, and moves them to the toucher's node. Vendors advise to "
     "switch it off for "
     "explicitly bound GPU jobs: NVIDIA for Grace (numa_balancing=disable in the Grace CPU Benchmarking Guide), AMD for Instinct "
     "(echo 0 >/proc/sys/kernel/numa_balancing).\nThe opposite advice (set it to 1) is around because it helps CPU programs that "
     "nobody bound: "
     "they get near their memory in time. It gives a bound job nothing that its binding has not, costs page faults, and pages "
     "that a GPU "
     "reads by DMA look untouched to it.\nA process with a memory policy of its own (numapin run, numactl -m) is not scanned; "
     "those bound by "
     "taskset, a cpuset or a launcher alone are.",
     false, numa_balancing},
    {"zone-reclaim", Family::kKernel, Severity::kWarning, Effect::kModerate, "a full node spills before it reclaims",
     "unmeasured; the kernel's documentation warns of it where page cache matters (file servers, data sets read again and again)",
     "With vm.zone_reclaim_mode a node throws page cache away at every allocation rather than take a page of the next node. It "
     "keeps memory "
     "local, as 'numapin run --make-room' does once before a job starts, but at run time, in every program.",
     false, zone_reclaim},
    {"thp", Family::kKernel, Severity::kNote, Effect::kSmall, "transparent huge pages can be asked for",
     "unmeasured; the article this project grew from gives 5-10 % for switching them off, others advise them on: it depends on "
     "the job",
     "Huge pages save TLB misses of CPUs that walk large buffers; the GPU's own accesses are not affected. Advice differs: "
     "databases and "
     "latency-bound services switch them off for the sake of stalls at page faults, which is what 'defrag' rules (see "
     "thp-defrag); AMD's and HPC guides leave "
     "them on; with Grace's 64 KiB pages they are 512 MiB and seldom fit (NVIDIA Grace Performance Tuning Guide). madvise serves "
     "both.",
     false, thp},
    {"thp-defrag", Family::kKernel, Severity::kWarning, Effect::kSmall, "page faults do not stop to compact memory", "unmeasured",
     "With defrag=always every page fault that would like a huge page compacts memory first, on the spot: stalls of milliseconds "
     "on a "
     "fragmented node.",
     false, thp_defrag},
    {"page-cache", Family::kKernel, Severity::kWarning, Effect::kLarge, "page cache leaves room on the GPUs' nodes",
     "99 % of 300 MiB remote under a preferred policy, nothing under a strict one (measured in numapin's lab, Linux 6.12)",
     "Page cache is memory in use as far as the allocator's first try goes. With a node full of it, first touch and preferred "
     "policies take "
     "pages of the next node at once; only a strict binding makes the kernel drop cache first.",
     false, page_cache},
    {"hugepages", Family::kKernel, Severity::kWarning, Effect::kUnmeasured, "reserved huge pages are where they are used",
     "unmeasured; reserved memory is lost to everything else",
     "Pages reserved at boot are spread over the nodes; reserved later they may be on one node only. What is reserved and unused "
     "is missing "
     "from the node's memory.",
     false, hugepages},
    {"governor", Family::kKernel, Severity::kWarning, Effect::kModerate, "CPU clocks follow the load at once", "unmeasured",
     "NVIDIA's Grace guide and AMD's Instinct guides ask for the governor 'performance'. 'powersave' of acpi-cpufreq stays at "
     "the lowest clock; "
     "that of intel_pstate and amd-pstate-epp does not, and is left alone here.",
     false, governor},
    {"energy-bias", Family::kKernel, Severity::kWarning, Effect::kSmall, "the processor's energy preference is not for saving",
     "unmeasured", "energy_performance_preference and energy_perf_bias tell the processor how eager to raise clocks.", false,
     energy_bias},
    {"idle-states", Family::kKernel, Severity::kNote, Effect::kSmall, "idle CPUs wake up quickly",
     "unmeasured; the wake-up time is added to what waits for that CPU",
     "A CPU that waits for a GPU or a NIC falls into deep idle states and takes its time to leave them. AMD's guide for the "
     "MI100 "
     "switches C2 off (cpupower idle-set -d 2). It costs power, and turbo clocks of the other cores.",
     false, idle_states},
    {"autogroup", Family::kKernel, Severity::kNote, Effect::kUnmeasured, "CPU time is not shared out by session", "unmeasured",
     "Autogroups were made for desktops: each session (setsid) is one task for the scheduler, so nice values count only within a "
     "session. "
     "Where jobs run in cgroups of their own it has no effect.",
     false, autogroup},
    {"iommu", Family::kKernel, Severity::kWarning, Effect::kLarge, "GPUs are not behind a translating IOMMU",
     "unmeasured here; NCCL's documentation: transfers between GPUs go through the root complex, are slow or hang",
     "An IOMMU with translation sends peer-to-peer traffic up to the root complex. NCCL's troubleshooting page, and AMD's guides "
     "(iommu=pt), ask "
     "for pass-through on bare metal. Inside a virtual machine the host decides.",
     false, iommu},
    {"locked-memory", Family::kKernel, Severity::kWarning, Effect::kBreaks, "memory may be locked for RDMA",
     "registration of memory fails: NCCL, UCX and MPI stop or fall back to TCP",
     "ibv_reg_mr locks pages and counts them against RLIMIT_MEMLOCK. Memory pinned by CUDA is not counted (seen with driver 580 "
     "on an H100).",
     false, locked_memory},
    {"irq-node", Family::kKernel, Severity::kWarning, Effect::kSmall, "interrupts of GPUs and NICs go to their node",
     "unmeasured",
     "Judged is where the interrupts really go (effective_affinity_list). One on the device's node is enough: the queues of "
     "modern NICs "
     "are spread over all CPUs on purpose.",
     false, irq_node},
    {"irqbalance", Family::kKernel, Severity::kNote, Effect::kSmall, "interrupts are spread", "unmeasured",
     "Without irqbalance, and without a script of the NIC's maker, interrupts stay where the kernel put them at boot. "
     "Latency-bound setups stop "
     "it on purpose and place interrupts by hand.",
     false, irqbalance},
};

}  // namespace

std::span<const Check> kernel_checks() { return kChecks; }

}  // namespace numapin::doctor
