// Every recorded machine gives a connected graph and finite answers; NCCL's files come back as they were.
#include <gmock/gmock.h>

#include <cmath>

#include "corpus.h"
#include "numapin/analyze.h"
#include "numapin/sources.h"
#include "sources/builtin.h"
#include "texts.h"

namespace numapin::test {
namespace {

using testing::IsEmpty;

/// A rate is a number above 0, or unknown with a reason; a bound names the unknown links.
void expect_sound(const LinkGraph& g, const Route& r, const std::string& where) {
  if (r.gb_per_s) {
    EXPECT_TRUE(std::isfinite(*r.gb_per_s) && *r.gb_per_s > 0) << where;
  } else {
    EXPECT_TRUE(!r.cannot_know.empty() || !r.unknown.empty()) << where << ": no rate, and no reason";
  }
  int at = g.edges[static_cast<std::size_t>(r.edges.front())].from;
  for (const int e : r.edges) {
    EXPECT_EQ(g.edges[static_cast<std::size_t>(e)].from, at) << where << ": the way is broken";
    at = g.edges[static_cast<std::size_t>(e)].to;
  }
  EXPECT_FALSE(route_text(g, r).empty()) << where;
}

void expect_connected(const LinkGraph& g) {
  for (const auto& table : all_pairs(g))
    for (std::size_t i = 0; i < table.rows.size(); ++i)
      for (std::size_t j = 0; j < table.columns.size(); ++j) {
        if (table.rows[i] == table.columns[j]) continue;
        const auto where = to_string(table.rows[i]) + " to " + to_string(table.columns[j]);
        ASSERT_TRUE(table.routes[i][j]) << where << ": not connected";
        expect_sound(g, *table.routes[i][j], where);
      }
}

void expect_finite_traffic(const Machine& m, const LinkGraph& g) {
  std::vector<int> gpus;
  for (const auto& gpu : m.gpus)
    if (gpus.size() < 8) gpus.push_back(gpu.index);
  for (const auto p : {Pattern::kLoad, Pattern::kSave, Pattern::kRing, Pattern::kTree, Pattern::kAllToAll, Pattern::kPipeline, Pattern::kRdma}) {
    const auto flows = flows_of(m, g, p, gpus);
    const auto traffic = run_traffic(g, flows);
    for (const auto& f : traffic.flows)
      if (f.gb_per_s) { EXPECT_TRUE(std::isfinite(*f.gb_per_s) && *f.gb_per_s > 0) << to_string(p) << " " << to_string(f.flow.from) << " " << to_string(f.flow.to); }
    EXPECT_FALSE(advise(g, flows, traffic).sentence.empty()) << to_string(p);
  }
}

void expect_answers(Machine m) {
  complete(m);
  const auto g = make_link_graph(m);
  for (const auto& c : g.channels)
    if (c.capacity.gb_per_s) { EXPECT_TRUE(std::isfinite(*c.capacity.gb_per_s) && *c.capacity.gb_per_s > 0) << c.name; }
  expect_connected(g);
  expect_finite_traffic(m, g);
}

class CorpusAnalyze : public testing::TestWithParam<CorpusCase> {};
TEST_P(CorpusAnalyze, SysfsTreeIsConnectedAndFinite) {
  const auto tree = corpus_tree(GetParam());
  ASSERT_TRUE(tree);
  auto m = from_files(*tree);
  ASSERT_TRUE(m) << m.error().message;
  expect_answers(*m);
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CorpusAnalyze);
INSTANTIATE_TEST_SUITE_P(Machines, CorpusAnalyze, testing::ValuesIn(corpus_cases("sysfs")), [](const auto& one) { return test_name(one.param); });

class TextAnalyze : public testing::TestWithParam<TextCase> {};
TEST_P(TextAnalyze, IsConnectedAndFinite) {
  auto system = open_machine_text(GetParam().text, GetParam().name);
  ASSERT_TRUE(system) << system.error().message;
  expect_answers(system->machine);
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TextAnalyze);
INSTANTIATE_TEST_SUITE_P(Hwloc, TextAnalyze, testing::ValuesIn(text_cases("hwloc-xml")), case_name);
INSTANTIATE_TEST_SUITE_P(Nccl, TextAnalyze, testing::ValuesIn(text_cases("nccl-xml")), case_name);
INSTANTIATE_TEST_SUITE_P(SmiTopo, TextAnalyze, testing::ValuesIn(text_cases("nvidia-smi-topo")), case_name);
INSTANTIATE_TEST_SUITE_P(RocmSmi, TextAnalyze, testing::ValuesIn(text_cases("rocm-smi")), case_name);
INSTANTIATE_TEST_SUITE_P(Numactl, TextAnalyze, testing::ValuesIn(text_cases("numactl-hardware")), case_name);
INSTANTIATE_TEST_SUITE_P(Lscpu, TextAnalyze, testing::ValuesIn(text_cases("lscpu")), case_name);

class NcclRoundTrip : public testing::TestWithParam<TextCase> {};
TEST_P(NcclRoundTrip, WritesWhatItRead) {
  auto m = from_nccl_xml(GetParam().text);
  ASSERT_TRUE(m) << m.error().message;
  auto again = from_nccl_xml(nccl_topology_xml(*m, make_link_graph(*m)));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_THAT(again->notes, IsEmpty());
  EXPECT_EQ(again->nodes, m->nodes);
  EXPECT_EQ(again->architecture, m->architecture);
  EXPECT_EQ(again->gpus, m->gpus);
  EXPECT_EQ(again->nics, m->nics);
  EXPECT_EQ(again->links, m->links);
  EXPECT_EQ(again->pci, m->pci);
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NcclRoundTrip);
INSTANTIATE_TEST_SUITE_P(Nccl, NcclRoundTrip, testing::ValuesIn(text_cases("nccl-xml")), case_name);

/// What nccl/src/graph/xml.cc takes: one blank between attributes, at most 16 of them, values up to 254 characters, no
/// tabs, every element closed.
void expect_nccl_takes(const std::string& xml) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while (at < xml.size()) {
    const auto start = xml.find_first_not_of(" \n", at);
    if (start == std::string::npos) break;
    ASSERT_EQ(xml[start], '<');
    const auto end = xml.find('>', start);
    ASSERT_NE(end, std::string::npos);
    const auto tag = xml.substr(start + 1, end - start - 1);
    at = end + 1;
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(tag.substr(1), open.back());
      open.pop_back();
      continue;
    }
    EXPECT_EQ(tag.find("  "), std::string::npos) << tag;
    EXPECT_EQ(tag.find('\t'), std::string::npos) << tag;
    EXPECT_LE(std::count(tag.begin(), tag.end(), '='), 16) << tag;
    for (std::size_t quote = tag.find('"'); quote != std::string::npos;) {
      const auto close = tag.find('"', quote + 1);
      ASSERT_NE(close, std::string::npos) << tag;
      EXPECT_LE(close - quote - 1, 254u) << tag;
      quote = tag.find('"', close + 1);
    }
    if (tag.back() != '/') open.push_back(tag.substr(0, tag.find(' ')));
  }
  EXPECT_THAT(open, IsEmpty());
}

