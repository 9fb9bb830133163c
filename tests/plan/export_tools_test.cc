// Runs what `numapin plan --format ...` writes through the tools it is written for. The machine planned for is this
// machine's allowed CPUs as one node, so that the tools can do what they are told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "numapin/plan_export.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

using testing::HasSubstr;

struct Output {
  int status = -1;
  std::string text;
};

/// Runs shell text by /bin/sh with both streams together.
Output shell(const std::string& script) {
  const auto file = std::filesystem::temp_directory_path() / fmt::format("numapin-export-{}.sh", getpid());
  std::ofstream(file) << script;
  Output out;
  FILE* pipe = popen(("sh " + file.string() + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return out;
  std::array<char, 4096> buffer;
  while (const auto n = std::fread(buffer.data(), 1, buffer.size(), pipe)) out.text.append(buffer.data(), n);
  out.status = pclose(pipe);
  std::filesystem::remove(file);
  return out;
}

bool works(const std::string& command) { return shell(command + " >/dev/null 2>&1").status == 0; }

CpuSet allowed_here() {
  cpu_set_t mask;
  CpuSet cpus;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return cpus;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &mask)) cpus.insert(CpuId{i});
  return cpus;
}

/// One node with the CPUs that this process may use, each a core, and two GPUs.
Machine this_machine() {
  auto m = test::made_machine(
      {.nodes = 1, .cores_per_node = number(allowed_here().last()) + 1, .threads = 1, .gpus_per_node = 2});
  m.online = {allowed_here(), Source::kSysfs};
  m.nodes[0].cpus = m.online;
  std::erase_if(m.cores, [&](const Core& c) { return !m.online->contains(c.cpus); });
  return m;
}

struct Case {
  Machine machine = this_machine();
  Plan plan;
  std::string text(std::string_view format, std::vector<std::string> command) const {
    const auto exported = export_plan(format, {machine, plan, std::move(command), "localhost"});
    EXPECT_TRUE(exported) << exported.error().message;
    return exported ? *exported : "";
  }
};

Case planned(bool each, MemoryMode memory) {
  Case c;
  Job job;
  job.gpus = {{0, "", {}}, {1, "", {}}};
  job.one_process_per_gpu = each;
  job.memory = memory;
  c.plan = *make_plan(c.machine, {}, job);
  return c;
}

const std::vector<std::string> kShowBinding{"sh", "-c", "grep Cpus_allowed_list /proc/self/status; echo \"gpu=$CUDA_VISIBLE_DEVICES\""};

TEST(NumactlTakes, EveryMemoryMode) {
  if (!works("numactl --localalloc true")) GTEST_SKIP() << "numactl is not installed, or may not set a policy here";
  for (const auto mode : {MemoryMode::kPreferred, MemoryMode::kPreferredOne, MemoryMode::kBind, MemoryMode::kInterleave,
                          MemoryMode::kLocal, MemoryMode::kDefault, MemoryMode::kNone}) {
    const auto c = planned(false, mode);
    const auto out = shell(c.text("numactl", kShowBinding));
    EXPECT_EQ(out.status, 0) << to_string(mode) << ": " << out.text;
    EXPECT_THAT(out.text, HasSubstr("Cpus_allowed_list:\t" + allowed_here().to_list()));
    EXPECT_THAT(out.text, HasSubstr("gpu=GPU-10000000-0000-0000-0000-000000000000,GPU-10000001-"));
  }
}

TEST(NumactlTakes, RanksSideBySide) {
  if (!works("numactl --localalloc true")) GTEST_SKIP() << "numactl is not installed, or may not set a policy here";
  const auto out = shell(planned(true, MemoryMode::kPreferred).text("numactl", kShowBinding));
  EXPECT_EQ(out.status, 0) << out.text;
  EXPECT_THAT(out.text, HasSubstr("gpu=GPU-10000000-"));
  EXPECT_THAT(out.text, HasSubstr("gpu=GPU-10000001-"));
}

