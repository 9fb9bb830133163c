// The pages say what the program does: each "```console" block of README.md and docs/ is typed again, here and now.
// Such a block holds only commands that give the same on every machine (--machine NAME); others are "```sh" or "```text".
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "console_blocks.h"
#include "run_numapin.h"
#include "support/source_dir.h"

namespace numapin::test {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::filesystem::path> pages() {
  std::vector<std::filesystem::path> found;
  for (const auto* name : {"README.md", "README.zh-CN.md"}) {
    if (std::filesystem::exists(source_dir() / name)) found.push_back(source_dir() / name);
  }
  if (!std::filesystem::is_directory(source_dir() / "docs")) return found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_dir() / "docs")) {
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  }
  return found;
}

TEST(Pages, ShowWhatTheProgramPrints) {
  int typed = 0;
  for (const auto& page : pages()) {
    for (const auto& command : console_commands(read(page))) {
      ++typed;
      const auto where = page.filename().string() + ":" + std::to_string(command.line);
      EXPECT_TRUE(command.typed.starts_with("numapin ")) << where << ": only numapin in a console block";
      const auto ran = run_shell("cd " + source_dir().string() + "; { " + command.typed + "; } 2>&1");
      EXPECT_TRUE(matches(command.expected, ran.out)) << where << ": $ " << command.typed << "\nprints now:\n" << ran.out;
    }
  }
  if (!std::filesystem::exists(source_dir() / "README.md")) GTEST_SKIP() << "no README.md";
  EXPECT_GE(typed, 1) << "README.md has no console block";
}

TEST(ConsoleBlocks, AreFoundWithTheirOutput) {
  const auto found = console_commands("text\n$ not this\n```console\n$ numapin a \\\n  --b\none\n\ntwo\n$ numapin c\n```\n"
                                      "```sh\n$ nor this\n```\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].typed, "numapin a   --b");
  EXPECT_EQ(found[0].expected, "one\n\ntwo\n");
  EXPECT_EQ(found[0].line, 4);
  EXPECT_EQ(found[1].typed, "numapin c");
  EXPECT_EQ(found[1].expected, "");
}

TEST(ConsoleBlocks, CompareLineByLineWithGaps) {
  EXPECT_TRUE(matches("a\nb\n", "a\nb\n"));
  EXPECT_FALSE(matches("a\n", "a\nb\n"));
  EXPECT_FALSE(matches("a\nb\n", "a\n"));
  EXPECT_TRUE(matches("a\n...\nd\n", "a\nb\nc\nd\n"));
  EXPECT_TRUE(matches("a\n...\n", "a\n"));
  EXPECT_FALSE(matches("a\n...\nx\n", "a\nb\n"));
}

}  // namespace
}  // namespace numapin::test
