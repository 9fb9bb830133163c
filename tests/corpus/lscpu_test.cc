#include <algorithm>

#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

using nlohmann::json;

TEST(Corpus, HasLscpu) { expect_corpus("lscpu", 9); }
TEST(Corpus, HasLscpuExtended) { expect_corpus("lscpu-extended", 15); }

Machine read_lscpu(const TextCase& c) {
  auto m = from_lscpu(c.text);
  EXPECT_TRUE(m) << (m ? "" : m.error().message);
  return m ? *m : Machine{};
}

void expect_nodes(const Machine& m, const json& nodes) {
  EXPECT_EQ(m.nodes.size(), nodes.size());
  for (const auto& [id, list] : nodes.items()) {
    const auto* node = find_node(m, NodeId{std::stoi(id)});
    ASSERT_NE(node, nullptr) << id;
    EXPECT_EQ(show(node->cpus.value), show(cpus_of_json(list))) << id;
  }
}

class LscpuCorpus : public testing::TestWithParam<TextCase> {};

TEST_P(LscpuCorpus, IsRecognised) { EXPECT_TRUE(looks_like_lscpu(GetParam().text)); }

TEST_P(LscpuCorpus, HasWhatTheTextSays) {
  const auto m = read_lscpu(GetParam());
  expect_valid(m);
  const auto& wanted = GetParam().expected;
  expect_nodes(m, wanted["numa_nodes"]);
  EXPECT_EQ(m.architecture.value_or(""), wanted.value("architecture", ""));
  EXPECT_EQ(m.cpu_model.value_or(""), wanted.value("model_name", ""));
  EXPECT_EQ(show(m.online.value), wanted.contains("online") ? show(cpus_of_json(wanted["online"])) : "unknown");
  EXPECT_EQ(show(m.offline.value), wanted.contains("offline") ? show(cpus_of_json(wanted["offline"])) : "unknown");
  const bool whole = !wanted.contains("numa_node_count") ||
                     wanted["numa_node_count"].get<std::size_t>() == wanted["numa_nodes"].size();
  EXPECT_EQ(m.notes.empty(), whole);
}

TEST_P(LscpuCorpus, IsSafeWhenCut) { expect_truncation_is_safe(GetParam().text, from_lscpu); }

INSTANTIATE_TEST_SUITE_P(Corpus, LscpuCorpus, testing::ValuesIn(text_cases("lscpu")), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LscpuCorpus);

class LscpuExtendedCorpus : public testing::TestWithParam<TextCase> {};

TEST_P(LscpuExtendedCorpus, IsRecognised) { EXPECT_TRUE(looks_like_lscpu(GetParam().text)); }

TEST_P(LscpuExtendedCorpus, HasWhatTheTableSays) {
  const auto m = read_lscpu(GetParam());
  expect_valid(m);
  const auto& wanted = GetParam().expected;
  expect_nodes(m, wanted["numa_nodes"]);
  EXPECT_EQ(show(m.online.value), show(cpus_of_json(wanted["online"])));
  EXPECT_EQ(show(m.offline.value), show(cpus_of_json(wanted["offline"])));
  EXPECT_TRUE(m.notes.empty());

  EXPECT_EQ(m.packages.size(), wanted["sockets"].size());
  for (const auto& package : m.packages)
    EXPECT_EQ(package.cpus.to_list(), wanted["sockets"].value(std::to_string(package.id), "missing"));

  std::vector<std::string> cores, groups = wanted["smt_groups"];
  for (const auto& core : m.cores) cores.push_back(core.cpus.to_list());
  std::sort(cores.begin(), cores.end());
  std::sort(groups.begin(), groups.end());
  EXPECT_EQ(cores, groups);
}

TEST_P(LscpuExtendedCorpus, IsSafeWhenCut) { expect_truncation_is_safe(GetParam().text, from_lscpu); }

INSTANTIATE_TEST_SUITE_P(Corpus, LscpuExtendedCorpus, testing::ValuesIn(text_cases("lscpu-extended")), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LscpuExtendedCorpus);

}  // namespace
}  // namespace numapin::test
