// Every check of the table: a setup on which it finds something, and one that has the same facts and is well.
#include "numapin/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <set>

#include "diagnose/result.h"
#include "diagnose/slurm_conf.h"
#include "plan/slurm_node.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

using test::made_machine;
using State = CheckResult::State;
using Change = std::function<void(Setup&)>;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

ProcessInfo process(int pid, const CpuSet& cpus) {
  ProcessInfo p;
  p.pid = pid;
  p.name = "python3";
  p.command = "python3 train.py";
  p.allowed_mems = {0, 1};
  ThreadInfo t;
  t.tid = pid;
  t.name = "python3";
  t.allowed_cpus = cpus;
  p.threads = {t};
  p.memory = ProcessMemory{};
  p.memory->policy = "prefer (many):0";
  return p;
}

CpuSet cpus(const char* list) { return *CpuSet::parse(list); }

const char* const kNode0 = "0-11,24-35";
const char* const kNode1 = "12-23,36-47";

PciDevice pci(const char* address, std::uint16_t vendor, std::uint32_t class_code, const char* parent = "") {
  PciDevice d;
  d.address = *PciAddress::parse(address);
  d.vendor = vendor;
  d.device = 0x1234;
  d.class_code = class_code;
  d.parent = PciAddress::parse(parent);
  d.link = {{16.0, 16}, Source::kSysfs};
  d.link_max = d.link;
  return d;
}

