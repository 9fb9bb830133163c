// `numapin launch` with real processes: what comes out, what status, and who is left afterwards.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

/// A folder of this test's own, gone with it.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "numapin-launch-XXXXXX").string();
    path = mkdtemp(name.data()) != nullptr ? name : "";
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
};

/// `numapin launch` as a child of ours, without a shell between, so that signals meet it as a terminal's would.
/// All that descends from it carries a mark in its environment, however it left its parent, group or session.
class Launched {
 public:
  struct How {
    bool hangup_ignored = false;
    int out = -1;  ///< its standard output; -1: a file that out() reads
  };
  Launched(const std::vector<std::string>& options, const std::string& script) : Launched(options, script, How{}) {}
  Launched(const std::vector<std::string>& options, const std::string& script, const How& how) {
    static int count = 0;
    mark_ = "NUMAPIN_TEST_MARK=" + std::to_string(getpid()) + "-" + std::to_string(++count);
    std::vector<std::string> words = {"numapin", "launch", "-q"};
    words.insert(words.end(), options.begin(), options.end());
    for (const char* word : {"--", "sh", "-c"}) words.emplace_back(word);
    words.push_back(script);
    pid_ = fork();
    if (pid_ == 0) become(words, how);
  }
  Launched(const Launched&) = delete;
  Launched& operator=(const Launched&) = delete;
  ~Launched() {
    if (pid_ > 0) end(SIGKILL);
  }

  pid_t pid() const { return pid_; }
  std::filesystem::path out_path() const { return folder_.path / "out"; }
  std::string out() const { return read(out_path()); }
  std::string err() const { return read(folder_.path / "err"); }
  bool wait_for(const std::string& text) const {
    return within(10s, [&] { return out().find(text) != std::string::npos; });
  }
  bool is_running() { return waitpid(pid_, nullptr, WNOHANG) == 0; }
  /// Sends the signal, waits; exit status, or 128+N.
  int end(int number) {
    kill(pid_, number);
    return wait();
  }
  int wait() {
    int status = 0;
    if (pid_ <= 0 || waitpid(pid_, &status, 0) != pid_) return -1;
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  /// Processes that carry the mark. A zombie has no environment, and is none.
  std::vector<std::string> survivors() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto environment = read(entry.path() / "environ");
      if (environment.find(mark_) == std::string::npos) continue;
      auto command = read(entry.path() / "cmdline");
      std::replace(command.begin(), command.end(), '\0', ' ');
      found.push_back(entry.path().filename().string() + ": " + command);
    }
    return found;
  }
  std::vector<std::string> survivors_after(std::chrono::seconds time) const {
    within(time, [&] { return survivors().empty(); });
    return survivors();
  }
  /// Launch and its supervisor are all that is left.
  bool ranks_end() const {
    return within(10s, [&] { return survivors().size() <= 2; });
  }
  std::optional<pid_t> supervisor() const {
    std::istringstream in(read("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children"));
    pid_t child = 0;
    return in >> child ? std::optional(child) : std::nullopt;
  }

 private:
  static bool within(std::chrono::seconds time, const std::function<bool()>& holds) {
    for (const auto until = Clock::now() + time; Clock::now() < until; std::this_thread::sleep_for(5ms))
      if (holds()) return true;
    return holds();
  }
  [[noreturn]] void become(const std::vector<std::string>& words, const How& how) const {
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    dup2(how.out >= 0 ? how.out : open((folder_.path / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666), STDOUT_FILENO);
    dup2(open((folder_.path / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666), STDERR_FILENO);
    putenv(const_cast<char*>(mark_.c_str()));
    for (int s : {SIGINT, SIGTERM, SIGQUIT}) signal(s, SIG_DFL);
    signal(SIGHUP, how.hangup_ignored ? SIG_IGN : SIG_DFL);
    execv(numapin_program().c_str(), argv.data());
    _exit(127);
  }

  Folder folder_;
  std::string mark_;
  pid_t pid_ = 0;
};

// ---- status ----------------------------------------------------------------------------------------------------------

TEST(LaunchStatus, IsTheFirstFailedRanks) {
  const auto began = Clock::now();
  const auto ran = run_shell("numapin launch -q --nproc 3 -- sh -c '[ $RANK = 1 ] && echo oops && exit 7; sleep 100'");
  EXPECT_LT(Clock::now() - began, 9s) << "the others were not ended";
  EXPECT_EQ(ran.status, 7);
  EXPECT_THAT(ran.err, HasSubstr("rank 1 failed first: exit 7; the others were ended\n  its last lines:\n    oops\n"));
}

TEST(LaunchStatus, IsZeroWhenAllSucceed) { EXPECT_EQ(run_shell("numapin launch -q --nproc 3 -- true").status, 0); }

TEST(LaunchStatus, Is128AndTheSignalOfARank) {
  const auto ran = run_shell("numapin launch -q --nproc 3 -- sh -c '[ $RANK = 2 ] && kill -9 $$; sleep 100'");
  EXPECT_EQ(ran.status, 137);
  EXPECT_THAT(ran.err, HasSubstr("rank 2 failed first: signal 9 (Killed)"));
  EXPECT_EQ(run_shell("numapin launch -q --nproc 2 -- sh -c '[ $RANK = 0 ] && kill -TERM $$; sleep 100'").status, 143);
}

TEST(LaunchStatus, Is127And126WhereTheCommandCannotStart) {
  EXPECT_EQ(run_shell("numapin launch -q --nproc 2 -- no-such-program").status, 127);
  EXPECT_EQ(run_shell("numapin launch -q --nproc 2 -- /etc/passwd").status, 126);
  const Folder folder;  // here exec itself fails, in the rank
  const auto script = folder.path / "script";
  std::ofstream(script) << "#!/no/such/interpreter\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const auto ran = run_shell("numapin launch -q --nproc 2 -- " + script.string());
  EXPECT_EQ(ran.status, 127) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr(script.string()));
}

