#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

constexpr std::string_view kKind = "rocm-smi";

TEST(Corpus, HasRocmSmi) { expect_corpus(kKind, 4); }

class RocmSmiCorpus : public testing::TestWithParam<TextCase> {
 protected:
  Machine read() const {
    auto m = from_rocm_smi(GetParam().text);
    EXPECT_TRUE(m) << (m ? "" : m.error().message);
    return m ? *m : Machine{};
  }
};

TEST_P(RocmSmiCorpus, IsRecognised) {
  EXPECT_TRUE(looks_like_rocm_smi(GetParam().text));
  EXPECT_FALSE(looks_like_smi_topo(GetParam().text));
}

TEST_P(RocmSmiCorpus, HasTheGpus) {
  const auto m = read();
  expect_valid(m);
  const auto& gpus = GetParam().expected["gpus"];
  ASSERT_EQ(m.gpus.size(), gpus.size());
  bool agree = true;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    EXPECT_EQ(m.gpus[i].name, "GPU" + std::to_string(gpus[i]["index"].get<int>()));
    std::optional<NodeSet> node;
    if (gpus[i]["node_and_affinity_agree"].get<bool>()) node = NodeSet{gpus[i]["numa_node"].get<int>()};
    agree = agree && node.has_value();
    EXPECT_EQ(show(m.gpus[i].numa_nodes.value), show(node)) << gpus[i];
  }
  EXPECT_EQ(m.notes.empty(), agree);
}

TEST_P(RocmSmiCorpus, HasTheXgmiLinks) {
  const auto m = read();
  const auto& matrices = GetParam().expected.value("matrices", nlohmann::json::object());
  for (const auto& [title, rows] : matrices.items()) {
    for (int from = 0; from < static_cast<int>(rows.size()); ++from)
      for (int to = 0; to < static_cast<int>(rows[from].size()); ++to) {
        const auto* link = find_link(m, {DeviceRef::Type::kGpu, from}, {DeviceRef::Type::kGpu, to});
        EXPECT_EQ(link != nullptr && link->kind == LinkKind::kXgmi, rows[from][to] == "XGMI")
            << title << ": " << from << " to " << to;
      }
  }
}

TEST_P(RocmSmiCorpus, SaysNothingFalseWhenCut) {
  // Between the two lines of a GPU whose lines differ, the first alone would be taken for the answer.
  const auto& text = GetParam().text;
  const auto first = text.find("Numa Affinity");
  expect_truncation_is_safe(text, from_rocm_smi);
  const auto whole = read();
  for (auto at = first; at < text.size(); at += 1 + text.size() / 200) {
    const auto part = from_rocm_smi(std::string_view(text).substr(0, at));
    if (!part) continue;
    for (std::size_t i = 0; i < part->gpus.size() && i < whole.gpus.size(); ++i)
      if (part->gpus[i].numa_nodes && text.find('\n', first) < at) {
        ASSERT_EQ(show(part->gpus[i].numa_nodes.value), show(whole.gpus[i].numa_nodes.value)) << at;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Corpus, RocmSmiCorpus, testing::ValuesIn(text_cases(kKind)), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RocmSmiCorpus);

}  // namespace
}  // namespace numapin::test
