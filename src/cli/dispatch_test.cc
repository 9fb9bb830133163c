#include <CLI/CLI.hpp>
#include <gmock/gmock.h>

#include <sstream>

#include "cli/command.h"
#include "cli/session.h"

namespace numapin::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Program : public ::testing::Test {
 protected:
  int run(std::vector<std::string> args) {
    out_.str("");
    err_.str("");
    Session s{.out = out_, .err = err_, .live = tree_, .env = {}, .nvml = {}};
    return run_program(s, std::move(args));
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

 private:
  struct NoFiles final : FileTree {
    Result<std::string> read(std::string_view) const override { return fail(Error::Kind::kNotFound, "no files"); }
    Result<std::vector<std::string>> list(std::string_view) const override {
      return fail(Error::Kind::kNotFound, "no files");
    }
    Result<std::string> resolve(std::string_view) const override { return fail(Error::Kind::kNotFound, "no files"); }
  };
  std::ostringstream out_, err_;
  NoFiles tree_;
};

TEST_F(Program, AloneSaysWhatItIsAndExitsWith0) {
  EXPECT_EQ(run({}), kDone);
  EXPECT_THAT(out(), StartsWith("numapin puts GPU jobs"));
  EXPECT_EQ(err(), "");
}

TEST_F(Program, UnknownCommandIsWrongUsage) {
  EXPECT_EQ(run({"hepl"}), kUsage);
  EXPECT_EQ(out(), "");
  EXPECT_EQ(err(), "numapin: unknown command 'hepl'\n  hint: did you mean 'help'?\n");
}

TEST_F(Program, VersionIsOneLine) {
  EXPECT_EQ(run({"--version"}), kDone);
  EXPECT_THAT(out(), ::testing::MatchesRegex("numapin [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(Program, EveryCommandHasHelpWithTwoExamples) {
  for (const auto& command : commands()) {
    EXPECT_EQ(run({std::string(command.name), "--help"}), kDone) << command.name;
    const auto text = out();
    EXPECT_THAT(text, HasSubstr("usage: numapin " + std::string(command.name))) << command.name;
    const auto examples = text.find("\nexamples\n");
    ASSERT_NE(examples, text.npos) << command.name;
    const auto use = "  numapin " + std::string(command.name);
    const auto first = text.find(use, examples);
    ASSERT_NE(first, text.npos) << command.name;
    EXPECT_NE(text.find(use, first + 1), text.npos) << command.name;
    EXPECT_EQ(run({"help", std::string(command.name)}), kDone) << command.name;
    EXPECT_EQ(out(), text) << command.name;
  }
}

TEST_F(Program, RowsOfAJobStandTogether) {
  std::vector<std::string_view> jobs;
  for (const auto& command : commands()) {
    if (jobs.empty() || jobs.back() != command.job) jobs.push_back(command.job);
  }
  auto sorted = jobs;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::unique(sorted.begin(), sorted.end()), sorted.end());
}

// What a command that starts another program gets to see of its arguments.
class Words : public ::testing::Test {
 protected:
  std::vector<std::string> parse(std::vector<std::string> args) {
    CLI::App app;
    app.add_option("--gpu", gpu_);
    app.prefix_command();
    std::reverse(args.begin(), args.end());
    app.parse(std::move(args));
    return command_words(app);
  }
  std::string gpu_;
};

TEST_F(Words, KeepsTheCommandsOwnOptions) {
  EXPECT_EQ(parse({"--gpu", "0", "python", "x.py", "--gpu", "7", "--help"}),
            (std::vector<std::string>{"python", "x.py", "--gpu", "7", "--help"}));
  EXPECT_EQ(gpu_, "0");
}

TEST_F(Words, DropsOnlyTheFirstDoubleDash) {
  EXPECT_EQ(parse({"--gpu", "0", "--", "-weird", "--", "++", "x"}),
            (std::vector<std::string>{"-weird", "--", "++", "x"}));
  EXPECT_EQ(parse({"sh", "-c", "true", "--", "a b", ""}), (std::vector<std::string>{"sh", "-c", "true", "--", "a b", ""}));
}

}  // namespace
}  // namespace numapin::cli
