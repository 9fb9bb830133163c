#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>
#include <set>

#include "pages.h"
#include "render/topo.h"

namespace numapin::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// "" when the text is one well-formed element.
std::string xml_error(const std::string& text) {
  pugi::xml_document document;
  const auto result = document.load_buffer(text.data(), text.size(), pugi::parse_full, pugi::encoding_utf8);
  if (!result) return std::string(result.description()) + " at ..." + text.substr(static_cast<std::size_t>(result.offset), 80);
  return document.document_element() ? "" : "no element";
}

/// Text as a reader sees it.
std::string visible_text(const std::string& page) {
  struct Walker : pugi::xml_tree_walker {
    std::string text;
    bool for_each(pugi::xml_node& node) override {
      if (node.type() == pugi::node_pcdata && std::string_view(node.parent().name()) != "style") text += node.value() + std::string(" ");
      return true;
    }
  } walker;
  pugi::xml_document document;
  document.load_buffer(page.data(), page.size());
  document.traverse(walker);
  return walker.text;
}

/// Well-formed, and in need of nothing else: no script, no file, no network.
void expect_good(const NamedSystem& named) {
  const auto drawing = topo_svg(named.system), page = page_of(named.system);
  EXPECT_EQ(xml_error(drawing), "") << named.name;
  EXPECT_EQ(xml_error(page), "") << named.name;
  for (const auto* reference : {"<script", "src=", "url(", "@import", "<link", "<iframe"})
    EXPECT_EQ(page.find(reference), page.npos) << named.name << " has " << reference;
}

TEST(Drawings, AreGoodForEveryShape) {
  for (const auto& named : shapes()) expect_good(named);
}

TEST(Drawings, AreGoodForEveryRecording) {
  const auto all = recordings();
  EXPECT_GE(all.size(), 10u);
  for (const auto& named : all) expect_good(named);
}

TEST(ComparePage, IsGoodXmlAndNeedsNothingElse) {
  auto c = comparison();
  c.command.push_back("<script>alert('&\"')</script>");
  c.trials.back().last_lines = {"--></pre><svg onload=x>"};
  const auto page = compare_html(c);
  EXPECT_EQ(xml_error(page), "");
  for (const auto* reference : {"<script", "src=", "url(", "@import", "<link", "<iframe", "<svg onload"}) EXPECT_EQ(page.find(reference), page.npos) << reference;
  EXPECT_THAT(page, HasSubstr("Killed"));
}

TEST(Drawings, AreGoodForTheCorpus) {
  const auto all = corpus_systems();
  if (all.empty()) GTEST_SKIP() << "no corpus (set NUMAPIN_CORPUS)";
  for (const auto& named : all) expect_good(named);
}

TEST(Drawings, ShowEveryCpuAndDevice) {
  for (const auto& named : shapes()) {
    const auto& m = named.system.machine;
    if (m.cores.size() > 300) continue;  // drawn without numbers
    pugi::xml_document document;
    const auto svg = topo_svg(named.system);
    ASSERT_TRUE(document.load_buffer(svg.data(), svg.size()));
    std::multiset<std::string> texts, titles;
    for (const auto& found : document.select_nodes("//*[local-name()='text']")) texts.insert(found.node().text().get());
    for (const auto& found : document.select_nodes("//*[local-name()='title']")) titles.insert(found.node().text().get());
    for (const auto cpu : online_cpus(m)) EXPECT_EQ(titles.count("CPU " + std::to_string(number(cpu))) +
                                                    titles.count("CPU " + std::to_string(number(cpu)) + ", not allowed here"), 1u)
        << named.name << " CPU " << number(cpu);
    for (const auto& gpu : m.gpus) EXPECT_GE(texts.count("GPU " + std::to_string(gpu.index)), 1u) << named.name;
    for (const auto& node : m.nodes) {
      if (node.cpus && !node.cpus->empty()) {
        EXPECT_EQ(texts.count("Node " + std::to_string(number(node.id))), 1u) << named.name;
      }
    }
  }
}

System builtin(const std::string& name) {
  for (auto& named : shapes()) {
    if (named.name == name) return named.system;
  }
  ADD_FAILURE() << "no machine " << name;
  return {};
}

TEST(Report, AnswersFirst) {
  const auto text = visible_text(page_of(builtin("dual-a100")));
  EXPECT_THAT(text, HasSubstr("GPUs 0-3 are beside node 0, GPUs 4-7 beside node 1."));
  EXPECT_LT(text.find("beside node 1."), text.find("The machine"));
}

TEST(Report, DoesNotGuess) {
  const auto text = visible_text(page_of(builtin("vm-2node-unknown")));
  EXPECT_THAT(text, HasSubstr("which node GPUs 0-3 are near"));
  EXPECT_THAT(text, HasSubstr("none known"));
  EXPECT_THAT(text, Not(HasSubstr("Cores have the tint")));
}

TEST(Report, ShowsWhatWasMeasured) {
  const auto page = page_of(builtin("dual-a100"));
  EXPECT_THAT(page, HasSubstr("<h3>Memory read, GB/s</h3>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"h5\">100</td><td class=\"h1\">55.0</td>"));
}

TEST(Report, JudgesProcesses) {
  const auto text = visible_text(page_of(builtin("dual-a100")));
  EXPECT_THAT(text, HasSubstr("1 in the wrong place"));
  EXPECT_THAT(text, HasSubstr("numapin rebind 4242"));
}

TEST(Report, ShowsWhatDoctorFound) {
  const auto text = visible_text(page_of(builtin("vm-2node-unknown")));
  EXPECT_THAT(text, HasSubstr("What doctor found"));
  EXPECT_THAT(text, testing::ContainsRegex("[1-9][0-9]* warning"));
}

TEST(Report, IsTheSameEveryTime) { EXPECT_EQ(page_of(builtin("dgx-h100")), page_of(builtin("dgx-h100"))); }

}  // namespace
}  // namespace numapin::test