TEST(NcclXmlWriter, BuiltinMachinesComeBackWithTheirGpusAndNics) {
  for (const auto& known : builtin_machines()) {
    SCOPED_TRACE(known.name);
    const auto m = find_builtin_machine(known.name)->machine;
    const auto xml = nccl_topology_xml(m, make_link_graph(m));
    expect_nccl_takes(xml);
    const auto again = from_nccl_xml(xml);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(again->gpus.size(), m.gpus.size());
    ASSERT_EQ(again->nics.size(), m.nics.size());
    for (std::size_t i = 0; i < m.gpus.size(); ++i) {
      EXPECT_EQ(again->gpus[i].address, m.gpus[i].address);
      EXPECT_EQ(again->gpus[i].numa_nodes.value, m.gpus[i].numa_nodes.value);
    }
    for (std::size_t i = 0; i < m.nics.size(); ++i) EXPECT_EQ(again->nics[i].name, m.nics[i].name);
    const auto nvlinks = [](const Machine& x) { return std::count_if(x.links.begin(), x.links.end(), [](const Link& l) { return l.kind == LinkKind::kNvlink; }); };
    EXPECT_EQ(nvlinks(*again), nvlinks(m));
    expect_answers(*again);
  }
}

TEST(BuiltinAnalyze, IsConnectedAndFinite) {
  for (const auto& known : builtin_machines()) {
    SCOPED_TRACE(known.name);
    expect_answers(find_builtin_machine(known.name)->machine);
  }
}

}  // namespace
}  // namespace numapin::test
