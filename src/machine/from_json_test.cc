#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "machine/devices.h"
#include "machine/sample_machines.h"
#include "numapin/json.h"

namespace numapin {
namespace {

using namespace sample;

/// Every field that a source may fill, filled.
System full() {
  System s;
  auto& m = s.machine;
  m = two_sockets();
  m.hostname = {"h\"1\\", Source::kProcfs};
  m.cpu_model = {"EPYC", Source::kLscpu};
  m.architecture = {"x86_64", Source::kProcfs};
  m.kernel_release = {"6.12", Source::kProcfs};
  m.driver_version = {"570.1", Source::kNvml};
  m.offline = {cpus("16-17"), Source::kSysfs};
  m.nodes.push_back(node(9, "", 96));
  m.nodes[2].kind = {MemoryKind::kGpu, Source::kProcDriver};
  m.nodes[2].gpu = {at("0000:1a:00.0"), Source::kProcDriver};
  m.nodes[0].access0 = {MemoryAccess{80, {}, 200000, 100000, NodeSet{0}}, Source::kSysfs};
  m.cores[0].capacity = 1024;
  m.cores[0].highest_perf = 196;
  m.cores[0].kind = "P";
  m.pci[3].driver = "nvidia";
  auto& g = m.gpus[0];
  g.uuid = {"GPU-1", Source::kNvml};
  g.model = {"H100", Source::kProcDriver};
  g.memory_bytes = {80 * kGiB, Source::kNvml};
  g.nvml_index = {0, Source::kNvml};
  g.cuda_ordinal = {3, Source::kUser};
  g.minor = {1, Source::kProcDriver};
  g.mig = {{"MIG-1", 1, 0, "1g.10gb", 10 * kGiB}, {"MIG-2", {}, {}, "", {}}};
  auto second = gpu(8, "0000:1a:00.0");
  g.partition = 0;
  second.partition = 1;
  second.name = "part";
  m.gpus.push_back(second);
  m.nics[0].interfaces = {"ib0", "ib1"};
  m.nics[0].infiniband = true;
  m.nics[0].speed_mb_per_s = {400000, Source::kSysfs};
  m.nvme.push_back({});
  m.nvme[0].address = at("10000:e1:00.0");
  m.nvme[0].name = "nvme0";
  add_link(m, gpu_ref(0), {DeviceRef::Type::kNode, 0}, LinkKind::kC2c, {}, Source::kUser);
  m.links[0].version = 4;
  m.links[0].weight = 15;
  m.notes = {"a note"};
  complete(m);
  s.allowance.cpus = {cpus("0-3"), Source::kProcfs};
  s.allowance.mems = {NodeSet{0, 1}, Source::kProcfs};
  s.allowance.visible_env = {{"CUDA_VISIBLE_DEVICES", ""}, {"ROCR_VISIBLE_DEVICES", "0,1"}};
  s.allowance.cgroup = "/a";
  s.disagreements = {{"gpu 0000:1a:00.0 numa_nodes", "0 (sysfs)", "1 (nvml)"}};
  return s;
}

TEST(FromJson, ReadsBackWhatToJsonWrites) {
  std::vector<System> all = {full(), {}};
  for (auto m : {two_sockets(), nps4(), gh200(), vm(1), vm(2)}) {
    all.push_back({});
    all.back().machine = m;
    put_in_order(all.back().machine);
    complete(m);
    all.push_back({});
    all.back().machine = m;
  }
  for (const auto& s : all) {
    const auto back = from_json(to_json(s));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, s);
    EXPECT_EQ(to_json(*back), to_json(s));
  }
}

std::string error_of(std::string text) {
  const auto s = from_json(text);
  if (s) return "none";
  EXPECT_EQ(s.error().kind, Error::Kind::kBadInput);
  return s.error().message;
}
/// `part` in a document that is right otherwise
std::string error_in(const std::string& part) { return error_of(R"({"schema": "numapin/topo/1", )" + part + "}"); }

TEST(FromJson, NamesThePlaceOfWhatIsWrong) {
  const std::string read = "read machine JSON: ";
  EXPECT_EQ(error_in(R"("nics": [])"), "none");
  EXPECT_EQ(error_in(R"("gpus": {})"), read + "/gpus: not an array");
  EXPECT_EQ(error_in(R"("gpus": [7])"), read + "/gpus/0: not an object");
  EXPECT_EQ(error_in(R"("gpus": [{"address": "x"}])"), read + "/gpus/0/address: \"x\" is not a PCI address");
  EXPECT_EQ(error_in(R"("gpus": [{"minor": 4294967296}])"),
            read + "/gpus/0/minor: not a whole number from 0 to 2147483647");
  EXPECT_EQ(error_in(R"("gpus": [{"minor": -1}])"), read + "/gpus/0/minor: not a whole number from 0 to 2147483647");
  EXPECT_EQ(error_in(R"("gpus": [{"minor": 1.5}])"), read + "/gpus/0/minor: not a whole number from 0 to 2147483647");
  EXPECT_EQ(error_in(R"("gpus": [{"index": 1}])"), read + "/gpus/0/index: not the place in the array");
  EXPECT_EQ(error_in(R"("gpus": [{"vendor": "10"}])"), read + "/gpus/0/vendor: \"10\" is not 4 hexadecimal digits");
  EXPECT_EQ(error_in(R"("gpus": [{"numa_nodes": [65536]}])"),
            read + "/gpus/0/numa_nodes/0: not a whole number from 0 to 65535");
  EXPECT_EQ(error_in(R"("numa_nodes": [{}])"), read + "/numa_nodes/0/id: is missing");
  EXPECT_EQ(error_in(R"("numa_nodes": [{"id": 0, "kind": "tape"}])"),
            read + "/numa_nodes/0/kind: \"tape\" is none of the known words");
  EXPECT_EQ(error_in(R"("numa_nodes": [{"id": 0, "memory_total_bytes": -1}])"),
            read + "/numa_nodes/0/memory_total_bytes: not a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(error_in(R"("numa_nodes": [{"id": 0, "distances": {"x": 10}}])"),
            read + "/numa_nodes/0/distances/x: the key is not a node's number");
  EXPECT_EQ(error_in(R"("online_cpulist": "3-1")"),
            read + "/online_cpulist: parse CPU list \"3-1\": column 1: the range runs backwards");
  EXPECT_EQ(error_in(R"("links": [{"from": "GPU0", "to": "GPU1", "kind": "NV"}])"),
            read + "/links/0/from: \"GPU0\" is no device of this machine");
}

TEST(FromJson, RejectsOtherDocuments) {
  EXPECT_EQ(error_of("{}"), "read machine JSON: /schema: is missing");
  EXPECT_EQ(error_of("[]"), "read machine JSON: document: not an object");
  EXPECT_EQ(error_of(R"({"schema": "numapin/topo/2"})"),
            "read machine JSON: /schema: \"numapin/topo/2\" is not a schema this version reads (numapin/topo/1)");
  EXPECT_THAT(error_of("{\n \"schema\": }"), testing::StartsWith("read machine JSON: parse error at line 2"));
  EXPECT_THAT(error_of(std::string(200000, '[')), testing::StartsWith("read machine JSON: parse error"));
}

TEST(FromJson, HandwrittenFactsAreTheUsersWord) {
  const auto s = from_json(R"({"schema": "numapin/topo/1", "numa_nodes": [{"id": 0}, {"id": 1}],
                               "gpus": [{"address": "0000:18:00.0", "numa_nodes": [1]}], "later": {"key": 1}})");
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->machine.gpus[0].numa_nodes, (Fact<NodeSet>{NodeSet{1}, Source::kUser}));
}

TEST(FromJson, SurvivesDamage) {
  const auto text = to_json(full());
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    auto damaged = text;
    for (int i = 0; i < 3; ++i) damaged[random() % damaged.size()] = "0-9[]{}\",:x"[random() % 11];
    if (const auto s = from_json(damaged)) check(s->machine);  // must not crash; whether it is right is another matter
  }
}

}  // namespace
}  // namespace numapin
