#include <algorithm>
#include <set>

#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "nccl-xml";

TEST(Corpus, HasNcclXml) { expect_corpus(kKind, 34); }

class NcclCorpus : public testing::TestWithParam<TextCase> {
 protected:
  const json& expected() const { return GetParam().expected; }
  Machine read() const {
    auto m = from_nccl_xml(GetParam().text);
    EXPECT_TRUE(m) << (m ? "" : m.error().message);
    return m ? *m : Machine{};
  }
};

std::optional<NodeSet> node_of_json(const json& numaid) {
  if (numaid.is_null() || numaid.get<int>() < 0) return std::nullopt;
  return NodeSet{numaid.get<int>()};
}

const Gpu* gpu_at(const Machine& m, const json& busid) {
  const auto address = PciAddress::parse(busid.get<std::string>());
  return address ? find_gpu(m, *address) : nullptr;
}

TEST_P(NcclCorpus, IsRecognised) {
  EXPECT_TRUE(looks_like_nccl_xml(GetParam().text));
  EXPECT_FALSE(looks_like_hwloc_xml(GetParam().text));
}

TEST_P(NcclCorpus, HasTheNodes) {
  const auto m = read();
  expect_valid(m);
  std::set<int> ids;
  for (const auto& cpu : expected()["cpus"]) {
    const auto id = cpu["numaid"].get<int>();
    if (id < 0) continue;
    ids.insert(id);
    const auto* node = find_node(m, NodeId{id});
    ASSERT_NE(node, nullptr) << id;
    EXPECT_EQ(show(node->cpus.value), show(cpus_of_json(cpu["cpulist"]))) << id;
    EXPECT_EQ(m.architecture.value_or(""), cpu.value("arch", ""));
  }
  EXPECT_EQ(m.nodes.size(), ids.size());
  EXPECT_EQ(m.notes.empty(), expected()["well_formed"].get<bool>());
}

TEST_P(NcclCorpus, HasTheGpusAndWhatTheyHangOn) {
  const auto m = read();
  EXPECT_EQ(m.gpus.size(), expected()["gpus"].size());
  for (const auto& wanted : expected()["gpus"]) {
    const auto* gpu = gpu_at(m, wanted["busid"]);
    ASSERT_NE(gpu, nullptr) << wanted["busid"];
    EXPECT_EQ(show(gpu->numa_nodes.value), show(node_of_json(wanted["numaid"]))) << wanted["busid"];
    EXPECT_EQ(show(gpu->local_cpus.value), show(cpus_of_json(wanted["local_cpulist"]))) << wanted["busid"];
    std::vector<std::string> switches;
    for (const auto* bridge : upstream(m, *find_pci(m, *gpu->address))) switches.push_back(bridge->address.to_string());
    std::reverse(switches.begin(), switches.end());
    EXPECT_EQ(switches, wanted["switches"].get<std::vector<std::string>>()) << wanted["busid"];
    if (gpu->nvml_index) {
      EXPECT_EQ(*gpu->nvml_index, wanted["dev"].get<int>());
    }
  }
}

TEST_P(NcclCorpus, HasTheLinksBetweenGpus) {
  const auto m = read();
  std::size_t direct = 0;
  for (const auto& wanted : expected()["gpus"]) {
    const auto* from = gpu_at(m, wanted["busid"]);
    ASSERT_NE(from, nullptr) << wanted["busid"];
    for (const auto& link : wanted["links"]) {
      const auto* to = gpu_at(m, link["target"]);
      if (to == nullptr || to == from) continue;
      ++direct;
      const auto* found = find_link(m, {DeviceRef::Type::kGpu, from->index}, {DeviceRef::Type::kGpu, to->index});
      ASSERT_NE(found, nullptr) << wanted["busid"] << " to " << link["target"];
      EXPECT_EQ(found->kind, link["type"] == "xgmi" ? LinkKind::kXgmi : LinkKind::kNvlink);
      EXPECT_EQ(found->count, link["count"].get<int>());
    }
  }
  EXPECT_GE(m.links.size(), direct);
}

TEST_P(NcclCorpus, HasTheNetworkDevices) {
  const auto m = read();
  std::multiset<std::string> wanted, found;
  for (const auto& net : expected()["nets"])
    wanted.insert((net["name"].is_null() ? "" : net["name"].get<std::string>()) + " " + (net["busid"].is_null() ? "?" : net["busid"].get<std::string>()) +
                  " " + show(node_of_json(net["numaid"])) + " " +
                  (net["speed_mbps"].is_null() || net["speed_mbps"] <= 0 ? "?" : std::to_string(net["speed_mbps"].get<int>())));
  for (const auto& nic : m.nics) {
    found.insert(nic.name + " " + (nic.address ? nic.address->to_string() : "?") + " " + show(nic.numa_nodes.value) + " " +
                 (nic.speed_mb_per_s ? std::to_string(*nic.speed_mb_per_s) : "?"));
  }
  EXPECT_EQ(found, wanted);
}

TEST_P(NcclCorpus, SaysNothingFalseWhenCut) { expect_truncation_is_honest(GetParam().text, from_nccl_xml); }

INSTANTIATE_TEST_SUITE_P(Corpus, NcclCorpus, testing::ValuesIn(text_cases(kKind)), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NcclCorpus);

}  // namespace
}  // namespace numapin::test
