// Archives of AMD's KFD topology, against the answers beside them (../shared/corpus/README.md).
#include <gtest/gtest.h>

#include <map>

#include "base/numbers.h"
#include "corpus.h"
#include "numapin/machine.h"
#include "numapin/sources.h"

namespace numapin::test {
namespace {

using nlohmann::json;

PciAddress address_of(const json& object) { return PciAddress::parse(object.at("pci_address").get<std::string>()).value(); }

class Kfd : public testing::TestWithParam<CorpusCase> {};

TEST_P(Kfd, ComesOutRight) {
  const auto tree = corpus_tree(GetParam());
  ASSERT_TRUE(tree);
  const auto document = read_json(GetParam().expected);
  const auto& expected = document.at("expected");
  const auto m = from_kfd(*tree, "/" + document.at("root_in_archive").get<std::string>());
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ(check(*m), std::vector<std::string>{});
  EXPECT_EQ(m->nodes.size(), expected.at("cpu_nodes").size());

  // KFD node -> GPU, by the groups that share one PCI device, in order
  std::map<int, const Gpu*> by_node;
  for (const auto& device : expected.at("physical_devices")) {
    std::vector<const Gpu*> partitions;
    for (const auto& gpu : m->gpus)
      if (gpu.address == address_of(device)) partitions.push_back(&gpu);
    const auto& nodes = device.at("kfd_nodes");
    ASSERT_EQ(partitions.size(), nodes.size()) << device.at("pci_address");
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      by_node[nodes[i]] = partitions[i];
      EXPECT_EQ(partitions[i]->partition.has_value(), nodes.size() > 1);
    }
  }
  EXPECT_EQ(m->gpus.size(), expected.at("gpus").size());
  for (const auto& gpu : expected.at("gpus")) {
    SCOPED_TRACE("KFD node " + gpu.at("kfd_node").dump());
    const auto* ours = by_node.at(gpu.at("kfd_node"));
    EXPECT_EQ(ours->vendor, parse_hex<int>(gpu.at("vendor_id").get<std::string>()));
    EXPECT_EQ(ours->device, parse_hex<int>(gpu.at("device_id").get<std::string>()));
    EXPECT_EQ(*ours->minor, gpu.at("drm_render_minor"));
    EXPECT_EQ(parse_hex<std::uint64_t>(ours->uuid->substr(4)),
              parse_number<std::uint64_t>(gpu.at("unique_id").get<std::string>()));
    EXPECT_EQ(*ours->numa_nodes, NodeSet{gpu.at("nearest_cpu_node").get<int>()});
  }
}

/// Read from the files by eye: every partition of the MI308X reaches every other over xGMI.
TEST_P(Kfd, LinksGpusOverXgmi) {
  if (GetParam().name != "mi308") GTEST_SKIP() << "the answer is known for mi308";
  const auto m = from_kfd(*corpus_tree(GetParam()), "/topology");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->links.size(), m->gpus.size() * (m->gpus.size() - 1));
  const auto* same_chip = find_link(*m, {DeviceRef::Type::kGpu, 0}, {DeviceRef::Type::kGpu, 1});
  const auto* other_chip = find_link(*m, {DeviceRef::Type::kGpu, 0}, {DeviceRef::Type::kGpu, 4});
  ASSERT_TRUE(same_chip && other_chip);
  EXPECT_EQ(same_chip->kind, LinkKind::kXgmi);
  EXPECT_EQ(same_chip->weight, 13);
  EXPECT_EQ(other_chip->weight, 41);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Kfd);
INSTANTIATE_TEST_SUITE_P(Corpus, Kfd, testing::ValuesIn(corpus_cases("kfd")),
                         [](const auto& p) { return test_name(p.param); });

TEST(CorpusKfd, IsThere) {
  if (corpus_cases("kfd").empty()) GTEST_SKIP() << "no ../shared/corpus: 2 recorded KFD trees skipped";
}

}  // namespace
}  // namespace numapin::test
