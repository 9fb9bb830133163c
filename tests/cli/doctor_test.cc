// numapin doctor as a user types it: status, commands that are only looked at, scripts, and that nothing is changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run_numapin.h"
#include "support/source_dir.h"

namespace numapin::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Doctor, StatusTellsWhetherThereIsSomethingToMend) {
  EXPECT_EQ(run_shell("numapin doctor --machine dual-a100").status, 0);
  EXPECT_EQ(run_shell("numapin doctor --machine gh200").status, 0) << "notes are nothing to mend";
  EXPECT_EQ(run_shell("numapin doctor --machine vm-2node-unknown").status, 1);
}

TEST(Doctor, RefusesWhatMakesNoSense) {
  EXPECT_EQ(run_shell("numapin doctor --check nope").status, 2);
  EXPECT_EQ(run_shell("numapin doctor --explain nope").status, 2);
  EXPECT_EQ(run_shell("numapin doctor --machine vm 42").status, 2);
  EXPECT_EQ(run_shell("numapin doctor 1 -- ./job").status, 2);
  EXPECT_EQ(run_shell("numapin doctor -- taskset -p 1").status, 2);
  EXPECT_EQ(run_shell("numapin doctor --json --script").status, 2);
  EXPECT_EQ(run_shell("numapin doctor --gpu 99").status, 1);
  const auto absent = run_shell("numapin doctor 2147483647");
  EXPECT_EQ(absent.status, 1);
  EXPECT_THAT(absent.err, HasSubstr("process 2147483647: there is none"));
}

TEST(Doctor, LooksAtThisShellsEnvironment) {
  const auto ran = run_shell("GOMP_CPU_AFFINITY='4000-4001' numapin doctor --check openmp");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out, HasSubstr("GOMP_CPU_AFFINITY=4000-4001 names CPUs 4000-4001"));
  EXPECT_THAT(ran.out, HasSubstr("mend it     unset GOMP_CPU_AFFINITY"));
  EXPECT_EQ(run_shell("unset OMP_NUM_THREADS; numapin doctor --check openmp").status, 0);
}

TEST(Doctor, SaysInAContainerThatTheKernelIsTheHosts) {
  const auto tell = "this is a container: kernel settings are the host's";
  const auto ran = run_shell("container=podman numapin doctor --check autogroup");
  if (ran.out.find("sysctl -w") == ran.out.npos) GTEST_SKIP() << "nothing to mend: autogroups are off here";
  EXPECT_THAT(ran.err, HasSubstr(tell));
  EXPECT_THAT(run_shell("numapin doctor --check openmp").err, Not(HasSubstr(tell)));
}

TEST(Doctor, WritesScriptsThatShellcheckTakes) {
  if (run_shell("command -v shellcheck").status != 0) GTEST_SKIP() << "shellcheck is not installed";
  const auto machine = (source_dir() / "tests/machines/lab-offline/machine.snap").string();
  for (const std::string what : {"--script", "--undo-script"}) {
    const auto ran = run_shell("numapin doctor " + what + " --machine " + machine + " | shellcheck -");
    EXPECT_EQ(ran.status, 0) << ran.out;
  }
}

TEST(Doctor, LooksAtARunningProcess) {
  const auto ran = run_shell("OMP_NUM_THREADS=99999 sleep 30 & numapin doctor --check openmp $!; status=$?; kill $!; exit $status");
  EXPECT_EQ(ran.status, 1) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("(sleep)"));
  EXPECT_THAT(ran.out, HasSubstr("OMP_NUM_THREADS=99999"));
}

// A CPU of this process: CPU 0 may be none.
constexpr const char* kOneCpu = "cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/self/status); ";

TEST(Doctor, FollowsWhatStandsBeforeAProgram) {
  const auto judge = [](const std::string& command) { return run_shell(std::string(kOneCpu) + "unset OMP_NUM_THREADS; numapin doctor --check openmp -- " + command); };
  const auto bound = judge("env OMP_NUM_THREADS=2 taskset -c $cpu ./job --lr 3 -- x");
  EXPECT_EQ(bound.status, 1) << bound.err;
  EXPECT_THAT(bound.out, HasSubstr("OMP_NUM_THREADS=2, and 1 CPU allowed"));
  EXPECT_THAT(judge("OMP_NUM_THREADS=2 numapin run --cpu-list $cpu -- ./job").out, HasSubstr("OMP_NUM_THREADS=2, and 1 CPU allowed"));
  EXPECT_THAT(judge("OMP_NUM_THREADS=2 numactl -C $cpu ./job").out, HasSubstr("OMP_NUM_THREADS=2, and 1 CPU allowed"));
  EXPECT_THAT(judge("docker run --cpuset-cpus=$cpu -e OMP_NUM_THREADS=2 image").out, HasSubstr("OMP_NUM_THREADS=2, and 1 CPU allowed"));
  EXPECT_EQ(judge("env OMP_NUM_THREADS=1 taskset -c $cpu ./job").status, 0);
  EXPECT_EQ(judge("OMP_NUM_THREADS=99999 env -u OMP_NUM_THREADS ./job").status, 0);
  EXPECT_EQ(judge("/usr/bin/env -i ./job").status, 0);
}

TEST(Doctor, DoesNotStartTheCommandItJudges) {
  const auto ran = run_shell("dir=$(mktemp -d); numapin doctor -- touch $dir/x >/dev/null; ls $dir; rmdir $dir");
  EXPECT_EQ(ran.out, "");
}

TEST(Doctor, SaysThatLaunchersBindAnew) {
  const auto ran = run_shell("numapin doctor -- srun -n4 ./job");
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.err, HasSubstr("srun ... numapin doctor"));
}

TEST(Doctor, PrintsScriptsThatAShellReads) {
  for (const char* option : {"--script", "--undo-script"}) {
    const auto ran = run_shell(std::string("GOMP_CPU_AFFINITY=\"4000 '\" numapin doctor ") + option + " > script.sh; sh -n script.sh && cat script.sh; rm script.sh");
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.out.find("#!/bin/sh\n"), 0U) << ran.out;
  }
}

TEST(Doctor, JsonIsOneDocument) {
  const auto ran = run_shell("numapin doctor --json");
  const auto document = nlohmann::json::parse(ran.out);
  EXPECT_EQ(document["schema"], "numapin/doctor/1");
  EXPECT_EQ(ran.status, document["problems"].get<int>() + document["warnings"].get<int>() > 0 ? 1 : 0);
}

TEST(Doctor, ChangesNothing) {
  if (run_shell("strace -V && strace true").status != 0) GTEST_SKIP() << "needs strace, and the right to trace";
  const auto ran = run_shell("strace -f -qq -e signal=none -e trace=open,openat,creat,unlink,rename,chmod,kill,sched_setaffinity,migrate_pages,move_pages,mbind numapin doctor 2>&1 >/dev/null");
  for (const char* word : {"O_WRONLY", "O_RDWR", "O_CREAT", "unlink(", "rename(", "chmod(", "kill(", "sched_setaffinity(", "migrate_pages(", "move_pages(", "mbind("})
    EXPECT_THAT(ran.out, Not(HasSubstr(word)));
  EXPECT_THAT(ran.out, HasSubstr("/proc/sys/kernel/numa_balancing")) << "the trace is one of doctor";
}

}  // namespace
}  // namespace numapin::test
