// What the program promises as a program: exit statuses, streams, widths, colors.
#include <gmock/gmock.h>

#include <sstream>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::size_t widest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, line.size());
  return widest;
}

TEST(Program, AloneShowsWhatItIsIn80Columns) {
  const auto ran = run_shell("numapin");
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, StartsWith("numapin puts GPU jobs on the right NUMA node"));
  EXPECT_THAT(ran.out, HasSubstr("\n  topo "));
  EXPECT_THAT(ran.err, IsEmpty());
  EXPECT_LE(widest_line(ran.out), 80u);
}

TEST(Program, WrongUsageIs2AndSaysWhatWasMeant) {
  const auto command = run_shell("numapin tpo");
  EXPECT_EQ(command.status, 2);
  EXPECT_THAT(command.out, IsEmpty());
  EXPECT_EQ(command.err, "numapin: unknown command 'tpo'\n  hint: did you mean 'topo'?\n");
  const auto option = run_shell("numapin topo --jsn");
  EXPECT_EQ(option.status, 2);
  EXPECT_THAT(option.out, IsEmpty());
  EXPECT_EQ(option.err, "numapin: unknown option '--jsn'\n  hint: did you mean '--json'? see 'numapin topo --help'\n");
  EXPECT_EQ(run_shell("numapin topo --machine").err,
            "numapin: --machine needs a value\n  hint: see 'numapin topo --help'\n");
  EXPECT_EQ(run_shell("numapin topo --json --matrix").err,
            "numapin: --matrix contradicts --json\n  hint: see 'numapin topo --help'\n");
  EXPECT_EQ(run_shell("numapin topo extra").err,
            "numapin: unexpected argument 'extra'\n  hint: see 'numapin topo --help'\n");
}

TEST(Program, MachineThatDoesNotExistIsAnErrorWithAHint) {
  const auto ran = run_shell("numapin topo --machine dual-a10");
  EXPECT_NE(ran.status, 0);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, StartsWith("numapin: "));
  EXPECT_THAT(ran.err, HasSubstr("dual-a10"));
  EXPECT_THAT(ran.err, HasSubstr("\n  hint: "));
}

TEST(Program, ResultThatCannotBeWrittenIsAFailure) {
  const auto full = run_shell("numapin topo --machine dgx-h100 >/dev/full");
  EXPECT_EQ(full.status, 1);
  EXPECT_EQ(full.err, "numapin: write standard output: No space left on device\n");
  EXPECT_EQ(run_shell("numapin topo --machine vm >&-").status, 1);
}

TEST(Program, ReaderThatHasSeenEnoughIsNoError) {
  // yes(1) keeps SIGPIPE's default; the second line ignores it, as Python's subprocess does.
  EXPECT_THAT(run_shell("numapin topo --machine dgx-h100 | head -n1 >/dev/null").err, IsEmpty());
  EXPECT_THAT(run_shell("trap '' PIPE; { sleep 0.1; numapin topo --machine dgx-h100; } | true").err, IsEmpty());
}

TEST(Program, PipesGetNeitherColorsNorBoxes) {
  const auto ran = run_shell("LC_ALL=C.UTF-8 TERM=xterm numapin topo --machine dual-a100 | cat");
  EXPECT_THAT(ran.out, Not(HasSubstr("\033")));
  EXPECT_THAT(ran.out, Not(HasSubstr("\xe2")));
  EXPECT_THAT(run_shell("numapin tpo 2>&1 | cat").out, Not(HasSubstr("\033")));
}

TEST(Program, TerminalsGetBothUnlessToldNot) {
  // script(1) gives the program a terminal of its own.
  if (run_shell("script -qec true /dev/null </dev/null").status != 0) GTEST_SKIP() << "no script(1), or no terminals here";
  const auto typed = [](const std::string& env) {
    return run_shell(env + " script -qec 'numapin topo --machine dual-a100' /dev/null </dev/null").out;
  };
  const auto plain = typed("LC_ALL=C TERM=xterm");
  EXPECT_THAT(plain, HasSubstr("\033[1mnode 0"));
  EXPECT_THAT(plain, Not(HasSubstr("\xe2")));
  EXPECT_THAT(typed("LC_ALL=C.UTF-8 TERM=xterm"), HasSubstr("├─ "));
  EXPECT_THAT(typed("LC_ALL=C TERM=xterm NO_COLOR=1"), Not(HasSubstr("\033[1m")));
  EXPECT_THAT(typed("LC_ALL=C TERM=dumb"), Not(HasSubstr("\033[1m")));
}

TEST(Program, LinesKeepToTheWidthOfTheTerminal) {
  for (const char* machine : {"dual-a100", "dgx-h100", "gh200", "epyc-nps4", "vm", "vm-2node-unknown"}) {
    for (const std::size_t width : {40u, 60u, 80u, 132u, 200u}) {
      const auto ran = run_shell("COLUMNS=" + std::to_string(width) + " numapin topo --machine " + machine);
      EXPECT_LE(widest_line(ran.out), width) << machine;
    }
  }
}

TEST(Program, VersionAndHelpGoToStandardOutput) {
  for (const char* typed : {"numapin --version", "numapin --help", "numapin help", "numapin help topo", "numapin topo -h"}) {
    const auto ran = run_shell(typed);
    EXPECT_EQ(ran.status, 0) << typed;
    EXPECT_THAT(ran.out, Not(IsEmpty())) << typed;
    EXPECT_THAT(ran.err, IsEmpty()) << typed;
  }
}

}  // namespace
}  // namespace numapin::test
