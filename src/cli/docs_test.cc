// Pages of documentation: the commands they show exist with the options they show, and translations keep in step.
// (What `console` blocks print is compared by tests/cli/readme_test.cc.)
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/pages.h"
#include "support/source_dir.h"

namespace numapin::cli {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<fs::path> pages_of_docs() {
  std::vector<fs::path> found = {test::source_dir() / "README.md", test::source_dir() / "README.zh-CN.md"};
  for (const auto& entry : fs::directory_iterator(test::source_dir() / "docs")) {
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  }
  return found;
}

struct Block {
  std::string kind;
  std::string text;
  int line = 0;
};

std::vector<Block> blocks_of(std::string_view page) {
  std::vector<Block> blocks;
  bool inside = false;
  int number = 0;
  for (const auto line : split_lines(page)) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({std::string(line.substr(3)), "", number});
    } else if (inside) {
      blocks.back().text += std::string(line) + "\n";
    }
  }
  return blocks;
}

const CommandPage* find_page(std::string_view name) {
  static const auto all = command_pages();
  const auto found = std::find_if(all.begin(), all.end(), [&](const CommandPage& p) { return p.name == name; });
  return found == all.end() ? nullptr : &*found;
}

bool has_option(const CommandPage& page, std::string_view word) {
  const auto name = word.substr(0, word.find('='));
  return std::any_of(page.options.begin(), page.options.end(), [&](const OptionPage& o) {
    return std::find(o.names.begin(), o.names.end(), name) != o.names.end();
  });
}

/// What is wrong with the words behind "numapin"; "" when nothing is.
std::string fault(const std::vector<std::string_view>& words) {
  if (words.empty() || words[0].starts_with('-')) return {};
  static const std::set<std::string_view> kOther = {"help", "version", "COMMAND"};
  if (kOther.contains(words[0])) return {};
  const auto* page = find_page(words[0]);
  if (page == nullptr) return "no command " + std::string(words[0]);
  for (const auto word : std::vector(words.begin() + 1, words.end())) {
    if (word == "--" || word == "#" || word == "|" || word == ">" || word == "\\") break;
    if (word.starts_with("--") && !has_option(*page, word)) return "no option " + std::string(word) + " of " + page->name;
  }
  return {};
}

/// Each "numapin ..." that a line types: at its start, behind a prompt, another command or an assignment.
void check_line(std::string_view line, const std::string& where) {
  const auto words = split_words(line);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "#") return;
    if (words[i] != "numapin" && words[i] != "`numapin") continue;
    EXPECT_EQ(fault({words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end()}), "") << where << ": " << line;
  }
}

TEST(Docs, TypeOnlyCommandsAndOptionsThatExist) {
  int lines = 0;
  for (const auto& path : pages_of_docs()) {
    const auto text = read(path);
    for (const auto& block : blocks_of(text)) {
      if (block.kind != "sh" && block.kind != "console") continue;
      const bool has_prompts = block.text.starts_with("$ ") || block.text.find("\n$ ") != block.text.npos;
      for (const auto line : split_lines(block.text)) {
        if (has_prompts && !line.starts_with("$ ")) continue;  // what it prints
        check_line(line, path.filename().string() + ":" + std::to_string(block.line));
        ++lines;
      }
    }
  }
  EXPECT_GE(lines, 50);
}

TEST(Docs, SayOfEachBlockWhatItIs) {
  static const std::set<std::string> kKinds = {"console", "sh", "text", "cpp", "c", "python", "json", "cmake", "yaml", "css", "toml", "ini"};
  for (const auto& path : pages_of_docs()) {
    const auto text = read(path);
    for (const auto& block : blocks_of(text))
      EXPECT_TRUE(kKinds.contains(block.kind)) << path.filename() << ':' << block.line << ": ```" << block.kind;
  }
}