/// Two sockets with four GPUs each, a job of GPU 0 bound where it belongs, an RDMA NIC, and every setting as it should be.
Setup well() {
  Setup s;
  auto& m = s.system.machine;
  m = made_machine();
  m.offline = {CpuSet(), Source::kSysfs};
  m.hostname = {"n1", Source::kProcfs};
  for (auto& gpu : m.gpus) {
    gpu.minor = {gpu.index, Source::kProcDriver};
    gpu.memory_bytes = {80 * kGiB, Source::kNvml};
    gpu.nvml_index = {gpu.index, Source::kNvml};
    auto d = pci(gpu.address->to_string().c_str(), 0x10de, 0x030200);
    d.driver = "nvidia";
    m.pci.push_back(d);
    s.pci[*gpu.address].bar_bytes = 128 * kGiB;
    s.pci[*gpu.address].iommu_domain = "identity";
    s.software.nvidia.persistence[gpu.index] = true;
    s.software.nvidia.mig[gpu.index] = {};
  }
  // GPU 0 and the NIC are on one switch.
  m.pci.push_back(pci("0000:0d:00.0", 0x1000, 0x060400));
  m.pci.push_back(pci("0000:0e:00.0", 0x1000, 0x060400, "0000:0d:00.0"));
  m.pci.push_back(pci("0000:0e:01.0", 0x1000, 0x060400, "0000:0d:00.0"));
  m.pci.push_back(pci("0000:0f:00.0", 0x15b3, 0x020700, "0000:0e:01.0"));
  std::sort(m.pci.begin(), m.pci.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  for (auto& d : m.pci)
    if (d.address == *m.gpus[0].address) d.parent = PciAddress::parse("0000:0e:00.0");
  s.pci[*PciAddress::parse("0000:0e:00.0")] = {0x1, true, "", std::nullopt, {}};
  s.pci[*PciAddress::parse("0000:0e:01.0")] = {0x1, true, "", std::nullopt, {}};
  Nic nic;
  nic.address = PciAddress::parse("0000:0f:00.0");
  nic.name = "mlx5_0";
  nic.infiniband = true;
  nic.numa_nodes = {NodeSet{0}, Source::kSysfs};
  m.nics = {nic};
  s.pci[*nic.address].irqs = {{40, cpus("3")}, {41, cpus("4")}};
  for (int g = 0; g < 8; ++g) {
    Link link;
    link.from = {DeviceRef::Type::kGpu, g};
    link.to = {DeviceRef::Type::kNic, 0};
    link.kind = g < 4 ? LinkKind::kNode : LinkKind::kPhb;
    m.links.push_back(link);
    for (int other = 0; other < 8; ++other) {
      if (other == g) continue;
      link.to = {DeviceRef::Type::kGpu, other};
      link.kind = LinkKind::kNvlink;
      link.count = 12;
      m.links.push_back(link);
    }
  }
  std::sort(m.links.begin(), m.links.end(), [](const Link& a, const Link& b) { return std::tie(a.from, a.to) < std::tie(b.from, b.to); });
  s.system.allowance.cpus = {cpus("0-47"), Source::kProcfs};

  Subject job;
  job.kind = Subject::Kind::kProcess;
  job.process = process(100, cpus(kNode0));
  job.gpus = {0};
  job.means_gpus = true;
  job.env = Environment{{"CUDA_VISIBLE_DEVICES", "0"}, {"OMP_NUM_THREADS", "12"}};
  job.in_container = false;
  job.locked_limit_bytes = kUnlimited;
  job.peak_bytes = 10 * kGiB;
  job.policy_error = 0;
  auto worker = process(101, cpus(kNode0));
  worker.parent = 100;
  worker.name = "pt_data_worker";
  job.children = {worker, worker};
  ThreadInfo pin;
  pin.tid = 102;
  pin.name = "pt_data_pin";
  pin.allowed_cpus = cpus(kNode0);
  job.process.threads.push_back(pin);
  s.subjects = {job};
  s.gpu_jobs = {{process(100, cpus("0-2,24-26")), {0}}, {process(200, cpus("3-5,27-29")), {1}}};

  auto& k = s.kernel;
  k.command_line = "root=/dev/sda1 iommu=pt";
  k.thp_enabled = k.thp_defrag = "madvise";
  k.numa_balancing = k.zone_reclaim_mode = k.sched_autogroup = 0;
  k.frequencies = {{"intel_pstate", "powersave", "balance_performance"}};
  k.energy_perf_bias = 6;
  k.idle_states = {{"C1", 2, false}, {"C6", 133, true}};
  k.nodes[NodeId{0}] = k.nodes[NodeId{1}] = {128 * kGiB, 100 * kGiB, 5 * kGiB, 2 * kGiB, 1 * kGiB};
  k.smt_control = "on";

  auto& w = s.software;
  w.modules = {"nvidia", "nvidia_peermem"};
  w.programs = {{"irqbalance", "sshd"}};
  w.slurm_conf = "ClusterName=x\nTaskPlugin=task/cgroup,task/affinity\n";
  w.slurm_conf_path = "/etc/slurm/slurm.conf";
  w.gres_conf = "NodeName=n[1-4] Name=gpu File=/dev/nvidia[0-3] Cores=0-11\nNodeName=n[1-4] Name=gpu File=/dev/nvidia[4-7] Cores=12-23\n";
  w.gres_conf_path = "/etc/slurm/gres.conf";
  w.kubelet_config = "kind: KubeletConfiguration\ncpuManagerPolicy: static\ntopologyManagerPolicy: restricted\n";
  w.kubelet_config_path = "/var/lib/kubelet/config.yaml";
  w.nvidia.kernel_module = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15";
  w.nvidia.cuda_version = 12040;
  w.nvidia.toolkit_version = "12.6.1";
  return s;
}

Subject& job(Setup& s) { return s.subjects[0]; }
void set_mask(Setup& s, const char* list) {
  for (auto& t : job(s).process.threads) t.allowed_cpus = cpus(list);
}
void set_policy(Setup& s, const char* policy) { job(s).process.memory->policy = policy; }
void make_shell(Setup& s) { job(s).kind = Subject::Kind::kShell; }

struct Case {
  const char* id;
  Severity severity;
  const char* says;  ///< in what is found
  Change breaks;
  Change other = {};  ///< of the setup that is well
};

const Case kCases[] = {
    // ---- topology ----
    {"numa-hidden", Severity::kProblem, "numa=off",
     [](Setup& s) {
       auto& m = s.system.machine;
       m.nodes.resize(1);
       m.nodes[0].cpus = {cpus("0-47"), Source::kSysfs};
       s.kernel.command_line = "root=/dev/sda1 numa=off";
     }},
    {"node-distances", Severity::kWarning, "distance to node 1 is 10",
     [](Setup& s) { for (auto& n : s.system.machine.nodes) n.distances = {{{0, 10}, {1, 10}}, Source::kSysfs}; }},
    {"node-without-memory", Severity::kWarning, "no memory", [](Setup& s) { s.system.machine.nodes[1].memory_total_bytes = {0, Source::kSysfs}; }},
    {"node-without-cpus", Severity::kNote, "cxl",
     [](Setup& s) {
       NumaNode n;
       n.id = NodeId{2};
       n.cpus = {CpuSet(), Source::kSysfs};
       n.memory_total_bytes = {kGiB, Source::kSysfs};
       n.kind = {MemoryKind::kCxl, Source::kSysfs};
       s.system.machine.nodes.push_back(n);
     }},
    {"gpu-memory-nodes", Severity::kNote, "own memory",
     [](Setup& s) {
       NumaNode n;
       n.id = NodeId{2};
       n.cpus = {CpuSet(), Source::kSysfs};
       n.kind = {MemoryKind::kGpu, Source::kSysfs};
       s.system.machine.nodes.push_back(n);
     }},
    {"split-sockets", Severity::kNote, "nodes 0-1", [](Setup& s) { s.system.machine = made_machine({.nodes = 4, .cores_per_node = 6, .nodes_per_package = 2, .gpus_per_node = 2}); }},
    {"offline-cpus", Severity::kWarning, "46-47", [](Setup& s) { s.system.machine.offline = {cpus("46-47"), Source::kSysfs}; }},
    {"smt-numbering", Severity::kNote, "side by side",
     [](Setup& s) {
       int i = 0;
       for (auto& core : s.system.machine.cores) core.cpus = CpuSet::range(i, i + 1), i += 2;
     }},
    {"gpu-node-unknown", Severity::kWarning, "numa_node", [](Setup& s) { s.system.machine.gpus[3].numa_nodes = {}; }},
    {"sources-disagree", Severity::kWarning, "1 (nvml)", [](Setup& s) { s.system.disagreements = {{"gpu 0000:10:00.0 numa_nodes", "0 (sysfs)", "1 (nvml)"}}; },
     [](Setup& s) { s.system.disagreements = {{"gpu 0000:10:00.0 model", "A (sysfs)", "B (nvml)"}}; }},
    {"gpu-spread", Severity::kNote, "6 on socket 0", [](Setup& s) { for (int g = 4; g < 6; ++g) s.system.machine.gpus[static_cast<std::size_t>(g)].numa_nodes = {NodeSet{0}, Source::kSysfs}; }},
    {"no-near-cpu", Severity::kWarning, "12-23", [](Setup& s) { set_mask(s, "12-23"), make_shell(s); }, [](Setup& s) { set_mask(s, "11-23"), make_shell(s); }},

    // ---- binding ----
    {"gpu-other-node", Severity::kProblem, "cpus on node 1, GPU 0 on node 0", [](Setup& s) { set_mask(s, kNode1); }},
    {"job-unbound", Severity::kWarning, "free to migrate", [](Setup& s) { set_mask(s, "0-47"); }, [](Setup& s) { set_mask(s, "0-47"), make_shell(s); }},
    {"cpus-only", Severity::kWarning, "no memory policy", [](Setup& s) { set_policy(s, "default"), make_shell(s); },
     [](Setup& s) { set_policy(s, "default"), make_shell(s), job(s).process.allowed_mems = {1}; }},
    {"memory-only", Severity::kWarning, "CPUs also on node 1", [](Setup& s) { set_policy(s, "bind:0"), set_mask(s, "0-47"); }, [](Setup& s) { set_policy(s, "bind:0"); }},
    {"interleave-gpu", Severity::kWarning, "interleave:0-1", [](Setup& s) { set_policy(s, "interleave:0-1"); },
     [](Setup& s) { set_policy(s, "interleave:0-1"), job(s).gpus.clear(); }},
    {"strict-memory", Severity::kWarning, "has needed",
     [](Setup& s) { set_policy(s, "bind=static:0"), job(s).peak_bytes = 120 * kGiB; },
     [](Setup& s) {
       set_policy(s, "bind:0"), job(s).peak_bytes = 120 * kGiB;
       job(s).process.memory->anon[0] = job(s).process.memory->private_[0] = 40 * kGiB;
     }},
    {"cpuset-mems", Severity::kProblem, "allows node 1", [](Setup& s) { job(s).process.allowed_mems = {1}; }},
    {"mempolicy-refused", Severity::kWarning, "seccomp", [](Setup& s) { job(s).policy_error = EPERM; }},
    {"narrow-mask", Severity::kWarning, "Slurm (job 17)", [](Setup& s) { s.system.machine = made_machine({.cores_per_node = 32}), set_mask(s, "5,69"), job(s).env = Environment{{"SLURM_JOB_ID", "17"}}; },
     [](Setup& s) { s.system.machine = made_machine({.cores_per_node = 32}), set_mask(s, "0-7"); }},
    {"container-cpuset", Severity::kWarning, "without a fitting cpuset", [](Setup& s) { job(s).in_container = true, set_mask(s, "0-47"); }, [](Setup& s) { job(s).in_container = true; }},
    {"smt-as-cores", Severity::kWarning, "are 12 cores", [](Setup& s) { (*job(s).env)["OMP_NUM_THREADS"] = "24"; }},
    {"openmp", Severity::kProblem, "not allowed", [](Setup& s) { (*job(s).env)["GOMP_CPU_AFFINITY"] = "12-15 20"; }, [](Setup& s) { (*job(s).env)["KMP_AFFINITY"] = "disabled"; }},
    {"shared-cores", Severity::kProblem, "CPUs 2,26", [](Setup& s) { s.gpu_jobs[1].process = process(200, cpus("2-4,26-28")); },
     [](Setup& s) { for (auto& j : s.gpu_jobs) j.process = process(j.process.pid, cpus(kNode0)); }},
    {"visible-devices", Severity::kWarning, "set but empty", [](Setup& s) { (*job(s).env)["CUDA_VISIBLE_DEVICES"] = ""; }},

    // ---- kernel ----
    {"numa-balancing", Severity::kWarning, "= 1", [](Setup& s) { s.kernel.numa_balancing = 1; }},
    {"zone-reclaim", Severity::kWarning, "= 3", [](Setup& s) { s.kernel.zone_reclaim_mode = 3; }},
    {"thp", Severity::kNote, "switched off", [](Setup& s) { s.kernel.thp_enabled = "never"; }},
    {"thp-defrag", Severity::kWarning, "always", [](Setup& s) { s.kernel.thp_defrag = "always"; }, [](Setup& s) { s.kernel.thp_defrag = "always", s.kernel.thp_enabled = "never"; }},
    {"page-cache", Severity::kWarning, "page cache", [](Setup& s) { s.kernel.nodes[NodeId{0}].free = 3 * kGiB, s.kernel.nodes[NodeId{0}].clean_cache = 90 * kGiB; }},
    {"hugepages", Severity::kWarning, "nobody uses", [](Setup& s) { s.kernel.nodes[NodeId{1}].huge = s.kernel.nodes[NodeId{1}].huge_free = 64 * kGiB; }},
    {"governor", Severity::kWarning, "powersave", [](Setup& s) { s.kernel.frequencies = {{"acpi-cpufreq", "powersave", ""}}; }},
    {"energy-bias", Severity::kWarning, "balance_power", [](Setup& s) { s.kernel.frequencies[0].energy_preference = "balance_power"; }},
    {"idle-states", Severity::kNote, "C6", [](Setup& s) { s.kernel.idle_states[1].disabled = false; }},
    {"autogroup", Severity::kNote, "= 1", [](Setup& s) { s.kernel.sched_autogroup = 1; }},
    {"iommu", Severity::kWarning, "translates", [](Setup& s) { for (auto& gpu : s.system.machine.gpus) s.pci[*gpu.address].iommu_domain = "DMA-FQ"; },
     [](Setup& s) {
       for (auto& gpu : s.system.machine.gpus) s.pci[*gpu.address].iommu_domain = "DMA-FQ";
       for (auto& d : s.system.machine.pci) if (!d.driver.empty()) d.class_code = 0x030000;
     }},
    {"locked-memory", Severity::kWarning, "ulimit -l is 8 MiB", [](Setup& s) { job(s).locked_limit_bytes = 8 << 20; },
     [](Setup& s) { job(s).locked_limit_bytes = 8 << 20, s.system.machine.nics[0].infiniband = false; }},
    {"irq-node", Severity::kWarning, "mlx5_0", [](Setup& s) { s.pci[*s.system.machine.nics[0].address].irqs = {{40, cpus("12")}, {41, cpus("13")}}; },
     [](Setup& s) { s.pci[*s.system.machine.nics[0].address].irqs = {{40, cpus("12")}, {41, cpus("4")}}; }},
    {"irqbalance", Severity::kNote, "CPU 0", [](Setup& s) { s.software.programs = {{"sshd"}}, s.pci[*s.system.machine.nics[0].address].irqs = {{40, cpus("0")}, {41, cpus("0")}}; },
     [](Setup& s) { s.software.programs = {{"sshd"}}; }},

    // ---- PCIe ----
    {"pcie-link", Severity::kWarning, "x8 of x16 lanes", [](Setup& s) { for (auto& d : s.system.machine.pci) if (d.address.bus == 0x0e) d.link = {{16.0, 8}, Source::kSysfs}; },
     [](Setup& s) { for (auto& d : s.system.machine.pci) if (d.address.bus == 0x0e) d.link = d.link_max = {{32.0, 16}, Source::kSysfs}; }},
    {"nvlink", Severity::kWarning, "GPU 3", [](Setup& s) { for (auto& l : s.system.machine.links) if (l.kind == LinkKind::kNvlink && (l.from.index == 3 || l.to.index == 3)) l.count = 10; }},
    {"acs", Severity::kWarning, "0000:0e:00.0", [](Setup& s) { s.pci[*PciAddress::parse("0000:0e:00.0")].acs_control = 0x1d; }},
    {"bar-size", Severity::kNote, "256 MiB of its 80", [](Setup& s) { s.pci[*s.system.machine.gpus[2].address].bar_bytes = 256 << 20; }},
    {"nic-pairing", Severity::kNote, "GPUs 4-7", [](Setup& s) { for (auto& l : s.system.machine.links) if (l.kind == LinkKind::kPhb) l.kind = LinkKind::kSys; }},
    {"peermem", Severity::kWarning, "not loaded", [](Setup& s) { s.software.modules = {"nvidia"}; },
     [](Setup& s) { s.software.modules = {"nvidia"}, s.software.nvidia.kernel_module = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82"; }},

    // ---- software ----
    {"gpu-driver", Severity::kProblem, "nouveau", [](Setup& s) { for (auto& d : s.system.machine.pci) if (!d.driver.empty()) d.driver = "nouveau"; }},
    {"driver-library", Severity::kProblem, "mismatch", [](Setup& s) { s.software.nvidia.library_error = "start libnvidia-ml.so.1: Driver/library version mismatch"; }},
    {"cuda-toolkit", Severity::kWarning, "13.0", [](Setup& s) { s.software.nvidia.toolkit_version = "13.0.1"; }},
    {"persistence", Severity::kNote, "off", [](Setup& s) { s.software.nvidia.persistence[1] = false; }},
    {"mig", Severity::kProblem, "no instance", [](Setup& s) { s.software.nvidia.mig[5] = {true, true}; },
     [](Setup& s) { s.software.nvidia.mig[5] = {true, true}, s.system.machine.gpus[5].mig = {{"MIG-1", 1, 0, "1g.10gb", {}}}; }},
    {"gpu-partitions", Severity::kNote, "in 8 parts", [](Setup& s) { for (auto& gpu : s.system.machine.gpus) gpu.address = PciAddress::parse("0000:10:00.0"), gpu.partition = gpu.index; }},
    {"numad", Severity::kWarning, "rebinds", [](Setup& s) { s.software.programs->push_back("numad"); }},
    {"slurm-task-plugin", Severity::kWarning, "task/cgroup", [](Setup& s) { s.software.slurm_conf = "taskplugin = task/cgroup # affinity\n"; }},
    {"slurm-gres", Severity::kProblem, "Cores=0-11, and GPUs 4-7 are on node 1", [](Setup& s) { s.software.gres_conf = "Name=gpu File=/dev/nvidia[0-3] Cores=0-11\nName=gpu Cores=0-11 File=/dev/nvidia[4-7]\n"; },
     [](Setup& s) { s.software.gres_conf = "AutoDetect=nvml\nName=gpu File=/dev/nvidia[0-7] Cores=0\n"; }},
    {"kubelet-cpus", Severity::kWarning, "none", [](Setup& s) { s.software.kubelet_config = "kind: KubeletConfiguration\n"; },
     [](Setup& s) { s.software.kubelet_config = "{\n  \"cpuManagerPolicy\": \"static\",\n  \"maxPods\": 110\n}\n"; }},
    {"kubelet-topology", Severity::kWarning, "none", [](Setup& s) { s.software.kubelet_config = "topologyManagerPolicy: none  # as it comes\n"; },
     [](Setup& s) { s.software.kubelet_config = "", s.software.kubelet_command = "/usr/bin/kubelet --topology-manager-policy=restricted"; }},

    // ---- framework ----
    {"dataloader-workers", Severity::kWarning, "16 workers on 4 CPUs",
     [](Setup& s) { job(s).children.assign(16, process(101, cpus("0-3"))); }},
    {"dataloader-pinned", Severity::kWarning, "no thread that pins", [](Setup& s) { job(s).process.threads.pop_back(); }},
};

class EveryCheck : public testing::TestWithParam<Case> {};

TEST_P(EveryCheck, FiresWhereItShould) {
  const auto& c = GetParam();
  const auto* check = find_check(c.id);
  ASSERT_NE(check, nullptr);
  auto setup = well();
  c.breaks(setup);
  const auto result = run_check(*check, setup);
  ASSERT_EQ(result.state, State::kFound) << result.line;
  EXPECT_EQ(result.findings.front().severity, c.severity);
  EXPECT_THAT(result.line, testing::HasSubstr(c.says));
  for (const auto& f : result.findings) {
    EXPECT_FALSE(f.is.empty());
    EXPECT_FALSE(f.should.empty());
    EXPECT_EQ(f.mend.empty(), f.severity == Severity::kNote && f.undo.empty()) << "a note may go without, others say what to do";
    EXPECT_TRUE(f.mend.empty() || f.mend.starts_with('#') || !f.undo.empty()) << "what is typed can be taken back: " << f.mend;
    EXPECT_LE(f.severity, check->severity);
  }
}

TEST_P(EveryCheck, IsSilentOnASetupThatIsWell) {
  const auto& c = GetParam();
  auto setup = well();
  EXPECT_NE(run_check(*find_check(c.id), setup).state, State::kFound) << run_check(*find_check(c.id), setup).line;
  if (!c.other) return;
  c.other(setup);
  const auto result = run_check(*find_check(c.id), setup);
  EXPECT_NE(result.state, State::kFound) << result.line;
}

// Silence where nothing is known: an empty setup has no facts at all, a bare machine none but its shape.
TEST_P(EveryCheck, IsSilentWhereFactsAreAbsent) {
  EXPECT_NE(run_check(*find_check(GetParam().id), numapin::Setup{}).state, State::kFound);
  numapin::Setup bare;  // gtest has a Setup of its own
  bare.system.machine = made_machine();
  EXPECT_NE(run_check(*find_check(GetParam().id), bare).state, State::kFound);
  bare.subjects.resize(1);
  bare.subjects[0].gpus = {0};
  bare.subjects[0].means_gpus = true;
  EXPECT_NE(run_check(*find_check(GetParam().id), bare).state, State::kFound);
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.id;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Checks, EveryCheck, testing::ValuesIn(kCases), name_of);

TEST(CheckTable, HasACaseForEveryIdAndNoIdTwice) {
  std::set<std::string_view> ids, cases;
  for (const auto& check : checks()) {
    EXPECT_TRUE(ids.insert(check.id).second) << check.id;
    EXPECT_FALSE(check.title.empty() || check.cost.empty() || check.explanation.empty()) << check.id;
  }
  for (const auto& c : kCases) cases.insert(c.id);
  EXPECT_EQ(ids, cases);
}

// All checks at once on the setup that is well: facts that one check needs must not set another off.
TEST(CheckTable, FindsNothingOnASetupThatIsWell) {
  const auto list = examine(well());
  ASSERT_TRUE(list);
  for (const auto& [check, result] : *list) {
    EXPECT_NE(result.state, State::kFound) << check->id << ": " << result.line;
    EXPECT_NE(result.state, State::kUnknown) << check->id << ": " << result.line;
  }
}

TEST(CheckTable, KnowsOnARecordedMachineOnlyWhatTheMachineTells) {
  auto setup = well();
  setup.recorded = true;
  setup.kernel.numa_balancing = 1;
  EXPECT_EQ(run_check(*find_check("numa-balancing"), setup).state, State::kUnknown);
  EXPECT_EQ(run_check(*find_check("pcie-link"), setup).state, State::kFine);
}

TEST(CheckTable, TakesNamesOfChecksAndFamilies) {
  EXPECT_EQ(examine(well(), {"nvlink"})->size(), 1U);
  EXPECT_EQ(examine(well(), {"framework", "nvlink"})->size(), 3U);
  EXPECT_FALSE(examine(well(), {"nvlinks"}));
}

TEST(MendingScript, CommentsWhatIsNoCommandAndUndoesInReverse) {
  auto setup = well();
  setup.kernel.numa_balancing = 1;
  setup.kernel.zone_reclaim_mode = 1;
  (*job(setup).env)["CUDA_VISIBLE_DEVICES"] = "0,99\nrm -rf /\n";
  (*job(setup).env)["KMP_AFFINITY"] = "compact\nrm -rf /\n";
  const auto list = *examine(setup);
  const auto script = mending_script(list, false), undo = mending_script(list, true);
  EXPECT_THAT(script, testing::HasSubstr("\nsysctl -w kernel.numa_balancing=0\n"));
  EXPECT_LT(undo.find("zone_reclaim_mode=1"), undo.find("numa_balancing=1"));
  EXPECT_THAT(undo, testing::HasSubstr("CUDA_VISIBLE_DEVICES")) << "the value is in it";
  for (const auto& text : {script, undo}) EXPECT_THAT(text, testing::Not(testing::HasSubstr("\nrm -rf /"))) << text;
}

// A script has a shell of its own, and a process its own environment: neither is changed by an export that runs there.
TEST(MendingScript, SetsVariablesWhereThatHasAnEffectOnly) {
  auto setup = well();
  (*job(setup).env)["OMP_NUM_THREADS"] = "48";
  const auto mend = [&] { return run_check(*find_check("openmp"), setup).findings.front().mend; };
  EXPECT_EQ(mend(), "# in what starts it: export OMP_NUM_THREADS=24");
  make_shell(setup);
  EXPECT_EQ(mend(), "export OMP_NUM_THREADS=24");
  EXPECT_THAT(mending_script(*examine(setup, {"openmp"}), false), testing::HasSubstr("\n# in the shell that starts jobs: export OMP_NUM_THREADS=24\n"));
}

TEST(IrqNode, PutsTheWholeMaskBack) {
  auto setup = well();
  auto& facts = setup.pci[*setup.system.machine.nics[0].address];
  facts.irqs = {{40, cpus("12")}};
  facts.irq_masks = {{40, cpus("0-47")}};
  const auto f = run_check(*find_check("irq-node"), setup).findings.front();
  EXPECT_EQ(f.mend, "# irqbalance may move them again: exclude them by its --banirq\necho 0-11,24-35 >/proc/irq/40/smp_affinity_list");
  EXPECT_EQ(f.undo, "echo 0-47 >/proc/irq/40/smp_affinity_list");
}

TEST(Governor, LeavesClockDomainsAloneThatAreWell) {
  auto setup = well();
  setup.kernel.frequencies = {{"acpi-cpufreq", "performance", "", 0}, {"acpi-cpufreq", "powersave", "", 1}, {"acpi-cpufreq", "powersave", "", 2}, {"acpi-cpufreq", "powersave", "", 7}};
  const auto f = run_check(*find_check("governor"), setup).findings.front();
  EXPECT_EQ(f.mend, "for i in $(seq 1 2) 7; do echo performance >\"/sys/devices/system/cpu/cpufreq/policy$i/scaling_governor\"; done");
  EXPECT_EQ(f.undo, "for i in $(seq 1 2) 7; do echo powersave >\"/sys/devices/system/cpu/cpufreq/policy$i/scaling_governor\"; done");
}

// Node 1 has CPUs and no memory: which node the GPU is near decides over CPUs all the same.
TEST(GpuNodeUnknown, MattersBesideANodeWithoutMemory) {
  auto setup = well();
  setup.system.machine.nodes[1].memory_total_bytes = {0, Source::kSysfs};
  for (auto& gpu : setup.system.machine.gpus) gpu.numa_nodes = {};
  EXPECT_EQ(run_check(*find_check("gpu-node-unknown"), setup).state, State::kFound);
}

// nvidia-smi counts NVIDIA's GPUs only: GPU 1 here may be its 0.
TEST(Persistence, NamesGpusByTheirAddress) {
  auto setup = well();
  setup.software.nvidia.persistence[1] = false;
  const auto f = run_check(*find_check("persistence"), setup).findings.front();
  EXPECT_EQ(f.mend, "nvidia-smi -i " + setup.system.machine.gpus[1].address->to_string() + " -pm 1");
}

/// GPU 0 and the port above it as an Intel card's: 2.5 GT/s x1, both made up; the card's own port is 0000:0d:00.0.
void make_intel_card(Setup& s, int width_of_card) {
  for (auto& d : s.system.machine.pci) {
    const bool gpu = d.address == *s.system.machine.gpus[0].address;
    if (gpu || d.address == *PciAddress::parse("0000:0e:00.0")) d.vendor = 0x8086, d.link = d.link_max = {{2.5, 1}, Source::kSysfs};
    if (d.address == *PciAddress::parse("0000:0d:00.0")) d.vendor = 0x8086, d.link = {{16.0, width_of_card}, Source::kSysfs};
  }
  std::erase_if(s.system.machine.gpus, [](const Gpu& g) { return g.index > 0; });
}

TEST(PcieLink, LooksAtTheCardOfAnIntelGpu) {
  auto setup = well();
  make_intel_card(setup, 16);
  EXPECT_EQ(run_check(*find_check("pcie-link"), setup).state, State::kFine);
  make_intel_card(setup, 8);
  EXPECT_THAT(run_check(*find_check("pcie-link"), setup).line, testing::HasSubstr("x8 of x16 lanes, at 0000:0d:00.0"));
}

TEST(PcieLink, CallsASlowIdleLinkUnknown) {
  auto setup = well();
  for (auto& d : setup.system.machine.pci) d.link = {{2.5, 16}, Source::kSysfs};
  const auto result = run_check(*find_check("pcie-link"), setup);
  EXPECT_EQ(result.state, State::kUnknown);
  EXPECT_THAT(result.line, testing::HasSubstr("2.5 of 16 GT/s"));
}

TEST(PcieLink, BelievesWhatWasMeasuredUnderLoad) {
  auto setup = well();
  for (auto& d : setup.system.machine.pci) d.link = {{2.5, 16}, Source::kSysfs};
  Measurement copy;
  copy.metric = Metric::kHostToDevice;
  copy.gpu = 0;
  copy.memory_node = setup.system.machine.gpus[0].numa_nodes->first();
  copy.samples = {26};
  copy.ceiling = 27.7;
  copy.ceiling_from = "PCIe Gen4 x16";
  auto& m = setup.measured.emplace();
  m.measurements = {copy};
  m.gpus = {{0, setup.system.machine.gpus[0].address, "", {*copy.memory_node}}};
  EXPECT_EQ(run_check(*find_check("pcie-link"), setup).state, State::kFine);
  m.measurements[0].samples = {6.5};
  m.measurements.push_back(m.measurements[0]);
  m.measurements[1].metric = Metric::kDeviceToHost;
  m.measurements[1].samples = {3.1};
  const auto result = run_check(*find_check("pcie-link"), setup);
  ASSERT_EQ(result.findings.size(), 1u) << "one for a GPU";
  EXPECT_EQ(result.findings[0].is, "copies from it get 3.1 GB/s, as measured: 11 % of what the link allows");
  EXPECT_EQ(result.findings[0].should, "near 27.7 GB/s: PCIe Gen4 x16");
  m.measurements[0].memory_node = m.measurements[1].memory_node = NodeId{7};  // not near: the way between nodes may be slow
  EXPECT_EQ(run_check(*find_check("pcie-link"), setup).state, State::kFine);
}

TEST(PcieLink, PassesOverPortsThatAHypervisorMakesUp) {
  auto setup = well();
  for (auto& d : setup.system.machine.pci) {
    if (d.vendor != 0x1000) continue;
    d.vendor = 0x1b36;
    d.link = d.link_max = {{2.5, 1}, Source::kSysfs};
  }
  EXPECT_EQ(run_check(*find_check("pcie-link"), setup).state, State::kFine);
}

TEST(Nvlink, LeavesBridgedPairsBesideSingleCardsAlone) {
  auto setup = well();
  std::erase_if(setup.system.machine.links, [](const Link& l) { return l.kind == LinkKind::kNvlink && (l.from.index > 3 || l.to.index > 3 || l.from.index / 2 != l.to.index / 2); });
  EXPECT_EQ(run_check(*find_check("nvlink"), setup).state, State::kFine);
}

TEST(NarrowMask, NamesWhoMayHaveDoneIt) {
  auto setup = well();
  setup.system.machine = made_machine({.cores_per_node = 32});
  set_mask(setup, "5");
  const auto line = [&](Environment env, const char* cgroup) {
    job(setup).env = std::move(env);
    job(setup).cgroup = cgroup;
    return run_check(*find_check("narrow-mask"), setup).line;
  };
  EXPECT_THAT(line({{"OMPI_COMM_WORLD_RANK", "3"}}, ""), testing::HasSubstr("mpirun"));
  EXPECT_THAT(line({}, "/kubepods.slice/pod1"), testing::HasSubstr("Kubernetes"));
  EXPECT_THAT(line({}, ("/docker/" + std::string(64, 'a')).c_str()), testing::HasSubstr("the cpuset of docker container aaaaaaaaaaaa"));
  EXPECT_THAT(line({{"TORCHELASTIC_RUN_ID", "x"}}, ""), testing::HasSubstr("torchrun"));
  EXPECT_THAT(line({{"OMP_PROC_BIND", "close"}}, ""), testing::HasSubstr("OpenMP"));
  EXPECT_THAT(line({}, ""), testing::HasSubstr("taskset"));
}

TEST(SlurmConf, CountsCoresByTheFirstCpusOfSockets) {
  auto m = made_machine();
  std::swap(m.nodes[0].cpus, m.nodes[1].cpus);  // node 0 has the CPUs of the second socket
  for (auto& core : m.cores) core.node = NodeId{1 - number(*core.node)};
  EXPECT_EQ(slurm_cores(m, {0}).to_list(), "12-23");
  m = made_machine();  // and with sockets by turns: CPUs 0, 2, ... and 1, 3, ...
  for (auto& p : m.packages) p.cpus = CpuSet();
  for (std::size_t i = 0; i < m.cores.size(); ++i) {
    m.cores[i].cpus = {static_cast<int>(i)};
    m.cores[i].package = static_cast<int>(i % 2);
    m.cores[i].node = NodeId{static_cast<int>(i % 2)};
    m.packages[i % 2].cpus |= m.cores[i].cpus;
  }
  for (auto& n : m.nodes) n.cpus = {m.packages[static_cast<std::size_t>(number(n.id))].cpus, Source::kSysfs};
  EXPECT_EQ(slurm_cores(m, {1}).to_list(), "12-23");
}

TEST(SlurmConf, ReadsHostListsAndFiles) {
  EXPECT_TRUE(doctor::names_host("a,n[1-4,7]", "n7.cluster"));
  EXPECT_FALSE(doctor::names_host("n[1-4,7]", "n5"));
  EXPECT_FALSE(doctor::names_host("n[01-12]", "n3"));
  EXPECT_TRUE(doctor::names_host("n[01-12]", "n03"));
  const auto lines = doctor::gres_lines("# Name=gpu File=/dev/nvidia9\nNodeName=m1 Name=gpu File=/dev/nvidia8\nName=gpu Type=a100 File=/dev/nvidia[0,2-3] Cores=0-5 # old\nName=nic File=/dev/x\n", "n1");
  ASSERT_EQ(lines.gpus.size(), 1U);
  EXPECT_THAT(lines.gpus[0].files, testing::ElementsAre("/dev/nvidia0", "/dev/nvidia2", "/dev/nvidia3"));
  EXPECT_EQ(lines.gpus[0].cores->to_list(), "0-5");
  EXPECT_EQ(doctor::conf_value("TaskPlugin=a\ntaskplugin = b\n", "TaskPlugin"), "b");
  EXPECT_EQ(doctor::conf_value("ClusterName=c TaskPlugin=a SlurmdParameters=\"x y\" Z=1 # TaskPlugin=no\n", "SlurmdParameters"), "x y");
  EXPECT_EQ(doctor::conf_value("NodeName=a \\\n  CPUs=4 \\\n  Gres=gpu:2\n", "gres"), "gpu:2");
  for (const char* odd : {"=", "a", "a=\"", "\\", "a=b=c", "= =", "\\#=1"}) (void)doctor::conf_lines(odd);
}

TEST(SlurmConf, ANodesLineHasItsDefaults) {
  const auto text = "NodeName=DEFAULT CPUs=8 Sockets=2\nNodeName=n[1-2] Sockets=1\nNodeName=n3\n";
  EXPECT_EQ(doctor::node_conf(text, "n2")->value("sockets"), "1");
  EXPECT_EQ(doctor::node_conf(text, "n3.cluster")->value("CPUs"), "8");
  EXPECT_EQ(doctor::node_conf(text, "n4"), std::nullopt);
}

}  // namespace
}  // namespace numapin