TEST(TasksetTakes, TheCpuList) {
  if (!works("taskset --version")) GTEST_SKIP() << "taskset is not installed";
  auto c = planned(false, MemoryMode::kPreferred);
  c.plan.placements[0].cpus = CpuSet::of(allowed_here().last());
  const auto out = shell(c.text("taskset", kShowBinding));
  EXPECT_EQ(out.status, 0) << out.text;
  EXPECT_THAT(out.text, HasSubstr("Cpus_allowed_list:\t" + CpuSet::of(allowed_here().last()).to_list() + "\n"));
}

TEST(ShellTakes, TheVariablesOfEachRank) {
  const auto c = planned(true, MemoryMode::kPreferred);
  const auto script = c.text("env", {}) + "echo gpu=$CUDA_VISIBLE_DEVICES cpus=$NUMAPIN_CPUS\n";
  const auto out = shell("unset OMPI_COMM_WORLD_LOCAL_RANK MPI_LOCALRANKID SLURM_LOCALID\nLOCAL_RANK=1\n" + script);
  EXPECT_EQ(out.status, 0) << out.text;
  EXPECT_EQ(out.text, fmt::format("gpu=GPU-10000001-0000-0000-0000-000000000001 cpus={}\n", allowed_here().to_list()));
  EXPECT_NE(shell("unset OMPI_COMM_WORLD_LOCAL_RANK MPI_LOCALRANKID SLURM_LOCALID\nLOCAL_RANK=7\n" + script).status, 0);
}

/// torchrun and srun in the sense of their documentation: start the words after their options once a rank.
TEST(ShellTakes, WhatTorchrunAndSrunStart) {
  if (!works("numactl --localalloc true") || !works("bash -c true")) GTEST_SKIP() << "numactl or bash is missing";
  const auto c = planned(true, MemoryMode::kPreferred);
  for (const std::string format : {"torchrun", "slurm"}) {
    const auto text = c.text(format, kShowBinding);
    const auto start = text.find("bash -c");
    ASSERT_NE(start, text.npos) << text;
    const auto out = shell("unset OMPI_COMM_WORLD_LOCAL_RANK MPI_LOCALRANKID SLURM_LOCALID\nexport LOCAL_RANK=1\n" + text.substr(start));
    EXPECT_EQ(out.status, 0) << format << ": " << out.text;
    EXPECT_THAT(out.text, HasSubstr("gpu=GPU-10000001-"));
  }
}

TEST(OpenMpiTakes, TheRankfile) {
  const std::string as_root = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ";
  if (!works("mpirun --version | grep 'Open MPI. 4'")) GTEST_SKIP() << "Open MPI 4 is not installed";
  if (allowed_here() != CpuSet::range(0, allowed_here().size() - 1) || allowed_here().size() < 2 ||
      !works(as_root + "mpirun -n 1 --bind-to core true"))
    GTEST_SKIP() << "mpirun cannot bind to cores here";
  auto c = planned(true, MemoryMode::kPreferred);
  c.plan.placements[0].cpus = CpuSet{1};
  c.plan.placements[1].cpus = CpuSet{0};
  const auto file = std::filesystem::temp_directory_path() / fmt::format("numapin-rankfile-{}", getpid());
  std::ofstream(file) << c.text("openmpi-rankfile", {});
  const auto out = shell(as_root + "mpirun -n 2 --rankfile " + file.string() +
                         " sh -c 'echo rank $OMPI_COMM_WORLD_RANK: $(grep Cpus_allowed_list /proc/self/status)'");
  std::filesystem::remove(file);
  ASSERT_EQ(out.status, 0) << out.text;
  // Cores and CPUs have the same numbers here only without SMT; with it the rank has the core's CPUs.
  EXPECT_THAT(out.text, HasSubstr("rank 0: Cpus_allowed_list: 1"));
  EXPECT_THAT(out.text, HasSubstr("rank 1: Cpus_allowed_list: 0"));
}

