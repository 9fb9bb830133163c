// rebind on processes of this machine: one node is enough for masks, children, races and rights. Pages: tests/lab.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<int> own_cpus() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

void sleep_on() {
  while (true) pause();
}

class Rebind : public ::testing::Test {
 protected:
  void SetUp() override {
    if (own_cpus().size() < 2) GTEST_SKIP() << "needs two CPUs";
    state_ = (fs::temp_directory_path() / ("numapin-rebind-" + std::to_string(getpid()) + ".json")).string();
    fs::remove(state_);
  }
  void TearDown() override {
    for (const pid_t pid : children_) {
      kill(-pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    fs::remove(state_);
  }

  /// A process, in a group of its own, that runs `body` and is ready when that calls its argument.
  pid_t start(const std::function<void(const std::function<void()>&)>& body) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      body([&] { (void)!write(ready[1], "x", 1); });
      sleep_on();
    }
    setpgid(pid, pid);
    close(ready[1]);
    char c = 0;
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    children_.push_back(pid);
    return pid;
  }

  pid_t start_with_threads() {
    const int last = own_cpus().back();
    return start([last](const auto& ready) {
      std::atomic<int> up = 0;
      for (int i = 0; i < 3; ++i)
        std::thread([&up, i, last] {
          if (i == 2) pin_to(last);
          ++up;
          sleep_on();
        }).detach();
      while (up < 3) std::this_thread::yield();
      ready();
      sleep_on();
    });
  }

  Ran rebind(pid_t pid, const std::string& options) {
    return run_shell("numapin rebind " + std::to_string(pid) + " --state " + state_ + " " + options);
  }

  std::string state_;
  std::vector<pid_t> children_;
};

/// What taskset says of every thread.
std::string taskset(pid_t pid) { return run_shell("taskset -acp " + std::to_string(pid)).out; }

std::vector<std::string> masks(pid_t pid) {
  std::vector<std::string> out;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("Cpus_allowed_list:\t")) out.push_back(line.substr(19));
  }
  return out;
}

TEST_F(Rebind, MovesAllThreadsAndUndoRestoresEach) {
  const pid_t pid = start_with_threads();
  const auto before = taskset(pid);
  const auto first = std::to_string(own_cpus().front());
  const auto ran = rebind(pid, "--cpu-list " + first);
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("4 threads to CPUs " + first), HasSubstr("undo: numapin rebind --undo " + state_)));
  EXPECT_EQ(masks(pid), std::vector<std::string>(4, first));
  EXPECT_NE(taskset(pid), before);
  const auto undone = run_shell("numapin rebind --undo " + state_);
  EXPECT_EQ(undone.status, 0) << undone.err;
  EXPECT_EQ(taskset(pid), before);
}

TEST_F(Rebind, APinnedThreadStaysPinnedUnlessForced) {
  const pid_t pid = start_with_threads();
  const auto all = std::to_string(own_cpus().front()) + "," + std::to_string(own_cpus().back());
  const auto last = std::to_string(own_cpus().back());
  EXPECT_EQ(rebind(pid, "--cpu-list " + all).status, 0);
  EXPECT_THAT(masks(pid), ::testing::Contains(last));
  EXPECT_EQ(rebind(pid, "--force --cpu-list " + all).status, 0);
  EXPECT_THAT(masks(pid), ::testing::Not(::testing::Contains(last)));
}

TEST_F(Rebind, DryRunChangesNothing) {
  const pid_t pid = start_with_threads();
  const auto before = taskset(pid);
  const auto ran = rebind(pid, "--dry-run --cpu-list " + std::to_string(own_cpus().front()));
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("would move 4 threads"));
  EXPECT_EQ(taskset(pid), before);
  EXPECT_FALSE(fs::exists(state_));
}