/// The test that types console blocks again takes lines behind a prompt; a block without one would be believed unread.
TEST(Docs, ConsoleBlocksBeginWithACommand) {
  for (const auto& path : pages_of_docs()) {
    const auto text = read(path);
    for (const auto& block : blocks_of(text)) {
      if (block.kind == "console") {
        EXPECT_TRUE(block.text.starts_with("$ numapin ")) << path.filename() << ':' << block.line;
      }
    }
  }
}

/// A block by indentation has no kind, so that nothing here would check it.
TEST(Docs, FenceWhatIsToBeTyped) {
  for (const auto& path : pages_of_docs()) {
    const auto text = read(path);
    bool inside = false;
    int number = 0;
    for (const auto line : split_lines(text)) {
      ++number;
      if (line.starts_with("```")) inside = !inside;
      EXPECT_FALSE(!inside && line.starts_with("    ") && trim(line).starts_with("numapin ")) << path.filename() << ':' << number << ": " << line;
    }
  }
}

/// Where a command has its page; those that are not named so share one.
std::string page_of_command(const std::string& name) {
  if (name == "oci-runtime") return "containers.md";
  return name == "completion" ? "packages.md" : name + ".md";
}

TEST(Docs, GiveEveryCommandAPageWithWhatItPrints) {
  const auto top = test::source_dir() / "docs";
  const auto index = read(top / "README.md");
  for (const auto& command : command_pages()) {
    const auto page = page_of_command(command.name);
    ASSERT_TRUE(fs::exists(top / page)) << command.name;
    const auto text = read(top / page);
    EXPECT_NE(text.find("numapin " + command.name), text.npos) << command.name;
    EXPECT_NE(index.find("](" + page + ")"), index.npos) << "docs/README.md does not lead to " << page;
    const auto blocks = blocks_of(text);
    EXPECT_TRUE(std::any_of(blocks.begin(), blocks.end(), [](const Block& b) {
      return (b.kind == "console" || b.kind == "text") && (b.text.starts_with("$ ") || b.text.starts_with("# "));
    })) << page << " has no block with a command and its output";
  }
}

/// Links between the pages lead somewhere.
TEST(Docs, HaveNoDeadLinks) {
  for (const auto& path : pages_of_docs()) {
    const auto text = read(path);
    for (auto at = text.find("]("); at != text.npos; at = text.find("](", at + 2)) {
      const auto target = text.substr(at + 2, text.find_first_of(")#", at + 2) - at - 2);
      if (target.empty() || target.find("://") != target.npos || target.find_first_of(" \n\"'`") != target.npos) continue;
      EXPECT_TRUE(fs::exists(path.parent_path() / target)) << path.filename() << " links to " << target;
    }
  }
}

std::vector<int> heading_levels(std::string_view page) {
  std::vector<int> levels;
  bool inside = false;
  for (const auto line : split_lines(page)) {
    if (line.starts_with("```")) inside = !inside;
    if (!inside && line.starts_with('#')) levels.push_back(static_cast<int>(line.find_first_not_of('#')));
  }
  return levels;
}

void expect_in_step(const fs::path& original, const fs::path& translation) {
  const auto ours = read(original), theirs = read(translation);
  EXPECT_EQ(heading_levels(ours), heading_levels(theirs)) << translation.filename() << ": headings differ";
  const auto a = blocks_of(ours), b = blocks_of(theirs);
  ASSERT_EQ(a.size(), b.size()) << translation.filename() << ": code blocks differ";
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].kind, b[i].kind) << translation.filename() << ':' << b[i].line;
    EXPECT_EQ(a[i].text, b[i].text) << translation.filename() << ':' << b[i].line;
  }
}

TEST(Docs, TranslationsKeepInStep) {
  const auto top = test::source_dir();
  expect_in_step(top / "README.md", top / "README.zh-CN.md");
  expect_in_step(top / "docs/getting-started.md", top / "docs/getting-started.zh-CN.md");
}

}  // namespace
}  // namespace numapin::cli