TEST(LaunchStatus, RestartStartsAllAgain) {
  const auto ran = run_shell("numapin launch -q --nproc 2 --restart 2 -- sh -c "
                             "'echo try $NUMAPIN_RESTART_COUNT; [ $NUMAPIN_RESTART_COUNT = 1 ] || exit 5'");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("[0] try 1\n"), HasSubstr("[1] try 1\n"), Not(HasSubstr("try 2"))));
  EXPECT_EQ(run_shell("numapin launch -q --nproc 2 --restart 1 -- sh -c 'exit 5'").status, 5);
}

// ---- output ----------------------------------------------------------------------------------------------------------

TEST(LaunchOutput, HasTheRankBeforeEveryLineAndKeepsTheStreamsApart) {
  const auto ran = run_shell("numapin launch -q --nproc 2 -- sh -c 'echo one; echo two >&2; printf three'");
  EXPECT_THAT(lines(ran.out), UnorderedElementsAre("[0] one", "[0] three", "[1] one", "[1] three"));
  EXPECT_EQ(ran.out.back(), '\n') << "a last line without newline gets one";
  EXPECT_THAT(ran.err, AllOf(HasSubstr("[0] two\n"), HasSubstr("[1] two\n"), Not(HasSubstr("one"))));
}

TEST(LaunchOutput, NumbersAreAsWideAsTheWidest) {
  const auto ran = run_shell("numapin launch -q --nproc 11 -- echo x");
  EXPECT_THAT(ran.out, AllOf(HasSubstr("[ 0] x\n"), HasSubstr("[10] x\n")));
}

TEST(LaunchOutput, LinesStayWholeAndInOrder) {
  constexpr int kLines = 300;
  const auto ran = run_shell("numapin launch -q --nproc 4 -- sh -c "
                             "'i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf %s-%0200d- $RANK $i; echo $i; done'");
  EXPECT_EQ(ran.status, 0) << ran.err;
  std::map<std::string, int> next;
  for (const auto& line : lines(ran.out)) {
    const std::string rank = line.substr(1, 1);
    const auto number = std::to_string(++next[rank]);
    EXPECT_EQ(line, "[" + rank + "] " + rank + "-" + std::string(200 - number.size(), '0') + number + "-" + number);
  }
  for (const char* rank : {"0", "1", "2", "3"}) EXPECT_EQ(next[rank], kLines);
}

