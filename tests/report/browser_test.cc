// Pages and drawings laid out by a real browser: no text on top of other text, none cut off. Needs Debian's chromium;
// takes some seconds, so it runs where NUMAPIN_TEST_BROWSER is set.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "pages.h"
#include "render/topo.h"
#include "render/xml_text.h"

namespace numapin::test {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string frame(const std::string& title, int width, const std::string& page) {
  return "<iframe title=\"" + xml_text(title) + "\" width=\"" + std::to_string(width) + "\" height=\"800\" style=\"border:0\" srcdoc=\"" +
         xml_text(page) + "\"></iframe>\n";
}

/// Each machine at the width of a desk and of a phone, and its drawing alone; and a comparison.
std::string host_page(const std::vector<NamedSystem>& systems) {
  std::string text = "<!DOCTYPE html><meta charset=\"utf-8\"><pre id=\"faults\"></pre>\n<script>" + contents(NUMAPIN_LAYOUT_JS) + "</script>\n";
  for (const auto& named : systems) {
    const auto page = page_of(named.system);
    for (const int width : {1400, 400}) text += frame(named.name + " at " + std::to_string(width), width, page);
    text += frame(named.name + " drawn", 6000, "<!DOCTYPE html><body style=\"margin:0\">" + topo_svg(named.system));
  }
  for (const int width : {1400, 400}) text += frame("a comparison at " + std::to_string(width), width, compare_html(comparison()));
  return text;
}

std::string run(const std::string& command) {
  std::string out;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[4096];
    while (const auto n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    pclose(pipe);
  }
  return out;
}

TEST(Browser, FindsNothingOnTopOfAnything) {
  if (std::getenv("NUMAPIN_TEST_BROWSER") == nullptr) GTEST_SKIP() << "takes a minute: NUMAPIN_TEST_BROWSER=1 runs it";
  if (run("command -v chromium").empty()) GTEST_SKIP() << "no chromium (Debian: chromium)";
  const auto directory = fs::path(testing::TempDir()) / "numapin-browser";
  fs::create_directories(directory);
  auto systems = shapes();
  for (auto& recorded : recordings()) systems.push_back(std::move(recorded));
  std::ofstream(directory / "host.html") << host_page(systems);
  const auto dom = run("timeout 240 chromium --headless --no-sandbox --disable-gpu --user-data-dir=" + (directory / "profile").string() +
                       " --dump-dom file://" + (directory / "host.html").string() + " 2>/dev/null");
  const auto from = dom.find("<pre id=\"faults\">"), to = dom.find("</pre>", from);
  ASSERT_NE(from, dom.npos) << "the browser gave no page";
  std::size_t checked = 0;
  for (const auto line : split_lines(std::string_view(dom).substr(from, to - from))) {
    if (line.find("checked ") != line.npos) ++checked;
    EXPECT_EQ(line.find("FAULT "), line.npos) << line;
  }
  EXPECT_EQ(checked, 3 * systems.size() + 2);
  fs::remove_all(directory);
}

}  // namespace
}  // namespace numapin::test
