// Every recorded tree, as a snapshot: the same machine comes out, no question is left without an answer.
#include <gtest/gtest.h>

#include "corpus.h"
#include "numapin/sources.h"

namespace numapin::test {
namespace {

class SnapshotOfCorpus : public testing::TestWithParam<CorpusCase> {};

template <class T>
void expect_answers(const std::map<std::string, Result<T>>& answers) {
  for (const auto& [path, answer] : answers)
    EXPECT_TRUE(answer || answer.error().kind != Error::Kind::kNotRecorded) << answer.error().message;
}

TEST_P(SnapshotOfCorpus, ReplaysTheSameSystem) {
  const auto tree = corpus_tree(GetParam());
  ASSERT_TRUE(tree);
  SnapshotOptions options;
  options.keep_ids = true;
  const auto text = make_snapshot(*tree, nullptr, options);
  ASSERT_TRUE(text) << text.error().message;
  // Distances grow with the square of the nodes: the promise is for machines people have, not for a 64-node Itanium.
  const auto nodes = discover(*tree, nullptr)->machine.nodes.size();
  EXPECT_LT(text->size(), (nodes <= 32 ? 200U : 300U) * 1024);
  const auto replayed_tree = make_snapshot_tree(*text, "m.snap");
  ASSERT_TRUE(replayed_tree) << replayed_tree.error().message;
  const RecordingTree asked(**replayed_tree);
  const auto live = discover(*tree, nullptr), replayed = discover(asked, nullptr);
  ASSERT_TRUE(live && replayed);
  EXPECT_EQ(to_json(*live), to_json(*replayed));
  expect_answers(asked.record().reads);
  expect_answers(asked.record().lists);
  expect_answers(asked.record().resolves);
  RecordProperty("bytes", static_cast<int>(text->size()));
}

TEST_P(SnapshotOfCorpus, IsTheSameMachineWithoutNames) {
  const auto tree = corpus_tree(GetParam());
  ASSERT_TRUE(tree);
  const auto text = make_snapshot(*tree, nullptr, {});
  ASSERT_TRUE(text) << text.error().message;
  const auto replayed_tree = make_snapshot_tree(*text, "m.snap");
  ASSERT_TRUE(replayed_tree) << replayed_tree.error().message;
  auto live = discover(*tree, nullptr), replayed = discover(**replayed_tree, nullptr);
  ASSERT_TRUE(live && replayed);
  for (auto* s : {&*live, &*replayed}) {
    s->machine.hostname = {};
    s->allowance.cgroup = {};
    for (auto& gpu : s->machine.gpus) gpu.uuid = {};
    for (auto& device : s->machine.pci) device.host_bridge = {};
  }
  EXPECT_EQ(to_json(*live), to_json(*replayed));
}

INSTANTIATE_TEST_SUITE_P(Corpus, SnapshotOfCorpus, testing::ValuesIn(corpus_cases("sysfs")),
                         [](const auto& c) { return test_name(c.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SnapshotOfCorpus);

}  // namespace
}  // namespace numapin::test