TEST(LaunchOutput, GoesToFilesWithLogDir) {
  const Folder folder;
  const auto dir = folder.path / "logs";
  const auto ran = run_shell("numapin launch -q --nproc 2 --log-dir " + dir.string() +
                             " -- sh -c 'echo out $RANK; echo err $RANK >&2; exit $RANK'");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_EQ(read(dir / "rank-1.out"), "out 1\n");
  EXPECT_EQ(read(dir / "rank-1.err"), "err 1\n");
  EXPECT_THAT(ran.err, HasSubstr("its output: " + dir.string() + "/rank-1.err\n"));
  EXPECT_EQ(run_shell("numapin launch -q --nproc 1 --log-dir /proc/no -- true").status, 1);
}

TEST(LaunchOutput, OnlyRankZeroReadsStandardInput) {
  const auto ran = run_shell("echo typed | numapin launch -q --nproc 2 -- cat");
  EXPECT_EQ(ran.out, "[0] typed\n");
}

TEST(LaunchOutput, EndsWhenItsReaderDoes) {
  EXPECT_THAT(run_shell("numapin launch -q --nproc 2 -- sh -c 'while :; do echo line; done' | head -3").out, HasSubstr("line"));
}

/// A pipe that nobody reads until told to.
class Reader {
 public:
  Reader() { EXPECT_EQ(pipe2(fds_, O_CLOEXEC), 0); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { close(fds_[0]); }
  int other_end() const { return fds_[1]; }
  void leave_to_launch() { close(fds_[1]); }
  /// It is full: the launcher has written what it could.
  bool is_stalled() const {
    int before = -1, now = 0;
    for (int i = 0; i < 100; ++i, before = now) {
      std::this_thread::sleep_for(50ms);
      if (ioctl(fds_[0], FIONREAD, &now) == 0 && now > 32768 && now == before) return true;
    }
    return false;
  }
  std::string read_all() const {
    std::string text;
    std::vector<char> part(65536);
    for (ssize_t n; (n = ::read(fds_[0], part.data(), part.size())) > 0;) text.append(part.data(), static_cast<std::size_t>(n));
    return text;
  }

 private:
  int fds_[2] = {-1, -1};
};

TEST(LaunchStalledReader, DoesNotKeepRanksFromBeingEnded) {
  Reader reader;
  Launched launched({"--nproc", "2", "--grace", "0.3"}, "trap '' TERM; while :; do echo line; done", {.out = reader.other_end()});
  reader.leave_to_launch();
  ASSERT_TRUE(reader.is_stalled());
  const auto began = Clock::now();
  EXPECT_EQ(launched.end(SIGTERM), 143);
  EXPECT_LT(Clock::now() - began, 5s);
  EXPECT_THAT(launched.survivors(), IsEmpty());
}

TEST(LaunchStalledReader, GetsEveryLineWhenItReadsOn) {
  Reader reader;
  Launched launched({"--nproc", "2"}, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done", {.out = reader.other_end()});
  reader.leave_to_launch();
  ASSERT_TRUE(reader.is_stalled());
  EXPECT_TRUE(launched.is_running());
  std::map<char, int> next;
  for (const auto& line : lines(reader.read_all())) EXPECT_EQ(line.substr(4), "line " + std::to_string(++next[line[1]]));
  EXPECT_EQ(next, (std::map<char, int>{{'0', 20000}, {'1', 20000}}));
  EXPECT_EQ(launched.wait(), 0) << launched.err();
}

// The rank that fails must be seen to fail, and the others end, while nobody reads.
TEST(LaunchStalledReader, DoesNotHideAFailure) {
  Reader reader;
  Launched launched({"--nproc", "2"}, "while :; do echo line; done", {.out = reader.other_end()});
  reader.leave_to_launch();
  ASSERT_TRUE(reader.is_stalled());
  kill(launched.pid(), SIGUSR1);  // handed on, and nobody catches it
  EXPECT_TRUE(launched.ranks_end());
  EXPECT_TRUE(launched.is_running()) << "what was written must reach the reader";
  EXPECT_THAT(reader.read_all(), HasSubstr("[0] line\n"));
  EXPECT_EQ(launched.wait(), 128 + SIGUSR1);
}

TEST(LaunchOutput, AFullDiskIsAFailure) {
  const auto ran = run_shell("numapin launch -q --nproc 2 -- echo line >/dev/full");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("write standard output: No space left on device"));
}

// ---- what a rank finds -----------------------------------------------------------------------------------------------

std::map<std::string, std::string> variables_of_rank(const std::string& options, int rank) {
  const auto ran = run_shell("env -u OMP_NUM_THREADS numapin launch -q " + options + " -- env");
  EXPECT_EQ(ran.status, 0) << ran.err;
  const std::string prefix = "[" + std::to_string(rank) + "] ";
  std::map<std::string, std::string> out;
  for (const auto& line : lines(ran.out)) {
    const auto equals = line.find('=');
    if (line.starts_with(prefix) && equals != line.npos)
      out[line.substr(prefix.size(), equals - prefix.size())] = line.substr(equals + 1);
  }
  return out;
}

TEST(LaunchRank, FindsItsPlaceInTheVariables) {
  auto v = variables_of_rank("--nproc 3", 2);
  EXPECT_EQ(v["RANK"], "2");
  EXPECT_EQ(v["LOCAL_RANK"], "2");
  EXPECT_EQ(v["WORLD_SIZE"], "3");
  EXPECT_EQ(v["LOCAL_WORLD_SIZE"], "3");
  EXPECT_EQ(v["GROUP_RANK"], "0");
  EXPECT_EQ(v["MASTER_ADDR"], "127.0.0.1");
  EXPECT_GT(std::stoi(v["MASTER_PORT"]), 0);
  EXPECT_EQ(v["NUMAPIN_RESTART_COUNT"], "0");
}

TEST(LaunchRank, CountsOverAllHosts) {
  auto v = variables_of_rank("--nproc 3 --nnodes 2 --node-rank 1 --master-addr 10.0.0.1", 2);
  EXPECT_EQ(v["RANK"], "5");
  EXPECT_EQ(v["LOCAL_RANK"], "2");
  EXPECT_EQ(v["WORLD_SIZE"], "6");
  EXPECT_EQ(v["GROUP_RANK"], "1");
  EXPECT_EQ(v["MASTER_ADDR"], "10.0.0.1");
  EXPECT_EQ(v["MASTER_PORT"], "29500");
}

TEST(LaunchRank, HasAsManyThreadsAsCoresUnlessTold) {
  const auto plan = nlohmann::json::parse(run_shell("numapin plan --gpus none --nproc 1 --json").out);
  EXPECT_EQ(variables_of_rank("--nproc 1", 0)["OMP_NUM_THREADS"], std::to_string(plan["placements"][0]["cores"].get<int>()));
  EXPECT_EQ(run_shell("OMP_NUM_THREADS=77 numapin launch -q --nproc 1 -- sh -c 'echo $OMP_NUM_THREADS'").out, "[0] 77\n");
}

TEST(LaunchRank, HasTheMaskOfThePlan) {
  const auto plan = nlohmann::json::parse(run_shell("numapin plan --gpus none --nproc 2 --json").out);
  const auto ran = run_shell("numapin launch -q --nproc 2 -- sh -c 'taskset -cp $$ | sed \"s/.*: //\"'");
  EXPECT_THAT(lines(ran.out), UnorderedElementsAre("[0] " + plan["placements"][0]["cpulist"].get<std::string>(),
                                                   "[1] " + plan["placements"][1]["cpulist"].get<std::string>()));
}

TEST(LaunchRank, IsToldWhoLeftItNoCpus) {  // a mask squeezed before us
  if (run_shell("nproc").out == "1\n") GTEST_SKIP() << "needs two CPUs";
  const auto ran = run_shell("taskset -c 0 numapin launch -q --nproc 2 -- true");
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("for 2 processes: they overlap. This process may not use CPUs 1"), HasSubstr("--cpus-per-task")));
}

