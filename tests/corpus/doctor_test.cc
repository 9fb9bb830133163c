// doctor on every machine of the corpus: a finding that is not in the list below was not explained by anybody, and one
// that is in the list and does not come was lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "corpus.h"
#include "numapin/doctor.h"
#include "numapin/sources.h"

namespace numapin::test {
namespace {

struct Explained {
  std::string check;
  Severity severity;
  std::string why;  ///< true of these machines, by their descriptions
  std::set<std::string> machines;
};

const Explained kExplained[] = {
    {"gpu-partitions", Severity::kNote, "MI308 in CPX; the parsing sample repeats one device",
     {"kfd/mi308",
      "kfd/parsing-sample"}},
    {"gpu-spread", Severity::kNote, "two GPUs, both on socket 0",
     {"hwloc-xml/mpibind-cts1-pascal"}},
    {"nic-pairing", Severity::kNote, "all RDMA NICs on one side, or on nodes without GPUs (NPS4, SNC)",
     {"hwloc-xml/fluxcore-corona",
      "hwloc-xml/fluxcore-ipa20",
      "hwloc-xml/fluxsched-corona11",
      "hwloc-xml/mpibind-epyc-corona",
      "hwloc-xml/mpibind-epyc-corona-hwloc1",
      "hwloc-xml/mpibind-epyc-corona-p2",
      "hwloc-xml/mpibind-g4dnmetal",
      "nccl-xml/panlichen-8x3090",
      "nccl-xml/rccl-3p_pcie",
      "nccl-xml/rccl-4p3l_2h",
      "nccl-xml/rccl-4p3l_n4",
      "nccl-xml/rccl-8p_940vm",
      "nccl-xml/rccl-8p_rome",
      "nccl-xml/rccl-8p_rome_n2",
      "nccl-xml/rccl-8p_rome_n4",
      "nccl-xml/rccl-8p_ts1",
      "nccl-xml/rccl-8p_ts1_n4",
      "nccl-xml/rwkv-2x4090-nps4-short-mask",
      "nvidia-smi-topo/a100-4gpu-one-core-cpuset-0-3",
      "nvidia-smi-topo/adroit-a100-pcie-odd-even",
      "nvidia-smi-topo/ansi-underline-2gpu-2nic-pod",
      "nvidia-smi-topo/della-i16g1-a100-sxm",
      "nvidia-smi-topo/grep-prefixed-comment",
      "nvidia-smi-topo/l40-4gpu-512cpu",
      "nvidia-smi-topo/p40-8gpu-one-socket-soc",
      "nvidia-smi-topo/polaris-lead-tab-lost",
      "nvidia-smi-topo/polaris-markdown-table",
      "nvidia-smi-topo/tf-gdr-4gpu-mlx4-soc",
      "nvidia-smi-topo/traverse-power9-v100-1gpu-job",
      "nvidia-smi-topo/v100-sxm2-8gpu-nic0",
      "nvidia-smi-topo/vllm-indent4-lead-tab-lost"}},
    {"node-distances", Severity::kNote, "a made-up machine with a distance table that differs in the two directions",
     {"sysfs/hwloc-fake-hetero-numa"}},
    {"gpu-memory-nodes", Severity::kNote, "POWER9's V100 over NVLink: nodes 255 and down",
     {"hwloc-xml/fluxsched-butte",
      "hwloc-xml/fluxsched-sierra-0",
      "hwloc-xml/mpibind-coral-lassen-hwloc1",
      "lscpu/traverse-power9-6nodes"}},
    {"node-without-cpus", Severity::kNote, "Grace's GPU memory (its CPU unnamed), HBM, CXL, Optane, hot-plugged memory, nodes outside the recorder's cpuset",
     {"hwloc-xml/hwloc-16amd64-8n2c-cpusets",
      "hwloc-xml/hwloc-8ia64-2n2s2c_1n-v1",
      "hwloc-xml/pmix-nvml-4gpu",
      "numactl-hardware/aurora-spr-hbm-flat-4nodes",
      "numactl-hardware/cxl-3nodes-realigned-table",
      "numactl-hardware/gb200-34nodes-elided",
      "numactl-hardware/gh200-9nodes-wrapped",
      "numactl-hardware/knl-quad-flat-2nodes",
      "numactl-hardware/kvm-hotplug-memory-4nodes",
      "numactl-hardware/pmem-3nodes",
      "sysfs/hwloc-fake-hetero-numa",
      "sysfs/hwloc-fakeknl-snc4-hybrid",
      "sysfs/hwloc-qemu-initiators",
      "sysfs/hwloc-qemu-memory-tiers",
      "sysfs/nri-2s-snc2-pmem",
      "sysfs/nri-2s-snc2-pmem-8n"}},
    {"node-without-memory", Severity::kWarning, "EPYC 7401 with modules on two of eight dies",
     {"numactl-hardware/epyc7401-memoryless-nodes-quoted"}},
    {"offline-cpus", Severity::kWarning, "CPUs offline in the recording",
     {"sysfs/hwloc-opteron-8n-cpusets",
      "sysfs/hwloc-xeon-4s-offline-cpus"}},
    {"offline-cpus", Severity::kNote, "lscpu of a POWER8 with SMT off",
     {"lscpu/geopm-power8-smt-off-hex"}},
    {"smt-numbering", Severity::kNote, "POWER, s390, hybrid desktops, most virtual machines",
     {"hwloc-xml/fluxsched-butte",
      "hwloc-xml/fluxsched-lassen",
      "hwloc-xml/fluxsched-sierra-0",
      "hwloc-xml/mpibind-coral-ea-hwloc1",
      "hwloc-xml/mpibind-coral-lassen",
      "hwloc-xml/mpibind-coral-lassen-hwloc1",
      "hwloc-xml/pmix-summit-h17n08",
      "lscpu-extended/Intel_i9_12900H",
      "lscpu-extended/Intel_i9_13900H",
      "sysfs/ghw-s390x",
      "sysfs/hwloc-fake-hetero-numa",
      "sysfs/hwloc-qemu-dies-16n",
      "sysfs/utillinux-ppc64-POWER7",
      "sysfs/utillinux-ppc64-POWER7-64cpu",
      "sysfs/utillinux-rv64-linux",
      "sysfs/utillinux-vmware_fpe"}},
    {"split-sockets", Severity::kNote, "NPS4 and NPS2 (EPYC), SNC",
     {"hwloc-xml/fluxcore-ipa20",
      "hwloc-xml/fluxsched-chimera",
      "hwloc-xml/fluxsched-corona11",
      "hwloc-xml/mpibind-epyc-corona",
      "hwloc-xml/mpibind-epyc-corona-hwloc1",
      "hwloc-xml/prrte-turin-4gpu",
      "hwloc-xml/prrte-turin-4gpu-nvml"}},
};

using Found = std::map<std::string, Severity>;  // check -> worst

Found explained_of(const std::string& machine) {
  Found out;
  for (const auto& e : kExplained)
    if (e.machines.contains(machine)) out[e.check] = e.severity;
  return out;
}

std::vector<CorpusCase> all_cases() {
  std::vector<CorpusCase> all;
  for (const char* kind : {"hwloc-xml", "sysfs", "nccl-xml", "nvidia-smi-topo", "numactl-hardware", "lscpu", "lscpu-extended", "rocm-smi", "lspci", "kfd"})
    for (auto& c : corpus_cases(kind)) all.push_back(c);
  return all;
}

std::string kind_of(const CorpusCase& c) { return c.data.parent_path().filename().string(); }

class DoctorOnCorpus : public testing::TestWithParam<CorpusCase> {};

TEST_P(DoctorOnCorpus, FindsWhatIsExplainedAndNothingElse) {
  numapin::Setup setup;
  setup.recorded = true;
  auto system = open_machine(GetParam().data);
  ASSERT_TRUE(system) << system.error().message;
  setup.system = std::move(*system);
  Found found;
  const auto list = *examine(setup);
  for (const auto& [check, result] : list) {
    if (result.state == CheckResult::State::kFound) found[std::string(check->id)] = result.findings.front().severity;
    // Families that look at the live system have nothing to look at.
    if (!check->on_recordings) {
      EXPECT_EQ(result.state, CheckResult::State::kUnknown) << check->id;
    }
  }
  EXPECT_EQ(found, explained_of(kind_of(GetParam()) + "/" + GetParam().name));
}

std::string name_of(const testing::TestParamInfo<CorpusCase>& info) {
  auto name = kind_of(info.param) + "_" + test_name(info.param);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Corpus, DoctorOnCorpus, testing::ValuesIn(all_cases()), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DoctorOnCorpus);

}  // namespace
}  // namespace numapin::test
