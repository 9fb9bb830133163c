// Every command is described, has examples, and appears with all its options in man pages and completions.
#include "cli/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "cli/completion_scripts.h"
#include "cli/man_page.h"

namespace numapin::cli {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<CommandPage>& pages() {
  static const auto all = command_pages();
  return all;
}

/// Standard output of a shell command.
std::string output_of(const std::string& command) {
  std::string out;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[4096];
    while (const auto n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    pclose(pipe);
  }
  return out;
}

bool is_installed(const std::string& program) { return !output_of("command -v " + program).empty(); }

TEST(Pages, DescribeEveryCommandAndOption) {
  for (const auto& page : pages()) {
    EXPECT_GE(split_words(page.summary).size(), 3u) << page.name;
    for (const auto& o : page.options) EXPECT_GE(split_words(o.help).size(), 2u) << page.name << ' ' << o.names.front();
  }
}

TEST(Pages, GiveTwoExamplesOfEveryCommand) {
  for (const auto& page : pages()) {
    int examples = 0;
    for (const auto& line : page.examples) examples += line.find("numapin " + page.name) != line.npos;
    EXPECT_GE(examples, 2) << page.name;
  }
}

std::string roff_of(std::string text) {
  for (auto at = text.find('-'); at != text.npos; at = text.find('-', at + 2)) text.insert(at, 1, '\\');
  return text;
}

TEST(ManPages, HaveALineForEveryOption) {
  for (const auto& page : pages()) {
    const auto man = man_page(page);
    for (const auto& o : page.options) EXPECT_THAT(man, HasSubstr("\\fB" + roff_of(o.names.front()) + "\\fR")) << page.name;
    for (const auto* section : {".SH NAME\nnumapin\\-", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", ".SH EXAMPLES", ".SH EXIT STATUS"})
      EXPECT_THAT(man, HasSubstr(section)) << page.name;
  }
}

TEST(ManPages, NameEveryCommandOnTheFirst) {
  const auto man = man_page(pages());
  for (const auto& page : pages()) EXPECT_THAT(man, HasSubstr("See \\fBnumapin\\-" + roff_of(page.name) + "\\fR(1)."));
}

TEST(ManPages, AreGoodRoff) {
  if (!is_installed("groff")) GTEST_SKIP() << "no groff";
  const auto file = fs::path(testing::TempDir()) / ("numapin-man-" + std::to_string(getpid()));
  std::vector<std::string> all = {man_page(pages())};
  for (const auto& page : pages()) all.push_back(man_page(page));
  for (const auto& text : all) {
    std::ofstream(file) << text;
    EXPECT_EQ(output_of("groff -man -Tutf8 -ww -z " + file.string() + " 2>&1"), "") << text.substr(0, 60);
  }
  fs::remove(file);
}

TEST(Completions, NameEveryCommandAndOption) {
  const auto bash = bash_completion(pages()), zsh = zsh_completion(pages()), fish = fish_completion(pages());
  for (const auto& page : pages()) {
    EXPECT_THAT(zsh, HasSubstr("    '" + page.name + ":"));
    EXPECT_THAT(fish, HasSubstr(" -a " + page.name + " -d "));
    for (const auto& o : page.options) {
      if (o.is_argument) continue;
      for (const auto& name : o.names) {
        EXPECT_THAT(bash, HasSubstr(name + " ")) << page.name;
        EXPECT_THAT(zsh, HasSubstr("'" + name)) << page.name;
        EXPECT_THAT(fish, HasSubstr(name.starts_with("--") ? " -l " + name.substr(2) + " " : " -s " + name.substr(1) + " ")) << page.name;
      }
    }
  }
}

/// What bash would offer for the words typed so far, with a numapin that knows two GPUs.
class Bash : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_installed("bash")) GTEST_SKIP() << "no bash";
    file_ = fs::path(testing::TempDir()) / ("numapin-bash-" + std::to_string(getpid()));
    std::ofstream(file_) << "numapin() { case $3 in gpus) printf '0\\tA100, node 0\\n1\\tA100, node 1\\nall\\tall\\n';; "
                            "machines) printf 'dgx-h100\\tx\\ndual-a100\\ty\\n';; esac; }\n"
                         << bash_completion(pages());
  }
  void TearDown() override { fs::remove(file_); }
  std::vector<std::string> offered(const std::vector<std::string>& words) const {
    std::string command = "cd /; source " + file_.string() + "; COMP_WORDS=(";
    for (const auto& word : words) command += " \"" + word + "\"";
    command += "); COMP_CWORD=" + std::to_string(words.size() - 1) + "; _numapin; printf \"%s\\n\" \"${COMPREPLY[@]}\"";
    std::vector<std::string> lines;
    const auto output = output_of("bash -c '" + command + "' 2>&1");
    for (const auto line : split_lines(output)) {
      if (!line.empty()) lines.emplace_back(line);
    }
    return lines;
  }
  fs::path file_;
};

TEST_F(Bash, OffersCommands) {
  EXPECT_THAT(offered({"numapin", "re"}), testing::IsSupersetOf({"rebind", "report"}));
  EXPECT_THAT(offered({"numapin", "help", "sna"}), ElementsAre("snapshot"));
}

TEST_F(Bash, OffersOptionsOfTheCommand) {
  EXPECT_THAT(offered({"numapin", "topo", "--mat"}), ElementsAre("--matrix"));
  EXPECT_THAT(offered({"numapin", "topo", "--gpu"}), testing::IsEmpty());
}

