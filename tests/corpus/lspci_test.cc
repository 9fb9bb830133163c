#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

constexpr std::string_view kKind = "lspci";

TEST(Corpus, HasLspci) { expect_corpus(kKind, 2); }

class LspciCorpus : public testing::TestWithParam<TextCase> {};

TEST_P(LspciCorpus, HasTheGpus) {
  EXPECT_TRUE(looks_like_lspci_tree(GetParam().text));
  const auto m = from_lspci_tree(GetParam().text);
  ASSERT_TRUE(m) << m.error().message;
  expect_valid(*m);
  std::vector<std::string> found, wanted;
  for (const auto& gpu : m->gpus) {
    found.push_back(gpu.address->to_string());
    EXPECT_FALSE(gpu.numa_nodes);  // the tree has no nodes
  }
  for (const auto& gpu : GetParam().expected["gpus"]) wanted.push_back(gpu["address"]);
  EXPECT_EQ(found, wanted);
  EXPECT_TRUE(m->notes.empty()) << m->notes.front();
}

TEST_P(LspciCorpus, IsSafeWhenCut) { expect_truncation_is_safe(GetParam().text, from_lspci_tree); }

INSTANTIATE_TEST_SUITE_P(Corpus, LspciCorpus, testing::ValuesIn(text_cases(kKind)), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LspciCorpus);

}  // namespace
}  // namespace numapin::test