TEST(JqTakes, TheJson) {
  if (!works("jq --version")) GTEST_SKIP() << "jq is not installed";
  const auto c = planned(true, MemoryMode::kBind);
  const auto out = shell(fmt::format("jq -r '.placements[1].memory.numa_nodes[0], .schema' <<'EOF'\n{}EOF\n", to_json(c.plan)));
  EXPECT_EQ(out.text, "0\nnumapin/plan/1\n");
  const auto oci = shell(fmt::format("jq -r '.[1].linux.memoryPolicy.mode' <<'EOF'\n{}EOF\n", c.text("oci", {})));
  EXPECT_EQ(oci.text, "MPOL_BIND\n");
}

/// A container whose root is this machine's /usr, run by a low-level runtime; `change` is jq text that turns the
/// runtime's own example of a configuration into ours.
Output run_container(const std::string& runtime, const std::string& start, const std::string& fragment, const std::string& change) {
  return shell(fmt::format(R"(set -e
dir=$(mktemp -d) && trap 'rm -rf --one-file-system "$dir"' EXIT && cd "$dir"
mkdir -p rootfs/usr rootfs/proc rootfs/dev rootfs/sys
for link in bin lib lib64; do ln -s usr/$link rootfs/$link; done
{0} spec
cat >fragment.json <<'EOF'
{2}EOF
jq --slurpfile ranks fragment.json '.process.terminal = false
  | .process.args = ["sh", "-c", "grep _allowed_list /proc/self/status; echo gpu=$CUDA_VISIBLE_DEVICES"]
  | .mounts += [{{destination: "/usr", source: "/usr", type: "bind", options: ["rbind", "ro"]}}]
  | {3}' config.json >ours.json
mv ours.json config.json
{1}
)", runtime, start, fragment, change));
}

/// As `numapin plan --format oci` says it is to be used: the rank's part over the configuration, variables added to its own.
constexpr const char* kWithRankOne = "(.process.env + $ranks[0][1].process.env) as $env | . * $ranks[0][1] | .process.env = $env";

class OciRuntimeTakes : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(OciRuntimeTakes, TheFragment) {
  const auto& [runtime, start] = GetParam();
  if (!works(std::string(runtime) + " --version") || !works("jq --version")) GTEST_SKIP() << runtime << " or jq is not installed";
  auto c = planned(true, MemoryMode::kBind);
  c.plan.placements[1].cpus = CpuSet::of(allowed_here().last());
  const auto fragment = c.text("oci", {});
  const auto plain = run_container(runtime, start, fragment, ".");
  if (plain.status != 0) GTEST_SKIP() << runtime << " cannot run a container here: " << plain.text;
  const auto out = run_container(runtime, start, fragment, kWithRankOne);
  EXPECT_EQ(out.status, 0) << out.text;
  EXPECT_THAT(out.text, HasSubstr(fmt::format("Cpus_allowed_list:\t{}\n", CpuSet::of(allowed_here().last()).to_list())));
  EXPECT_THAT(out.text, HasSubstr("Mems_allowed_list:\t0\n"));
  EXPECT_THAT(out.text, HasSubstr("gpu=GPU-10000001-"));
}

// crun wants one kind of cgroup hierarchy: where there are both it is shown the older one.
INSTANTIATE_TEST_SUITE_P(Runtimes, OciRuntimeTakes,
                         testing::Values(std::pair("runc", "runc --root \"$dir/state\" run numapin-$$"),
                                         std::pair("crun", "unshare -m --propagation private sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; "
                                                           "exec crun --root \"$0/state\" run numapin-$1' \"$dir\" $$")),
                         [](const auto& one) { return std::string(one.param.first); });

TEST(PodmanTakes, EveryOption) {
  if (!works("podman --version")) GTEST_SKIP() << "podman is not installed";
  const auto c = planned(true, MemoryMode::kBind);
  const auto out = shell(fmt::format("podman run --help >help.$$\ngrep -o -- '--[a-z-]*=' <<'EOF' | sort -u | while read -r o; do grep -q -- \"${{o%=}} \" help.$$ || "
                                     "echo \"no option $o\"; done\n{}EOF\nrm help.$$\n", c.text("podman", {})));
  EXPECT_EQ(out.text, "");
}

/// Keys and types of Compose's schema (compose-spec/schema/compose-spec.json), as far as we use them.
constexpr const char* kCheckCompose = R"(
import sys, yaml
doc = yaml.safe_load(sys.stdin)
types = dict(image=str, command=list, cpuset=str, deploy=dict, devices=list, environment=list, cap_add=list, runtime=str, annotations=dict)
assert list(doc) == ['services'] and len(doc['services']) == 2, doc
for name, service in doc['services'].items():
    for key, value in service.items():
        assert isinstance(value, types[key]), (key, value)
    device, = service['deploy']['resources']['reservations']['devices']
    assert device['driver'] == 'nvidia' and device['capabilities'] == ['gpu'] and device['device_ids'][0].startswith('GPU-'), device
    assert service['command'] == ['echo', "$$HOME 'x' \"y\""], service['command']
print('well')
)";

