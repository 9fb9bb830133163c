#include "sources/setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sources/container.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

TEST(KernelFacts, AreReadFromWhereTheKernelHasThem) {
  const MapTree tree({{"/proc/cmdline", "root=/dev/sda1 iommu=pt\n"},
                      {"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
                      {"/sys/kernel/mm/transparent_hugepage/defrag", "[always] defer defer+madvise madvise never\n"},
                      {"/proc/sys/kernel/numa_balancing", "1\n"},
                      {"/proc/sys/vm/zone_reclaim_mode", "0\n"},
                      {"/proc/sys/kernel/sched_autogroup_enabled", "1\n"},
                      {"/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n"},
                      {"/sys/devices/system/cpu/cpufreq/policy0/scaling_driver", "intel_pstate\n"},
                      {"/sys/devices/system/cpu/cpufreq/policy0/energy_performance_preference", "balance_power\n"},
                      {"/sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n"},
                      {"/sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0\n"},
                      {"/sys/devices/system/cpu/cpu0/cpuidle/state3/name", "C6\n"},
                      {"/sys/devices/system/cpu/cpu0/cpuidle/state3/latency", "133\n"},
                      {"/sys/devices/system/cpu/cpu0/cpuidle/state3/disable", "1\n"},
                      {"/sys/devices/system/cpu/cpu0/power/energy_perf_bias", "6\n"},
                      {"/sys/devices/system/cpu/smt/control", "on\n"},
                      {"/sys/devices/system/node/node1/meminfo",
                       "Node 1 MemTotal:       1048576 kB\nNode 1 MemFree:          65536 kB\nNode 1 Active(file):    262144 kB\n"
                       "Node 1 Inactive(file):  262144 kB\nNode 1 Dirty:                0 kB\nNode 1 Writeback:            0 kB\n"
                       "Node 1 Mapped:               0 kB\nNode 1 AnonPages:        1024 kB\n"},
                      {"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "3\n"},
                      {"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "1\n"},
                      {"/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "2\n"},
                      {"/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages", "0\n"}});
  const auto k = read_kernel_facts(tree);
  EXPECT_EQ(k.command_line, "root=/dev/sda1 iommu=pt");
  EXPECT_EQ(k.thp_enabled, "madvise");
  EXPECT_EQ(k.thp_defrag, "always");
  EXPECT_EQ(k.numa_balancing, 1);
  EXPECT_EQ(k.zone_reclaim_mode, 0);
  EXPECT_EQ(k.sched_autogroup, 1);
  EXPECT_EQ(k.frequencies, (std::vector<CpuFrequency>{{"intel_pstate", "powersave", "balance_power", 0}}));
  EXPECT_EQ(k.idle_states, (std::vector<IdleState>{{"POLL", 0, false, 0}, {"C6", 133, true, 3}}));
  EXPECT_EQ(k.energy_perf_bias, 6);
  EXPECT_EQ(k.smt_control, "on");
  constexpr std::uint64_t kMiB = 1 << 20;
  EXPECT_EQ(k.nodes.at(NodeId{1}), (NodeUse{1024 * kMiB, 64 * kMiB, 512 * kMiB, 2054 * kMiB, 2 * kMiB}));
}

TEST(KernelFacts, AreUnknownWhereNothingIs) { EXPECT_EQ(read_kernel_facts(MapTree()), KernelFacts()); }

TEST(PciFacts, TellDomainRegionsInterruptsAndAcs) {
  Machine m;
  PciDevice port, card;
  port.address = *PciAddress::parse("0000:17:00.0");
  port.class_code = 0x060400;
  card.address = *PciAddress::parse("0000:18:00.0");
  card.parent = port.address;
  m.pci = {port, card};
  Gpu gpu;
  gpu.address = card.address;
  m.gpus = {gpu};
  std::string config(4096, '\0');
  config.replace(0x100, 4, std::string("\x01\x00\x02\x14", 4));  // AER, next at 0x140
  config.replace(0x140, 4, std::string("\x0d\x00\x01\x00", 4));  // ACS, the last
  config.replace(0x146, 2, std::string("\x1d\x00", 2));
  MapTree tree;
  const std::string dir = "/sys/bus/pci/devices/0000:18:00.0";
  tree.add_link(dir + "/iommu_group", "/sys/kernel/iommu_groups/41");
  tree.add_file("/sys/kernel/iommu_groups/41/type", "DMA-FQ\n");
  tree.add_file(dir + "/resource",
                "0x00000000fb000000 0x00000000fbffffff 0x0000000000040200\n0x0000020000000000 0x0000021fffffffff 0x000000000014220c\n"
                "0x0000000000000000 0x0000000000000000 0x0000000000000000\n0x000000000000f000 0x000000000000f07f 0x0000000000040101\n");
  tree.add_dir(dir + "/msi_irqs");
  tree.add_file(dir + "/msi_irqs/90", "msix\n");
  tree.add_file("/proc/irq/90/smp_affinity_list", "0-63\n");
  tree.add_file("/proc/irq/90/effective_affinity_list", "7\n");
  tree.add_file("/sys/bus/pci/devices/0000:17:00.0/config", config);
  const auto facts = read_pci_facts(tree, m);
  EXPECT_EQ(facts.at(card.address).iommu_domain, "DMA-FQ");
  EXPECT_EQ(facts.at(card.address).bar_bytes, std::uint64_t{128} << 30);
  EXPECT_EQ(facts.at(card.address).irqs, (std::map<int, CpuSet>{{90, {7}}}));
  EXPECT_EQ(facts.at(card.address).irq_masks, (std::map<int, CpuSet>{{90, CpuSet::range(0, 63)}}));
  EXPECT_TRUE(facts.at(port.address).config_readable);
  EXPECT_EQ(facts.at(port.address).acs_control, 0x1d);
}

TEST(AcsControl, EndsOnChainsThatDoNot) {
  std::string config(4096, '\0');
  EXPECT_EQ(parse_acs_control(config), std::nullopt);
  config.replace(0x100, 4, std::string("\x01\x00\x02\x10", 4));  // points to itself
  EXPECT_EQ(parse_acs_control(config), std::nullopt);
  config.replace(0x100, 4, std::string("\x01\x00\xf2\xff", 4));  // points to the last word
  EXPECT_EQ(parse_acs_control(config), std::nullopt);
  EXPECT_EQ(parse_acs_control(std::string(64, 'x')), std::nullopt) << "what others than root may read";
}

MapTree process_tree_of(const std::string& cgroup) {
  MapTree tree;
  tree.add_file("/proc/7/stat", "7 (python3) S 1 7 7 0 -1 0 0 0 0 0 10 5 0 0 20 0 1 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 2 0 0 0 0 0\n");
  tree.add_file("/proc/7/status", "Name:\tpython3\nPPid:\t1\nUid:\t0\t0\t0\t0\nVmHWM:\t   2048 kB\nCpus_allowed_list:\t0-3\nMems_allowed_list:\t0\n");
  tree.add_file("/proc/7/environ", std::string("A=1\0CUDA_VISIBLE_DEVICES=\0B=x=y\0", 32));
  tree.add_file("/proc/7/limits", "Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         8388608              unlimited            bytes     \n");
  tree.add_file("/proc/7/cgroup", "0::" + cgroup + "\n");
  return tree;
}

TEST(ReadSubject, TellsEnvironmentLimitsAndPeak) {
  const auto s = read_subject(process_tree_of("/user.slice"), 7);
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(*s->env, (Environment{{"A", "1"}, {"B", "x=y"}, {"CUDA_VISIBLE_DEVICES", ""}}));
  EXPECT_EQ(s->locked_limit_bytes, 8U << 20);
  EXPECT_EQ(s->peak_bytes, 2U << 20);
  EXPECT_EQ(s->in_container, false);
}

TEST(ReadSubject, KnowsContainersByTheirCgroup) {
  EXPECT_EQ(read_subject(process_tree_of("/kubepods.slice/kubepods-pod1.slice"), 7)->in_container, true);
  EXPECT_EQ(read_subject(process_tree_of("/system.slice/docker-" + std::string(64, 'a') + ".scope"), 7)->in_container, true);
}

TEST(ReadContainer, FindsTheNamesOfKubernetes) {
  const std::string id(64, 'c');
  auto tree = process_tree_of("/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/" + id);
  tree.add_listing("/var/log/containers", {"other_default_x-" + std::string(64, 'd') + ".log", "job-0_ml_main-" + id + ".log"});
  EXPECT_EQ(describe(*read_container(tree, 7)), "pod ml/job-0, container main (cccccccccccc)");
  EXPECT_EQ(read_slurm_step(tree, 7), std::nullopt);
}

TEST(OwnContainer, IsNamedByWhatItsEngineLeaves) {
  const auto named = [](const MapTree& tree, std::map<std::string, std::string> env) {
    const auto c = read_own_container(tree, env);
    return c ? describe(*c) : "none";
  };
  MapTree hidden, hybrid;
  hidden.add_file("/proc/self/cgroup", "0::/\n");  // a cgroup namespace of its own
  EXPECT_EQ(named(hidden, {}), "none");
  EXPECT_EQ(named(hidden, {{"container", "lxc"}}), "LXC container");
  EXPECT_EQ(named(hidden, {{"container", "oci"}}), "a container");
  hidden.add_file("/.dockerenv", "");
  EXPECT_EQ(named(hidden, {}), "docker container");
  EXPECT_EQ(named(hidden, {{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}), "a pod, container docker");
  hidden.add_file("/run/.containerenv", "");
  EXPECT_EQ(named(hidden, {}), "podman container");
  hybrid.add_file("/proc/self/cgroup", "5:cpuset:/docker/" + std::string(64, 'e') + "\n0::/\n");
  EXPECT_EQ(named(hybrid, {}), "docker container eeeeeeeeeeee");
}

TEST(IsContainer, GoesByFilesUnlessTheKernelsProcessesAreSeen) {
  MapTree tree;
  tree.add_file("/.dockerenv", "");
  EXPECT_TRUE(read_own_container(tree, {}).has_value());
  tree.add_file("/proc/2/comm", "kthreadd\n");
  EXPECT_FALSE(read_own_container(tree, {}).has_value());
  EXPECT_TRUE(read_own_container(tree, {{"container", "podman"}}).has_value());
}

TEST(SoftwareFacts, AreReadFromTheUsualPlaces) {
  MapTree tree({{"/proc/1/comm", "systemd\n"}, {"/proc/2/comm", "kthreadd\n"}, {"/proc/9/comm", "irqbalance\n"},
                {"/etc/slurm/slurm.conf", "TaskPlugin=task/cgroup\n"}, {"/etc/slurm/gres.conf", "AutoDetect=nvml\n"},
                {"/var/lib/kubelet/config.yaml", "cpuManagerPolicy: static\n"},
                {"/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82\nGCC version: 12\n"},
                {"/usr/local/cuda/version.json", "{\n  \"cuda\" : {\n    \"name\" : \"CUDA SDK\",\n    \"version\" : \"12.4.1\"\n  }\n}\n"},
                {"/sys/module/nvidia_peermem/refcnt", "0\n"}});
  const auto s = read_software_facts(tree, {}, nullptr, false, {});
  EXPECT_THAT(*s.programs, testing::Contains("irqbalance"));
  EXPECT_EQ(s.slurm_conf_path, "/etc/slurm/slurm.conf");
  EXPECT_EQ(s.gres_conf, "AutoDetect=nvml\n");
  EXPECT_EQ(s.kubelet_config, "cpuManagerPolicy: static\n");
  EXPECT_EQ(s.nvidia.kernel_module, "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82");
  EXPECT_EQ(s.nvidia.toolkit_version, "12.4.1");
  EXPECT_THAT(s.modules, testing::ElementsAre("nvidia_peermem"));
  EXPECT_EQ(read_software_facts(tree, {}, nullptr, true, {}).programs, std::nullopt) << "in a container others are not seen";
  tree.add_file("/srv/slurm/slurm.conf", "TaskPlugin=task/affinity\n");
  EXPECT_EQ(read_software_facts(tree, {}, nullptr, false, {{"SLURM_CONF", "/srv/slurm/slurm.conf"}}).slurm_conf, "TaskPlugin=task/affinity\n");
}

}  // namespace
}  // namespace numapin