TEST(LaunchRank, HasNoDescriptorAndNoSignalMaskOfOurs) {
  const std::string show = " grep Sig[BIC] /proc/self/status; exec ls /proc/self/fd";
  std::string expected;
  for (const auto& line : lines(run_shell(show).out)) expected += "[1] " + line + "\n";
  std::string got;
  for (const auto& line : lines(run_shell("numapin launch -q --nproc 2 -- sh -c '" + show + "'").out))
    if (line.starts_with("[1]")) got += line + "\n";
  EXPECT_EQ(got, expected);
}

// ---- signals ---------------------------------------------------------------------------------------------------------

constexpr const char* kTellsAndEnds = "trap 'echo told; exit 0' TERM INT HUP; echo ready$RANK; while :; do sleep 0.05; done";

TEST(LaunchSignal, TerminateAndInterruptEndTheRanksFirst) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    Launched launched({"--nproc", "2"}, kTellsAndEnds);
    ASSERT_TRUE(launched.wait_for("ready0") && launched.wait_for("ready1")) << launched.err();
    EXPECT_EQ(launched.end(number), 128 + number);
    EXPECT_THAT(launched.out(), AllOf(HasSubstr("[0] told\n"), HasSubstr("[1] told\n")));
    EXPECT_THAT(launched.survivors(), IsEmpty());
  }
}