TEST_F(Rebind, JsonSaysWhatChangedAndWhereToUndoIt) {
  const pid_t pid = start_with_threads();
  const auto first = std::to_string(own_cpus().front());
  const auto planned = rebind(pid, "--dry-run --json --cpu-list " + first);
  EXPECT_EQ(planned.status, 0) << planned.err;
  EXPECT_TRUE(nlohmann::json::parse(planned.out).at("dry_run").get<bool>());
  const auto ran = rebind(pid, "--json --cpu-list " + first);
  EXPECT_EQ(ran.status, 0) << ran.err;
  const auto doc = nlohmann::json::parse(ran.out);
  EXPECT_EQ(doc.at("schema"), "numapin/rebind/1");
  EXPECT_EQ(doc.at("undo_file"), state_);
  EXPECT_FALSE(doc.at("dry_run").get<bool>());
  const auto& threads = doc.at("processes").at(0).at("threads");
  EXPECT_EQ(threads.size(), 4U);
  for (const auto& t : threads) EXPECT_EQ(t.at("after_cpulist"), first);
  const auto undone = run_shell("numapin rebind --json --undo " + state_);
  EXPECT_EQ(nlohmann::json::parse(undone.out).at("processes").at(0).at("threads").size(), 4U) << undone.err;
}

TEST_F(Rebind, UndoDoesNotTrustAFileThatAnotherUserOrALinkGives) {
  const pid_t pid = start_with_threads();
  ASSERT_EQ(rebind(pid, "--cpu-list " + std::to_string(own_cpus().front())).status, 0);
  const auto bound = taskset(pid);
  const auto link = state_ + ".link";
  fs::create_symlink(state_, link);
  const auto by_link = run_shell("numapin rebind --undo " + link);
  fs::remove(link);
  EXPECT_EQ(by_link.status, 2);
  EXPECT_THAT(by_link.err, AllOf(HasSubstr("symbolic link"), HasSubstr("hint: ")));
  if (geteuid() == 0) {
    ASSERT_EQ(chown(state_.c_str(), 65534, 65534), 0);
    const auto others = run_shell("numapin rebind --undo " + state_);
    EXPECT_EQ(others.status, 1);
    EXPECT_THAT(others.err, AllOf(HasSubstr("another user (65534)"), HasSubstr("--force")));
    EXPECT_EQ(taskset(pid), bound);
    EXPECT_EQ(run_shell("numapin rebind --force --undo " + state_).status, 0);
    EXPECT_NE(taskset(pid), bound);
  }
}

TEST_F(Rebind, TheStateOfRootIsNotLeftInAnotherUsersHome) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else than the owner of HOME";
  const pid_t pid = start_with_threads();
  const auto home = fs::path(state_ + ".home");
  fs::create_directories(home / ".local/state/numapin");
  ASSERT_EQ(chown((home / ".local/state/numapin").c_str(), 65534, 65534), 0);
  const auto ran = run_shell("env -u XDG_STATE_HOME HOME=" + home.string() + " numapin rebind " + std::to_string(pid) + " --json --cpu-list " +
                             std::to_string(own_cpus().front()));
  ASSERT_EQ(ran.status, 0) << ran.err;
  const auto file = nlohmann::json::parse(ran.out).at("undo_file").get<std::string>();
  EXPECT_THAT(file, ::testing::Not(::testing::StartsWith(home.string())));
  fs::remove(file);
  fs::remove_all(home);
}

TEST_F(Rebind, ChildrenGoWithTheirParentUnlessTold) {
  pid_t* child = new pid_t(0);
  int tell[2];
  ASSERT_EQ(pipe(tell), 0);
  const pid_t pid = start([&](const auto& ready) {
    const pid_t worker = fork();
    if (worker == 0) sleep_on();
    (void)!write(tell[1], &worker, sizeof worker);
    ready();
  });
  ASSERT_EQ(read(tell[0], child, sizeof *child), static_cast<ssize_t>(sizeof *child));
  const auto first = std::to_string(own_cpus().front());
  EXPECT_EQ(rebind(pid, "--no-children --cpu-list " + first).status, 0);
  EXPECT_NE(masks(*child), std::vector<std::string>{first});
  EXPECT_EQ(rebind(pid, "--force --cpu-list " + first).status, 0);
  EXPECT_EQ(masks(*child), std::vector<std::string>{first});
  delete child;
}

