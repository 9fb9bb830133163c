#include <algorithm>

#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "numactl-hardware";

TEST(Corpus, HasNumactlHardware) { expect_corpus(kKind, 18); }

class NumactlCorpus : public testing::TestWithParam<TextCase> {
 protected:
  Machine read() const {
    auto m = from_numactl_hardware(GetParam().text);
    EXPECT_TRUE(m) << (m ? "" : m.error().message);
    return m ? *m : Machine{};
  }
};

std::optional<std::uint64_t> bytes_of(const json& mb) {
  return mb.is_null() ? std::nullopt : std::optional(mb.get<std::uint64_t>() << 20);
}

std::optional<int> stated_distance(const Machine& m, int from, int to) {
  const auto* node = find_node(m, NodeId{from});
  if (node == nullptr || !node->distances || !node->distances->contains(to)) return std::nullopt;
  return node->distances->at(to);
}

bool is_set(const json& node, const char* flag) { return node.contains(flag) && node[flag] == true; }

TEST_P(NumactlCorpus, IsRecognised) { EXPECT_TRUE(looks_like_numactl_hardware(GetParam().text)); }

TEST_P(NumactlCorpus, IsValid) { expect_valid(read()); }

TEST_P(NumactlCorpus, HasTheNodes) {
  const auto m = read();
  const auto& nodes = GetParam().expected["nodes"];
  EXPECT_EQ(m.nodes.size(), nodes.size());
  for (const auto& wanted : nodes) {
    const auto* node = find_node(m, NodeId{wanted["os_index"].get<int>()});
    ASSERT_NE(node, nullptr) << wanted;
    const bool damaged = is_set(wanted, "cpulist_elided") || is_set(wanted, "cpulist_cut");
    EXPECT_EQ(show(node->cpus.value), damaged ? "unknown" : show(cpus_of_json(wanted["cpulist"]))) << wanted;
    EXPECT_EQ(node->memory_total_bytes.value, bytes_of(wanted["size_mb"])) << wanted;
    EXPECT_EQ(node->memory_free_bytes.value, bytes_of(wanted["free_mb"])) << wanted;
  }
}

TEST_P(NumactlCorpus, HasTheDistances) {
  const auto m = read();
  const auto& distances = GetParam().expected["distances"];
  if (distances.is_null()) {
    for (const auto& node : m.nodes) EXPECT_FALSE(node.distances);
    return;
  }
  const auto& nodes = distances["nodes"];
  for (std::size_t from = 0; from < nodes.size(); ++from) {
    const auto& row = distances["matrix"][from];
    const auto cells = row.is_null() ? 0 : row.size();
    for (std::size_t to = 0; to < nodes.size(); ++to) {
      const auto wanted = to < cells && !row[to].is_null() ? std::optional(row[to].get<int>()) : std::nullopt;
      EXPECT_EQ(stated_distance(m, nodes[from], nodes[to]), wanted) << nodes[from] << " to " << nodes[to];
    }
  }
}

TEST_P(NumactlCorpus, NotesWhatIsNotWhole) { EXPECT_EQ(read().notes.empty(), GetParam().expected["complete"].get<bool>()); }

TEST_P(NumactlCorpus, SaysNothingFalseWhenCut) {
  const auto& text = GetParam().text;
  expect_truncation_is_safe(text, from_numactl_hardware);
  const auto whole = read();
  for (std::size_t at = 0; at < text.size(); at += 1 + text.size() / 200) {
    SCOPED_TRACE("cut after " + std::to_string(at) + " bytes");
    const auto part = from_numactl_hardware(std::string_view(text).substr(0, at));
    if (!part) continue;
    for (const auto& node : part->nodes) {
      const auto* same = find_node(whole, node.id);
      ASSERT_NE(same, nullptr);
      if (node.cpus) {
        EXPECT_EQ(show(node.cpus.value), show(same->cpus.value));
      }
      if (node.memory_total_bytes) {
        EXPECT_EQ(node.memory_total_bytes, same->memory_total_bytes);
      }
      if (!node.distances) continue;
      for (const auto& [to, value] : *node.distances) EXPECT_EQ(distance(whole, node.id, NodeId{to}), value);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Corpus, NumactlCorpus, testing::ValuesIn(text_cases(kKind)), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NumactlCorpus);

}  // namespace
}  // namespace numapin::test