TEST(LaunchSignal, ARankThatDoesNotListenIsKilledAfterTheGrace) {
  Launched launched({"--nproc", "2", "--grace", "0.2"}, "trap '' TERM; echo ready$RANK; while :; do sleep 0.05; done");
  ASSERT_TRUE(launched.wait_for("ready0") && launched.wait_for("ready1"));
  const auto began = Clock::now();
  EXPECT_EQ(launched.end(SIGTERM), 143);
  EXPECT_LT(Clock::now() - began, 5s);
  EXPECT_THAT(launched.survivors(), IsEmpty());
}

TEST(LaunchSignal, UserSignalsAreHandedOn) {
  Launched launched({"--nproc", "2"}, "trap 'echo usr1; exit 0' USR1; echo ready$RANK; while :; do sleep 0.05; done");
  ASSERT_TRUE(launched.wait_for("ready0") && launched.wait_for("ready1"));
  EXPECT_EQ(launched.end(SIGUSR1), 0);
  EXPECT_THAT(launched.out(), AllOf(HasSubstr("[0] usr1\n"), HasSubstr("[1] usr1\n")));
}

TEST(LaunchSignal, HangupThatWasIgnoredStaysIgnored) {  // nohup
  Launched launched({"--nproc", "1"}, kTellsAndEnds, {.hangup_ignored = true});
  ASSERT_TRUE(launched.wait_for("ready0"));
  kill(launched.pid(), SIGHUP);
  std::this_thread::sleep_for(100ms);
  EXPECT_TRUE(launched.is_running());
  EXPECT_EQ(launched.end(SIGTERM), 143);
}

// ---- nobody stays ----------------------------------------------------------------------------------------------------

// One below its parent, one that left its parent, one that left its session as daemons do.
constexpr const char* kBranches = "(sleep 1000 &) ; setsid sleep 1000 & sleep 1000 & echo ready$RANK; wait";

TEST(LaunchLeavesNone, WhenItEnds) {
  Launched launched({"--nproc", "2"}, "(sleep 1000 &) ; setsid sleep 1000 & exit 0");
  EXPECT_EQ(launched.wait(), 0);
  EXPECT_THAT(launched.survivors(), IsEmpty());
}

TEST(LaunchLeavesNone, WhenItIsToldToEnd) {
  Launched launched({"--nproc", "2"}, kBranches);
  ASSERT_TRUE(launched.wait_for("ready0") && launched.wait_for("ready1"));
  EXPECT_GE(launched.survivors().size(), 10U) << "the mark does not find them";
  EXPECT_EQ(launched.end(SIGTERM), 143);
  EXPECT_THAT(launched.survivors(), IsEmpty());
}

TEST(LaunchLeavesNone, WhenItIsKilledAtAnyMoment) {
  std::mt19937 random(20240607);
  std::uniform_int_distribution<int> microseconds(0, 60000);
  for (int round = 0; round < 24; ++round) {
    Launched launched({"--nproc", "2"}, kBranches);
    const bool late = round % 4 == 0;
    if (late) ASSERT_TRUE(launched.wait_for("ready1"));
    else std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
    EXPECT_EQ(launched.end(SIGKILL), 137);
    EXPECT_THAT(launched.survivors_after(5s), IsEmpty()) << "round " << round;
  }
}

TEST(LaunchLeavesNone, WhenItsSupervisorIsKilledAtAnyMoment) {
  std::mt19937 random(20240608);
  std::uniform_int_distribution<int> microseconds(0, 60000);
  int killed = 0;
  for (int round = 0; round < 24; ++round) {
    Launched launched({"--nproc", "2"}, kBranches);
    const bool late = round % 4 == 0;
    if (late) ASSERT_TRUE(launched.wait_for("ready1"));
    else std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
    const auto supervisor = launched.supervisor();
    if (!supervisor) continue;  // not yet started
    ++killed;
    kill(*supervisor, SIGKILL);
    EXPECT_EQ(launched.wait(), 137);
    EXPECT_THAT(launched.survivors(), IsEmpty()) << "round " << round;
  }
  EXPECT_GE(killed, 6);
}