TEST_F(Rebind, ThreadsThatAppearMeanwhileAreCaught) {
  const pid_t pid = start([](const auto& ready) {
    ready();
    while (true) {  // each lives longer than a pass takes
      std::thread([] { std::this_thread::sleep_for(std::chrono::seconds(20)); }).detach();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  const auto first = std::to_string(own_cpus().front());
  const auto ran = rebind(pid, "--cpu-list " + first);
  // A thread made after its maker was moved inherits the mask, so none can be left in the end.
  for (const auto& mask : masks(pid)) EXPECT_EQ(mask, first) << ran.out << ran.err;
}

TEST_F(Rebind, NothingToDoIsSuccessAndKeepsNoFile) {
  const pid_t pid = start_with_threads();
  const auto ran = rebind(pid, "--node 0 --cpus-only");
  if (fs::exists("/sys/devices/system/node/node1")) GTEST_SKIP() << "this machine has several nodes";
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("nothing to do"));
  EXPECT_FALSE(fs::exists(state_));
}

TEST_F(Rebind, WhatCannotBeMovedIsOneLineAndAHint) {
  const pid_t pid = start_with_threads();
  const std::string first = std::to_string(own_cpus().front());
  struct Case {
    std::string command;
    int status;
    std::string says;
  };
  for (const auto& c : std::vector<Case>{{"rebind 999999999 --cpu-list " + first, 1, "no such process"},
                                         {"rebind", 2, "which process"},
                                         {"rebind 1 --node 0", 2, "whole system"},
                                         {"rebind " + std::to_string(pid) + " --node 77", 2, "this machine has nodes"},
                                         {"rebind " + std::to_string(pid) + " --cpu-list 65000", 2, "none of these CPUs is online"},
                                         {"rebind " + std::to_string(pid) + " --cpus near", 2, "no such choice"},
                                         {"rebind --undo /nonexistent", 1, "/nonexistent"},
                                         {"rebind --undo /proc/self/status", 2, "no state of rebind"}}) {
    const auto ran = run_shell("numapin " + c.command);
    EXPECT_EQ(ran.status, c.status) << c.command << ": " << ran.err;
    EXPECT_THAT(ran.err, AllOf(HasSubstr(c.says), HasSubstr("\n  hint: "))) << c.command;
  }
}

TEST_F(Rebind, AZombieIsSaidToHaveEnded) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);  // ended, not collected
  const auto ran = rebind(pid, "--node 0");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("zombie"));
  waitpid(pid, nullptr, 0);
}

TEST_F(Rebind, AThousandThreads) {
  const pid_t pid = start([](const auto& ready) {
    for (int i = 0; i < 1000; ++i) std::thread(sleep_on).detach();
    ready();
  });
  const auto first = std::to_string(own_cpus().front());
  EXPECT_THAT(rebind(pid, "--cpu-list " + first).out, HasSubstr("1001 threads to CPUs " + first));
  EXPECT_EQ(masks(pid), std::vector<std::string>(1001, first));
}

TEST_F(Rebind, AnotherUsersProcessIsLeftAlone) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  const pid_t pid = start_with_threads();
  const auto before = taskset(pid);
  const auto program = numapin_program().string();
  // The program may lie where that user may not look: it is opened before.
  const auto ran = run_shell("exec 9<" + program + "; setpriv --reuid 65534 --clear-groups /proc/self/fd/9 rebind " + std::to_string(pid) +
                             " --state /tmp/numapin-nobody-" + std::to_string(getpid()) + " --cpu-list " + std::to_string(own_cpus().front()));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("Operation not permitted"), HasSubstr("another user's")));
  EXPECT_EQ(taskset(pid), before);
  EXPECT_FALSE(fs::exists("/tmp/numapin-nobody-" + std::to_string(getpid())));
}

}  // namespace
}  // namespace numapin::test
