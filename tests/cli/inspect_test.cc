// inspect on processes of this machine that are hard to look at.
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "run_numapin.h"

namespace numapin::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Inspect : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const pid_t pid : children_) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
  }
  /// A process that has run `body` and then sleeps.
  pid_t start(const std::function<void()>& body) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      body();
      (void)!write(ready[1], "x", 1);
      while (true) pause();
    }
    close(ready[1]);
    char c = 0;
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    children_.push_back(pid);
    return pid;
  }
  static nlohmann::json inspect(pid_t pid, const std::string& options = "") {
    const auto ran = run_shell("numapin inspect --json " + options + " " + std::to_string(pid));
    return nlohmann::json::parse(ran.out).at("processes").at(0);
  }
  std::vector<pid_t> children_;
};

TEST_F(Inspect, ThousandsOfThreads) {
  const pid_t pid = start([] {
    for (int i = 0; i < 2000; ++i)
      std::thread([] {
        while (true) pause();
      }).detach();
  });
  EXPECT_EQ(inspect(pid).at("threads").size(), 2001U);
}

TEST_F(Inspect, AsManyMappingsAsTheKernelAllows) {
  std::size_t allowed = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> allowed;
  const std::size_t count = std::min<std::size_t>(allowed - 1000, 100000);
  const pid_t pid = start([count] {
    // Every second page read-only: neighbours cannot be joined.
    auto* memory = static_cast<char*>(mmap(nullptr, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (std::size_t page = 0; page < count; ++page) {
      memory[page * 4096] = 1;
      if (page % 2 == 1) mprotect(memory + page * 4096, 4096, PROT_READ);
    }
  });
  std::uint64_t bytes = 0;
  const auto shown = inspect(pid);
  for (const auto& [node, on] : shown.at("memory").at("anon_bytes").items()) bytes += on.get<std::uint64_t>();
  EXPECT_GE(bytes, count * 4096);
}

TEST_F(Inspect, AZombieHasEnded) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  const auto ran = run_shell("numapin inspect " + std::to_string(pid));
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("it has ended (a zombie)"));
  waitpid(pid, nullptr, 0);
}

TEST_F(Inspect, KernelThreadsAndPid1AreNoFault) {
  EXPECT_EQ(inspect(1).at("pid"), 1);
  const auto kthreadd = run_shell("cat /proc/2/comm").out;
  if (kthreadd != "kthreadd\n") GTEST_SKIP() << "no kernel threads are seen here";
  EXPECT_EQ(inspect(2).at("verdict"), "a thread of the kernel, which places its own");
}

TEST_F(Inspect, WhatMayNotBeSeenIsSaid) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  const pid_t pid = start([] {});
  const auto ran = run_shell("exec 9<" + numapin_program().string() + "; setpriv --reuid 65534 --clear-groups /proc/self/fd/9 inspect --json " +
                             std::to_string(pid));
  const auto p = nlohmann::json::parse(ran.out).at("processes").at(0);
  EXPECT_TRUE(p.at("memory").is_null());
  EXPECT_THAT(p.at("denied").get<std::vector<std::string>>(), ::testing::Contains("numa_maps: Permission denied"));
}

TEST_F(Inspect, ASampleSaysWhatCountingSays) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const pid_t pid = start([] {
    auto* memory = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (std::size_t at = 0; at < kBytes; at += 4096) memory[at] = 1;
  });
  const auto counted = inspect(pid).at("memory"), sampled = inspect(pid, "--sample").at("memory");
  EXPECT_TRUE(counted.at("sample_pages").is_null());
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // The sanitizer's terabytes of nearly empty addresses are in the child: too thin for a sample, so its pages are counted.
  EXPECT_TRUE(sampled.at("sample_pages").is_null());
  return;
#endif
  EXPECT_GT(sampled.at("sample_pages").get<int>(), 1000);
  double total = 0;
  for (const auto& [node, bytes] : counted.at("own_bytes").items()) total += bytes.get<double>();
  for (const auto& [node, bytes] : counted.at("own_bytes").items()) {
    const double share = bytes.get<double>() / total;
    if (share < 0.01) continue;
    constexpr double kRounding = 1e-9;  // a whole share, counted and estimated
    EXPECT_LE(sampled.at("sample_shares").at(node).at("low").get<double>(), share + kRounding);
    EXPECT_GE(sampled.at("sample_shares").at(node).at("high").get<double>(), share - kRounding);
    EXPECT_NEAR(sampled.at("own_bytes").at(node).get<double>(), bytes.get<double>(), 0.1 * total);
  }
}

TEST_F(Inspect, AProcessThatEndsMeanwhileIsNoCrash) {
  for (int i = 0; i < 40; ++i) {
    const pid_t pid = start([] {});
    std::thread killer([pid, i] {
      std::this_thread::sleep_for(std::chrono::microseconds(500 * i));
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    });
    const auto ran = run_shell("numapin inspect " + std::to_string(pid));
    killer.join();
    children_.pop_back();
    EXPECT_LT(ran.status, 2) << ran.err;
    if (ran.status == 1) {
      EXPECT_THAT(ran.err, HasSubstr("there is none"));
    }
  }
}

}  // namespace
}  // namespace numapin::test