TEST(YamlTakes, TheComposeFile) {
  if (!works("/usr/bin/python3 -c 'import yaml'")) GTEST_SKIP() << "python3-yaml is not installed";
  for (const auto memory : {MemoryMode::kPreferred, MemoryMode::kBind}) {
    auto text = planned(true, memory).text("compose", {"echo", "$HOME 'x' \"y\""});
    for (const std::string line : {"# runtime", "# annotations", "# cap_add"})  // the optional lines are good ones too
      for (auto at = text.find(line); at != text.npos; at = text.find(line, at)) text.erase(at, 2);
    const auto out = shell(fmt::format("cat >check.$$ <<'EOF'\n{}EOF\n/usr/bin/python3 check.$$ <<'EOF'\n{}EOF\nrm check.$$\n", kCheckCompose, text));
    EXPECT_EQ(out.text, "well\n") << text;
  }
}

/// What the kubelet checks at its start, and what makes a pod Guaranteed.
constexpr const char* kCheckKubernetes = R"(
import sys, yaml
kubelet, pod, runtime = yaml.safe_load_all(sys.stdin)
assert (kubelet['kind'], pod['kind'], runtime['kind']) == ('KubeletConfiguration', 'Pod', 'RuntimeClass')
mebi = lambda text: int(text.removesuffix('Mi'))
reserved = sum(mebi(r['limits']['memory']) for r in kubelet['reservedMemory'])
assert reserved == mebi(kubelet['systemReserved']['memory']) + mebi(kubelet['evictionHard']['memory.available'])
assert isinstance(kubelet['reservedSystemCPUs'], str) and kubelet['cpuManagerPolicy'] == 'static' and kubelet['memoryManagerPolicy'] == 'Static'
main, = pod['spec']['containers']
limits = main['resources']['limits']
assert isinstance(limits['cpu'], int) and limits['cpu'] > 0 and limits['memory'].endswith('Gi') and limits['nvidia.com/gpu'] == 1, limits
assert 'requests' not in main['resources']  # then they are the limits
assert pod['spec']['runtimeClassName'] == runtime['metadata']['name'] == runtime['handler']
assert main['command'] == ['sh', '-c', "echo 'a' $B"] and main['securityContext'] == {'capabilities': {'add': ['SYS_NICE']}}
print('well')
)";

TEST(YamlTakes, KubernetesDocuments) {
  if (!works("/usr/bin/python3 -c 'import yaml'")) GTEST_SKIP() << "python3-yaml is not installed";
  auto text = planned(true, MemoryMode::kPreferred).text("k8s", {"sh", "-c", "echo 'a' $B"});
  text.erase(text.find("# securityContext"), 2);
  const auto out = shell(fmt::format("cat >check.$$ <<'EOF'\n{}EOF\n/usr/bin/python3 check.$$ <<'EOF'\n{}EOF\nrm check.$$\n", kCheckKubernetes, text));
  EXPECT_EQ(out.text, "well\n") << text;
}

TEST(PythonTakes, MonarchsList) {
  if (!works("python3 -c 1")) GTEST_SKIP() << "python3 is not installed";
  const auto c = planned(true, MemoryMode::kBind);
  const auto out = shell(fmt::format("python3 <<'EOF'\n{}print(proc_bind[1]['membind'], len(proc_bind))\nEOF\n", c.text("monarch", {})));
  EXPECT_EQ(out.text, "0 2\n");
}

}  // namespace
}  // namespace numapin