// NUMAPIN_TEST_LAUNCHES=1000 takes half a minute.
TEST(LaunchLeavesNone, AfterManyLaunches) {
  const char* count = std::getenv("NUMAPIN_TEST_LAUNCHES");
  const auto ran = run_shell(std::string("export NUMAPIN_TEST_MARK=many-$$; i=0; while [ $i -lt ") + (count != nullptr ? count : "100") + " ]; do i=$((i+1)); "
                             "numapin launch -q --nproc 2 -- true 2>/dev/null || echo failed; done; "
                             "unset NUMAPIN_TEST_MARK; grep -l NUMAPIN_TEST_MARK=many-$$ /proc/[0-9]*/environ 2>/dev/null | wc -l");
  EXPECT_EQ(ran.out, "0\n");
}

TEST(LaunchLeavesNone, OfTwoHundredAndFiftySix) {
  Launched launched({"--nproc", "256"}, "exit 0");
  EXPECT_EQ(launched.wait(), 0) << launched.err();
  EXPECT_THAT(launched.survivors(), IsEmpty());
}

// Ten MB, whatever the number of ranks and the length of their lines; of the program and its libraries, which others
// have too, not more than elsewhere.
TEST(LaunchMemory, IsBounded) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer takes more than numapin";
#endif
  Launched launched({"--nproc", "256"}, "head -c 60000 /dev/zero | tr '\\0' x; echo; exec sleep 100");
  const auto written = [&] {
    std::error_code not_yet;
    const auto size = std::filesystem::file_size(launched.out_path(), not_yet);
    return not_yet ? 0 : size;
  };
  for (const auto until = Clock::now() + 60s; written() < 256UL * 60000 && Clock::now() < until;) std::this_thread::sleep_for(50ms);
  ASSERT_GE(written(), 256UL * 60000);
  ASSERT_TRUE(launched.supervisor());
  for (const pid_t pid : {launched.pid(), *launched.supervisor()}) {
    const auto status = read("/proc/" + std::to_string(pid) + "/status");
    const auto at = status.find("RssAnon:");
    ASSERT_NE(at, std::string::npos);
    EXPECT_LT(std::stol(status.substr(at + 8)), 6 * 1024) << "kB";
  }
  EXPECT_EQ(launched.end(SIGKILL), 137);
  EXPECT_THAT(launched.survivors_after(10s), IsEmpty());
}

TEST(LaunchLeavesAlone, WhatItsShellStartedBefore) {  // an entry script that ends in exec
  const auto ran = run_shell("sleep 5 & echo $! ; exec numapin launch -q --nproc 1 -- true");
  const auto helper = static_cast<pid_t>(std::stoi(ran.out));
  EXPECT_EQ(kill(helper, SIGTERM), 0) << "it was ended with the launch";
}

// ---- frameworks ------------------------------------------------------------------------------------------------------

TEST(LaunchTorch, FourRanksReduceOverGloo) {
  if (std::getenv("NUMAPIN_TEST_TORCH") == nullptr) GTEST_SKIP() << "takes 10 s: NUMAPIN_TEST_TORCH=1 runs it";
  if (run_shell("/usr/bin/python3 -c 'import importlib.util as u; raise SystemExit(not u.find_spec(\"torch\"))'").status != 0)
    GTEST_SKIP() << "/usr/bin/python3 has no torch (Debian: python3-torch)";
  const auto ran = run_shell(
      "numapin launch -q --nproc 4 -- /usr/bin/python3 -c '\n"
      "import torch, torch.distributed as d\n"
      "d.init_process_group(\"gloo\")\n"
      "t = torch.tensor([float(d.get_rank() + 1)])\n"
      "d.all_reduce(t)\n"
      "print(d.get_world_size(), t.item())'");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(lines(ran.out), UnorderedElementsAre("[0] 4 10.0", "[1] 4 10.0", "[2] 4 10.0", "[3] 4 10.0"));
}

}  // namespace
}  // namespace numapin::test