TEST_F(Bash, OffersGpusOfThisMachine) {
  EXPECT_THAT(offered({"numapin", "run", "--gpu", ""}), ElementsAre("0", "1", "all"));
  EXPECT_THAT(offered({"numapin", "run", "--gpu", "0,"}), Contains("0,1"));
  EXPECT_THAT(offered({"numapin", "run", "--gpu", "=", "a"}), ElementsAre("all"));
}

TEST_F(Bash, OffersMachinesAndFiles) {
  EXPECT_THAT(offered({"numapin", "topo", "--machine", "du"}), ElementsAre("dual-a100"));
  EXPECT_THAT(offered({"numapin", "topo", "--machine", "/et"}), ElementsAre("/etc"));
}

TEST_F(Bash, OffersTheWordsOfAnOption) {
  EXPECT_THAT(offered({"numapin", "run", "--memory", "we"}), ElementsAre("weighted-interleave"));
  EXPECT_THAT(offered({"numapin", "launch", "--cpus", "=", "so"}), ElementsAre("socket"));
}

TEST_F(Bash, GoesOnWithTheProgramToStart) {
  EXPECT_THAT(offered({"numapin", "run", "--gpu", "0", "--", "bas"}), Contains("bash"));
  EXPECT_THAT(offered({"numapin", "run", "--gpu", "0", "bas"}), Contains("bash"));
  EXPECT_THAT(offered({"numapin", "run", "--gpu", "0", "--", "ls", "/et"}), ElementsAre("/etc"));
  EXPECT_THAT(offered({"numapin", "run", "--gpu", "0", "ls", "--mem"}), testing::IsEmpty());  // ls's option, not ours
}

/// A numapin that knows one GPU and two checks, for shells that run it as a program.
std::string stub_directory() {
  const auto directory = fs::path(testing::TempDir()) / ("numapin-stub-" + std::to_string(getpid()));
  fs::create_directories(directory);
  std::ofstream(directory / "numapin") << "#!/bin/sh\ncase $3 in gpus) printf 'GPU-5e\\tA100, node 0\\n';; machines) printf 'dgx-h100\\tx\\ndual-a100\\ty\\n';; "
                                          "checks) printf 'gpu-driver\\ta\\nnumad\\tb\\n';; esac\n";
  fs::permissions(directory / "numapin", fs::perms::owner_all);
  return directory;
}

TEST(Fish, Completes) {
  if (!is_installed("fish")) GTEST_SKIP() << "no fish (Debian: fish)";
  const auto directory = stub_directory();
  std::ofstream(directory + "/script") << fish_completion(pages());
  const auto offered = [&](const std::string& line) {
    return output_of("cd /; HOME=" + directory + " PATH=" + directory + ":$PATH fish -c 'source " + directory + "/script; complete -C \"" + line + "\"' 2>&1");
  };
  EXPECT_THAT(offered("numapin topo --mat"), HasSubstr("--matrix\t"));
  EXPECT_THAT(offered("numapin run --memory we"), HasSubstr("weighted-interleave"));
  EXPECT_THAT(offered("numapin run --gpu "), HasSubstr("GPU-5e\tA100"));
  EXPECT_THAT(offered("numapin topo --machine du"), HasSubstr("dual-a100\t"));
  EXPECT_THAT(offered("numapin doctor --check gpu"), HasSubstr("gpu-driver\t"));
  EXPECT_THAT(offered("numapin slurm g"), HasSubstr("gres"));
  EXPECT_THAT(offered("numapin help sna"), HasSubstr("snapshot\t"));
  EXPECT_THAT(offered("numapin run --gpu 0 -- ls /et"), HasSubstr("/etc/"));
  fs::remove_all(directory);
}

/// Types lines, each with a tab behind it, in a zsh on a terminal of its own; prints those after which the screen has what
/// is wanted, and hangs at the first after which it never has.
constexpr const char* kZsh = R"zsh(
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=READY; cd /; fpath=($DIR $fpath); PATH=$DIR:$PATH; autoload -Uz compinit; compinit -D -u; echo SET-''UP'
zpty -r z out '*SET-UP*READY*'
for line rest in "$@"; do
  zpty -n -w z $'\x15'"$line"$'\t'  # \x15 takes back the line before
  zpty -r z out "*$rest*" && print -r -- "$line"
done
)zsh";

TEST(Zsh, Completes) {
  if (!is_installed("zsh")) GTEST_SKIP() << "no zsh (Debian: zsh)";
  const auto directory = stub_directory();
  std::ofstream(directory + "/_numapin") << zsh_completion(pages());
  std::ofstream(directory + "/type") << kZsh;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"numapin topo --mat", "matrix"},          {"numapin run --memory we", "weighted-interleave"}, {"numapin launch --cpus=so", "socket"},
      {"numapin run --gpu ", "GPU-5e"},          {"numapin topo --machine du", "dual-a100"},         {"numapin doctor --check gpu", "gpu-driver"},
      {"numapin slurm g", "gres"},               {"numapin help sna", "snapshot"},                   {"numapin run --gpu 0 -- ls /et", "/etc"},
      {"numapin run --gpu 0 ls /et", "/etc"}};
  std::string arguments, lines;
  for (const auto& [line, rest] : cases) arguments += " '" + line + "' '" + rest + "'", lines += line + "\n";
  EXPECT_EQ(output_of("DIR=" + directory + " timeout 20 zsh -f " + directory + "/type" + arguments + " 2>&1"), lines);
  fs::remove_all(directory);
}

}  // namespace
}  // namespace numapin::cli
