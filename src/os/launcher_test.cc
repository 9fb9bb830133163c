// The supervisor and its guard, without the program around them.
#include "os/launcher.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "os/guard.h"

namespace numapin {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Runs `body` guarded; what it wrote, since it runs in another process.
std::string guarded(const std::function<void(FILE*)>& body) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::tmpfile(), std::fclose);
  const auto status = run_guarded([&] {
    body(file.get());
    return 0;
  });
  if (!status || *status != 0) return "guard failed";
  std::rewind(file.get());
  std::string text;
  for (int c; (c = std::fgetc(file.get())) != EOF;) text += static_cast<char>(c);
  return text;
}

std::string launched(const LaunchSpec& spec) {
  return guarded([&](FILE* out) {
    LaunchEvents events;
    events.line = [out](int rank, OutputStream stream, std::string_view line, std::string&) {
      std::fprintf(out, "line %d %s %s\n", rank, stream == OutputStream::kOut ? "out" : "err", std::string(line).c_str());
    };
    events.loss = [out](int rank, const Error& e, std::string&) { std::fprintf(out, "loss %d %s\n", rank, e.message.c_str()); };
    const auto report = launch(spec, events);
    if (!report) return void(std::fprintf(out, "error %s\n", report.error().message.c_str()));
    std::fprintf(out, "status %d\n", report->status());
    if (!report->first_failed) return;
    std::fprintf(out, "first %d\n", *report->first_failed);
    for (const auto& rank : report->ranks)
      if (rank.start_error) std::fprintf(out, "start error %s\n", rank.start_error->message.c_str());
  });
}

LaunchSpec shell(const std::string& script, std::vector<RankSpec> ranks) {
  LaunchSpec spec;
  spec.file = "/bin/sh";
  spec.words = {"sh", "-c", script};
  spec.ranks = std::move(ranks);
  return spec;
}

// A CPU that is not here: sched_setaffinity refuses it, with any rights.
const RankSpec kUnbindable{{SetAffinity{CpuSet::of(CpuId{4095})}}};

TEST(Launcher, ARefusedBindingIsToldAndTheRankRuns) {
  const auto text = launched(shell("echo runs", {kUnbindable}));
  EXPECT_THAT(text, HasSubstr("loss 0 set CPUs 4095: "));
  EXPECT_THAT(text, HasSubstr("line 0 out runs\n"));  // before or after the loss: two pipes
  EXPECT_THAT(text, HasSubstr("status 0\n"));
}

TEST(Launcher, UnderStrictARefusedBindingEndsTheLaunchBeforeTheCommandRuns) {
  auto spec = shell("echo runs; sleep 100", {RankSpec{}, kUnbindable});
  spec.strict = true;
  const auto text = launched(spec);
  EXPECT_THAT(text, HasSubstr("status 1\nfirst 1\nstart error "));
  EXPECT_THAT(text, Not(HasSubstr("line 1 ")));
}

TEST(Launcher, VariablesAreTheRanksOwn) {
  const auto text = launched(shell("echo $WHO", {RankSpec{{SetEnv{"WHO", "a"}}}, RankSpec{{SetEnv{"WHO", "b"}}}}));
  EXPECT_THAT(text, HasSubstr("line 0 out a\n"));
  EXPECT_THAT(text, HasSubstr("line 1 out b\n"));
}

TEST(Launcher, ALogFileThatCannotBeMadeIsAnErrorAndEndsWhatWasStarted) {
  auto spec = shell("sleep 100", {RankSpec{}, RankSpec{}});
  spec.log_dir = "/no/such/folder";
  EXPECT_THAT(launched(spec), StartsWith("error write /no/such/folder/rank-0.out: "));
}

TEST(Guard, StatusIsTheBodys) {
  EXPECT_EQ(run_guarded([] { return 9; }).value_or(-1), 9);
  EXPECT_EQ(run_guarded([] { return raise(SIGKILL); }).value_or(-1), 128 + SIGKILL);
}

TEST(Guard, EndsWhatLeftItsSession) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const auto status = run_guarded([&] {
    if (fork() != 0) return 0;
    setsid();
    while (true) pause();  // holds the pipe for as long as it lives
  });
  EXPECT_EQ(status.value_or(-1), 0);
  close(fds[1]);
  char byte = 0;
  EXPECT_EQ(read(fds[0], &byte, 1), 0) << "end of file: nobody holds the other end";
  close(fds[0]);
}

TEST(Guard, LeavesEarlierChildrenAlone) {
  const pid_t earlier = fork();
  if (earlier == 0) {
    while (true) pause();
  }
  EXPECT_EQ(run_guarded([] { return 0; }).value_or(-1), 0);
  EXPECT_EQ(waitpid(earlier, nullptr, WNOHANG), 0);
  kill(earlier, SIGKILL);
  waitpid(earlier, nullptr, 0);
}

}  // namespace
}  // namespace numapin
