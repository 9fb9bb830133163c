#include <algorithm>

#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "nvidia-smi-topo";

TEST(Corpus, HasSmiTopo) { expect_corpus(kKind, 52); }

class SmiTopoCorpus : public testing::TestWithParam<TextCase> {
 protected:
  const json& expected() const { return GetParam().expected; }
  Machine read() const {
    auto m = from_smi_topo(GetParam().text);
    EXPECT_TRUE(m) << (m ? "" : m.error().message);
    return m ? *m : Machine{};
  }
};

/// Reference of a column: GPUs and the others count on their own.
std::optional<DeviceRef> find_column(const json& columns, const std::string& name) {
  DeviceRef gpu{DeviceRef::Type::kGpu, 0}, nic{DeviceRef::Type::kNic, 0};
  for (const auto& column : columns) {
    auto& ref = column.get<std::string>().starts_with("GPU") ? gpu : nic;
    if (column == name) return ref;
    ++ref.index;
  }
  return std::nullopt;
}

const Gpu* find_gpu_named(const Machine& m, const std::string& name) {
  const auto at = std::find_if(m.gpus.begin(), m.gpus.end(), [&](const Gpu& g) { return g.name == name; });
  return at == m.gpus.end() ? nullptr : &*at;
}

TEST_P(SmiTopoCorpus, IsRecognised) { EXPECT_TRUE(looks_like_smi_topo(GetParam().text)); }

TEST_P(SmiTopoCorpus, IsValid) { expect_valid(read()); }

TEST_P(SmiTopoCorpus, HasTheDevicesOfTheHeader) {
  const auto m = read();
  const auto& columns = expected()["format"]["columns"];
  EXPECT_EQ(m.gpus.size(), expected()["gpu_count_in_header"].get<std::size_t>());
  EXPECT_EQ(m.gpus.size() + m.nics.size(), columns.size());
  const auto& legend = expected()["nic_legend"];
  for (const auto& column : columns) {
    const auto ref = find_column(columns, column);
    if (ref->type == DeviceRef::Type::kGpu) continue;
    const auto& nic = m.nics.at(static_cast<std::size_t>(ref->index));
    const auto name = column.get<std::string>();
    const std::string wanted = legend.is_object() && legend.contains(name) ? legend[name].get<std::string>()
                               : name.starts_with("NIC")                   ? ""
                                                                           : name;
    EXPECT_EQ(nic.name, wanted) << column;
  }
}

TEST_P(SmiTopoCorpus, HasTheAffinitiesOfEachGpu) {
  const auto m = read();
  for (const auto& wanted : expected()["gpus"]) {
    const auto name = "GPU" + std::to_string(wanted["index"].get<int>());
    const auto* gpu = find_gpu_named(m, name);
    ASSERT_NE(gpu, nullptr) << name;
    EXPECT_EQ(gpu->nvml_index.value, wanted["index"].get<int>());
    const auto cpus = cpus_of_json(wanted["cpu_affinity"]);
    EXPECT_EQ(show(gpu->local_cpus.value), show(cpus && !cpus->empty() ? cpus : std::nullopt)) << name;
    // null: not known; several: the driver does not know which (README of the corpus)
    std::optional<NodeSet> nodes;
    if (wanted["numa_affinity"].is_array() && wanted["numa_affinity"].size() == 1)
      nodes = NodeSet{wanted["numa_affinity"][0].get<int>()};
    EXPECT_EQ(show(gpu->numa_nodes.value), show(nodes)) << name;
    std::optional<NodeId> memory;
    if (!wanted["gpu_numa_id"].is_null()) memory = NodeId{wanted["gpu_numa_id"].get<int>()};
    EXPECT_EQ(gpu->memory_node.value, memory) << name;
  }
}

TEST_P(SmiTopoCorpus, HasTheLinksOfEachWholeRow) {
  const auto m = read();
  const auto& columns = expected()["format"]["columns"];
  for (const auto& row : expected()["rows"]) {
    if (!row["complete"].get<bool>()) continue;
    const auto from = find_column(columns, row["name"]);
    ASSERT_TRUE(from) << row["name"];
    for (const auto& [name, cell] : row["links"].items()) {
      const auto to = find_column(columns, name);
      if (cell == "X") {
        EXPECT_EQ(from, to);
        continue;
      }
      const auto* link = find_link(m, *from, *to);
      ASSERT_NE(link, nullptr) << row["name"] << " to " << name;
      EXPECT_EQ(to_string(*link), cell.get<std::string>()) << row["name"] << " to " << name;
    }
  }
}

TEST_P(SmiTopoCorpus, NotesWhatIsNotWhole) {
  const auto m = read();
  bool whole = expected()["gpus"].size() == expected()["gpu_count_in_header"].get<std::size_t>();
  for (const auto& row : expected()["rows"]) whole = whole && row["complete"].get<bool>();
  if (!whole) {
    EXPECT_FALSE(m.notes.empty());
  }
}

TEST_P(SmiTopoCorpus, SaysNothingFalseWhenCut) {
  // Not in the last GPU's row: there a list without its end looks like a whole one, as pasted texts often lack the
  // last line end.
  const auto& text = GetParam().text;
  const auto last = "GPU" + std::to_string(expected()["gpus"].back()["index"].get<int>());
  expect_truncation_is_honest(text, from_smi_topo, text.rfind(last, text.find("Legend")));
}

INSTANTIATE_TEST_SUITE_P(Corpus, SmiTopoCorpus, testing::ValuesIn(text_cases(kKind)), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SmiTopoCorpus);

}  // namespace
}  // namespace numapin::test
