#include "oci/edit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "oci/container.h"
#include "oci/features.h"
#include "oci/settings.h"
#include "support/made_machine.h"

namespace numapin::oci {
namespace {

using testing::HasSubstr;

/// Two nodes of 4 cores; GPUs 0 and 1 on node 0, 2 and 3 on node 1, minors the other way round; GPU 3 has two MIG
/// instances.
Machine machine() {
  auto m = test::made_machine({.nodes = 2, .cores_per_node = 4, .threads = 1, .gpus_per_node = 2});
  for (auto& gpu : m.gpus) gpu.minor = {3 - gpu.index, Source::kProcDriver};
  m.gpus[3].mig = {{"MIG-aaaa", 1, 0, "", {}}, {"MIG-bbbb", 2, 0, "", {}}};
  return m;
}

struct Fake {
  Machine m = machine();
  Allowance allowed;
  bool has_field = false;
  int looked = 0;  ///< at the machine
  Host host() {
    return {.machine = [this](bool) -> Result<Machine> { return ++looked, m; },
            .allowance = [this](const std::string&) { return allowed; },
            .runtime_sets = [this](const MemoryPolicy&, const std::string&) { return has_field; }};
  }
  Edit edit(const std::string& config, std::string_view site = "", const Record& earlier = {}) {
    return edit_config(config, site, earlier, host());
  }
  /// What the container may use then: cpuset.cpus, "" where that stays unset.
  std::string cpus(const std::string& config) {
    const auto e = edit(config);
    return e.record.cpus;
  }
};

std::string with_env(const std::string& variable, const std::string& more = "") {
  return fmt::format(R"({{"process":{{"env":["A=B","{}"]}}{}}})", variable, more);
}
std::string gpu(const std::string& list, const std::string& more = "") { return with_env("NVIDIA_VISIBLE_DEVICES=" + list, more); }
std::string uuid(int n) { return fmt::format("GPU-{:08x}-0000-0000-0000-{:012x}", 0x10000000 + n, n); }

TEST(OciEdit, PlacesBesideTheGpu) {
  Fake f;
  const auto e = f.edit(gpu("2"));
  EXPECT_EQ(e.config, R"({"linux":{"resources":{"cpu":{"cpus":"4-7"}}},"process":{"env":["A=B","NVIDIA_VISIBLE_DEVICES=2"]}})");
  EXPECT_EQ(e.memory, (MemoryPolicy{MemoryMode::kPreferred, NodeSet{1}, false}));
  EXPECT_EQ(e.line, "GPU 2 (NVIDIA_VISIBLE_DEVICES=2), node 1: cpuset.cpus 4-7; memory preferred node 1 (inherited from the runtime)");
  EXPECT_TRUE(e.about_gpus);
}

TEST(OciEdit, FindsGpusByEveryName) {
  Fake f;
  EXPECT_EQ(f.cpus(gpu("0,1")), "0-3");
  EXPECT_EQ(f.cpus(gpu("1, 3")), "") << "both nodes: nothing to narrow";
  EXPECT_EQ(f.cpus(gpu(uuid(3))), "4-7");
  EXPECT_EQ(f.cpus(gpu("MIG-bbbb")), "4-7");
  EXPECT_EQ(f.cpus(gpu("3:1")), "4-7");
  EXPECT_EQ(f.cpus(gpu("all")), "");
  EXPECT_EQ(f.cpus(gpu("0,2\",\"NVIDIA_VISIBLE_DEVICES=2")), "4-7") << "engines append: the last one counts";
  EXPECT_EQ(f.cpus(gpu("all\",\"CUDA_VISIBLE_DEVICES=3")), "4-7");
  EXPECT_EQ(f.cpus(gpu("2,3,0\",\"CUDA_VISIBLE_DEVICES=0")), "0-3") << "inside, CUDA counts the container's GPUs in PCI order";
  EXPECT_EQ(f.cpus(R"({"linux":{"devices":[{"path":"/dev/nvidia0","major":195,"minor":0},{"path":"/dev/nvidiactl"}]}})"), "4-7") << "minor 0 is GPU 3";
  EXPECT_EQ(f.cpus(R"({"mounts":[{"destination":"/dev/nvidia3"}]})"), "0-3");
  EXPECT_EQ(f.cpus(R"({"annotations":{"cdi.k8s.io/x":"nvidia.com/gpu=2,nvidia.com/gpu=3","cdi.k8s.io/n":"vendor.com/nic=0"}})"), "4-7");
  EXPECT_EQ(f.cpus(gpu("void", R"(,"annotations":{"cdi.k8s.io/x":"runtime.nvidia.com/gpu=)" + uuid(0) + R"("})")), "0-3");
  EXPECT_EQ(f.cpus(gpu("all", R"(,"linux":{"devices":[{"path":"/dev/nvidia0"}]})")), "4-7") << "images say all by themselves";
  EXPECT_EQ(f.cpus(gpu("0", R"(,"linux":{"devices":[{"path":"/dev/nvidia0"}]})")), "0-3") << "a privileged container has every device";
  EXPECT_EQ(f.cpus(gpu("/var/run/nvidia-container-devices", R"(,"mounts":[{"destination":"/var/run/nvidia-container-devices/)" + uuid(2) + R"("}])")), "4-7");
  EXPECT_EQ(f.cpus(R"({"mounts":[{"destination":"/var/run/nvidia-container-devices/cdi/nvidia.com/gpu/1"}]})"), "0-3");
}

TEST(OciEdit, AmdGpusByDeviceFileAndCdi) {
  Fake f;
  for (auto& g : f.m.gpus) g.vendor = 0x1002, g.minor = {128 + g.index, Source::kKfd}, g.mig.clear();
  EXPECT_EQ(f.cpus(R"({"linux":{"devices":[{"path":"/dev/kfd"},{"path":"/dev/dri/renderD130"}]}})"), "4-7");
  EXPECT_EQ(f.cpus(R"({"annotations":{"cdi.k8s.io/x":"amd.com/gpu=1"}})"), "0-3");
  EXPECT_EQ(f.cpus(gpu("1")), "") << "NVIDIA's variable is about NVIDIA's GPUs";
}

TEST(OciEdit, LeavesContainersWithoutGpuUnread) {
  Fake f;
  for (const auto& config : {std::string("{}"), gpu(""), gpu("void"), gpu("none"), with_env("CUDA_VISIBLE_DEVICES=0"), std::string(R"({"process":{"env":[3,null]},"linux":7})")}) {
    const auto e = f.edit(config);
    EXPECT_EQ(e.config, std::nullopt) << config;
    EXPECT_EQ(e.memory.mode, MemoryMode::kNone);
    EXPECT_FALSE(e.about_gpus);
  }
  EXPECT_EQ(f.looked, 0) << "most containers have none: they must cost nothing";
}

TEST(OciEdit, KeepsWhatTheUserSet) {
  Fake f;
  const auto own = [](const std::string& cpu) { return R"(,"linux":{"resources":{"cpu":)" + cpu + "}}"; };
  EXPECT_EQ(f.edit(gpu("0", own(R"({"cpus":"2-5","shares":9})"))).config,
            R"({"process":{"env":["A=B","NVIDIA_VISIBLE_DEVICES=0"]},"linux":{"resources":{"cpu":{"cpus":"2-3","shares":9}}}})");
  EXPECT_EQ(f.edit(gpu("0", own(R"({"cpus":"6-7"})"))).config, std::nullopt) << "none of them is near: they stay";
  EXPECT_EQ(f.edit(gpu("0", own(R"({"cpus":"1"})"))).config, std::nullopt);
  EXPECT_EQ(f.edit(gpu("0", own(R"({"cpus":"six"})"))).config, std::nullopt);
  const auto mems = f.edit(gpu("0", own(R"({"mems":"1"})")));
  EXPECT_EQ(mems.memory.nodes, NodeSet{1});
  EXPECT_THAT(mems.line, HasSubstr("not among the allowed memory nodes"));
  const auto policy = f.edit(gpu("0", R"(,"linux":{"memoryPolicy":{"mode":"MPOL_INTERLEAVE","nodes":"0-1"}})"));
  EXPECT_EQ(policy.memory.mode, MemoryMode::kNone);
  EXPECT_THAT(*policy.config, HasSubstr("MPOL_INTERLEAVE"));
}

TEST(OciEdit, NeverLeavesTheCgroupsLimits) {
  Fake f;
  f.allowed.cpus = {CpuSet{2, 3, 4}, Source::kProcfs};
  f.allowed.mems = {NodeSet{0}, Source::kProcfs};
  EXPECT_EQ(f.cpus(gpu("0")), "2-3");
  EXPECT_EQ(f.cpus(gpu("2")), "4");
  EXPECT_EQ(f.edit(gpu("2")).memory.nodes, NodeSet{0}) << "cgroup v1 refuses what the cgroup above does not have";
}

TEST(OciEdit, ObeysAnnotations) {
  Fake f;
  const auto noted = [](const std::string& words) { return R"(,"annotations":{"numapin.policy":")" + words + "\"}"; };
  EXPECT_EQ(f.edit(gpu("0", noted("off"))).config, std::nullopt);
  EXPECT_EQ(f.edit(gpu("0", noted("off"))).memory.mode, MemoryMode::kNone);
  EXPECT_THAT(*f.edit(gpu("0", noted("strict"))).config, HasSubstr(R"("mems":"0")"));
  EXPECT_EQ(f.edit(gpu("0", noted("all,memory=none"))).config, std::nullopt);
  EXPECT_EQ(f.edit(gpu("0", noted("exclusive"))).record.cpus, "0-1") << "half of the node: two GPUs are on it";
  EXPECT_EQ(f.edit(gpu("0", noted("memory=bind"))).memory.mode, MemoryMode::kBind);
  EXPECT_EQ(f.edit(gpu("0", noted("auto")), "off").record.cpus, "0-3") << "above the administrator's words";
  EXPECT_EQ(f.edit(gpu("0"), "off").config, std::nullopt);
  const auto unknown = f.edit(gpu("0", noted("sideways")));
  EXPECT_EQ(unknown.record.cpus, "0-3");
  EXPECT_THAT(unknown.line, HasSubstr("not understood: sideways"));
  EXPECT_THAT(f.edit(gpu("0", R"(,"annotations":{"numapin.polcy":"off"})")).line, HasSubstr("not understood: numapin.polcy"));
}

TEST(OciEdit, OnlyStrictKeepsAContainerFromStarting) {
  Fake f;
  const std::string strict = R"(,"annotations":{"numapin.policy":"strict"})";
  const auto no_near_cpu = R"(,"linux":{"resources":{"cpu":{"cpus":"6"}}})";
  for (const auto& config : {std::string("{"), std::string("[]"), gpu("0") + std::string(kLargestConfigBytes, ' '), gpu("9"), gpu("0,GPU-x"), gpu("0", no_near_cpu),
                             gpu("0", R"(,"linux":{"resources":[]})"), gpu("0", R"(,"annotations":{"numapin.policy":"upward"})")}) {
    const auto plain = f.edit(config);
    EXPECT_FALSE(plain.refused) << config.substr(0, 80);
    EXPECT_FALSE(plain.line.empty());
    const auto refused = f.edit(config, "strict");
    EXPECT_TRUE(refused.refused) << config.substr(0, 80);
    EXPECT_EQ(refused.config, std::nullopt);
  }
  EXPECT_TRUE(f.edit(R"({"annotations":{"numapin.policy":"strict"}})").refused) << "strictly beside no GPU";
  EXPECT_FALSE(f.edit(R"({"annotations":{"numapin.policy":"strict","io.kubernetes.cri.container-type":"sandbox"}})").refused) << "a pod's annotation";
  EXPECT_FALSE(f.edit("{}", "strict").refused) << "the administrator means containers with GPUs";
  EXPECT_FALSE(f.edit(gpu("0", strict)).refused);
}

TEST(OciEdit, AsksTheDriverWhereTheKernelDoesNotSay) {
  Fake f;
  auto silent = f.m;
  for (auto& g : silent.gpus) g.numa_nodes = {}, g.uuid = {};
  auto host = f.host();
  host.machine = [&](bool with_driver) -> Result<Machine> { return ++f.looked, with_driver ? f.m : silent; };
  EXPECT_EQ(edit_config(gpu("0"), "", {}, host).record.cpus, "0-3");
  EXPECT_EQ(edit_config(gpu(uuid(2)), "", {}, host).record.cpus, "4-7");
  EXPECT_EQ(f.looked, 4);
  host.machine = [&](bool) -> Result<Machine> { return silent; };
  const auto unknown = edit_config(gpu("0"), "", {}, host);
  EXPECT_EQ(unknown.config, std::nullopt);
  EXPECT_EQ(unknown.memory.mode, MemoryMode::kNone);
  EXPECT_THAT(unknown.line, HasSubstr("node unknown"));
  EXPECT_TRUE(edit_config(gpu("0"), "strict", {}, host).refused);
}

TEST(OciEdit, WritesTheFieldWhereTheRuntimeHasIt) {
  Fake f;
  f.has_field = true;
  const auto e = f.edit(gpu("0,1,2"));
  EXPECT_THAT(*e.config, HasSubstr(R"("memoryPolicy":{"flags":["MPOL_F_STATIC_NODES"],"mode":"MPOL_PREFERRED_MANY","nodes":"0-1"})"));
  EXPECT_EQ(e.memory.mode, MemoryMode::kNone) << "not twice";
}

TEST(OciEdit, TellsItsOwnValuesFromTheUsersWhenABundleIsUsedAgain) {
  Fake f;
  f.has_field = true;
  const auto first = f.edit(gpu("0", R"(,"linux":{"resources":{"cpu":{"cpus":"0-5"}}})"), "strict");
  ASSERT_TRUE(first.config);
  const auto record = parse_record(to_json(first.record, first.line));
  EXPECT_EQ(record, first.record);
  EXPECT_EQ(f.edit(*first.config, "strict", record).config, std::nullopt) << "nothing changes";
  auto other = *first.config;
  other.replace(other.find("DEVICES=0"), 9, "DEVICES=2");
  const auto second = f.edit(other, "", record);
  EXPECT_THAT(*second.config, HasSubstr(R"("cpus":"4-5")"));
  EXPECT_THAT(*second.config, HasSubstr(R"("nodes":"1")"));
  EXPECT_THAT(*second.config, HasSubstr(R"("mems":"")"));
  const auto off = f.edit(*first.config, "off", record);
  EXPECT_THAT(*off.config, HasSubstr(R"("cpus":"0-5")"));
  EXPECT_THAT(*off.config, HasSubstr(R"("memoryPolicy":null)"));
}

TEST(OciEdit, KeepsItsLineALine) {
  Fake f;
  EXPECT_EQ(f.edit(gpu(R"(0,\n\u001b[31mx)")).line.find_first_of("\n\033"), std::string::npos);
  EXPECT_LT(f.edit(gpu(std::string(5000, 'x'))).line.size(), 1100u);
}

TEST(OciFeatures, AsRunc14ListsThem) {
  const std::string features = R"({"linux":{"memoryPolicy":{"modes":["MPOL_BIND","MPOL_PREFERRED"],"flags":["MPOL_F_STATIC_NODES"]}}})";
  EXPECT_TRUE(sets_memory_mode(features, "MPOL_BIND"));
  EXPECT_FALSE(sets_memory_mode(features, "MPOL_PREFERRED_MANY"));
  EXPECT_FALSE(sets_memory_mode(R"({"linux":{"memoryPolicy":{"modes":["MPOL_BIND"]}}})", "MPOL_BIND"));
  EXPECT_FALSE(sets_memory_mode("unknown command", "MPOL_BIND"));
}

TEST(OciSettings, FileAndVariables) {
  const auto s = read_settings("# c\n runtime = /usr/bin/crun # d\nnonsense\npolicy=strict,node\nother = 1\n", {{"NUMAPIN_RUNTIME_POLICY", "off"}, {"NUMAPIN_RUNTIME_LOG", ""}});
  EXPECT_EQ(s.runtime, "/usr/bin/crun");
  EXPECT_EQ(s.policy, "off");
  EXPECT_EQ(s.log, "syslog");
  EXPECT_THAT(s.ignored, testing::ElementsAre("nonsense", "other = 1"));
}

}  // namespace
}  // namespace numapin::oci
