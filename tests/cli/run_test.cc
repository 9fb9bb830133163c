// `numapin run` as a user types it, on this machine and on built-in ones; the truth comes from the kernel and other tools.
#include <gmock/gmock.h>

#include <algorithm>

#include "run_numapin.h"
#include "support/source_dir.h"

namespace numapin::test {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// numactl needs a kernel that lets set_mempolicy through (a container's seccomp filter may not).
bool policies_work() { return run_shell("numactl --membind=0 true").status == 0; }

TEST(Run, LeavesTheCommandsOwnArgumentsAlone) {
  const auto ran = run_shell(R"(numapin run -q --cpu-list 0 printf '%s|' --gpu -N 'a b' '' -- --help)");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.out, "--gpu|-N|a b||--|--help|");
  EXPECT_EQ(run_shell("numapin run -q --cpu-list 0 -- sh -c 'echo $0 $1' -- -m").out, "-- -m\n");
}

TEST(Run, StatusIsTheCommands) {
  EXPECT_EQ(run_shell("numapin run -q --cpu-list 0 sh -c 'exit 7'").status, 7);
  EXPECT_EQ(run_shell("numapin run -q --cpu-list 0 sh -c 'kill -9 $$'; exit $?").status, 137);
}

TEST(Run, MissingCommandIs127AndUnusableIs126) {
  const auto missing = run_shell("numapin run --cpu-list 0 no-such-program");
  EXPECT_EQ(missing.status, 127);
  EXPECT_THAT(missing.err, StartsWith("numapin: run no-such-program: command not found\n  hint: "));
  EXPECT_EQ(run_shell("numapin run --cpu-list 0 /no/such/file").status, 127);
  EXPECT_EQ(run_shell("numapin run --cpu-list 0 /etc/passwd").status, 126);
  EXPECT_EQ(run_shell("numapin run --cpu-list 0 /tmp").status, 126);
}

TEST(Run, NoProcessStaysBehind) {  // exec: the command has numapin's own process number
  EXPECT_EQ(run_shell("sh -c 'echo $$; exec numapin run -q --cpu-list 0 sh -c \"echo \\$\\$\"' | uniq | wc -l").out, "1\n");
}

TEST(Run, SetsTheMaskThatTasksetReads) {
  EXPECT_THAT(run_shell("numapin run -q --cpu-list 0 sh -c 'taskset -cp $$'").out, EndsWith(": 0\n"));
  EXPECT_THAT(run_shell("numapin run -q --cpu-mask 0x1 sh -c 'taskset -p $$'").out, EndsWith(": 1\n"));
  EXPECT_THAT(run_shell("taskset -c 0 numapin run -q -C +0 sh -c 'taskset -cp $$'").out, EndsWith(": 0\n"));
}

TEST(Run, LeavesAProcessWhereNumactlLeavesIt) {
  if (!policies_work()) GTEST_SKIP() << "numactl cannot set a memory policy here";
  for (const char* options : {"-N 0 -m 0", "-N 0 -m same", "-i all", "-p 0", "-P 0", "-l", "-C 0", "-N all", "-C all",
                              "-b -m 0", "-m 0 -C +0", "-a -N 0", "--cpunodebind=0 --interleave=0"}) {
    const std::string o = options;
    const auto ours = run_shell("numapin run -q " + o + " numactl --show");
    EXPECT_EQ(ours.status, 0) << o << ours.err;
    EXPECT_EQ(ours.out, run_shell("numactl " + o + " numactl --show").out) << o;
  }
}

TEST(Run, SaysInOneLineWhatWasAchieved) {
  if (!policies_work()) GTEST_SKIP() << "numactl cannot set a memory policy here";
  EXPECT_EQ(run_shell("numapin run --cpu-list 0 -m 0 --verify true").err, "numapin: CPUs 0, memory bind node 0; verified\n");
  EXPECT_THAT(run_shell("numapin run -q --cpu-list 0 true").err, IsEmpty());
}

TEST(Run, LeavesARecordInTheEnvironmentAndNothingElse) {
  const auto ran = run_shell("env -i PATH=$PATH A='b c' numapin run -q --cpu-list 0 env");
  EXPECT_THAT(ran.out, HasSubstr("NUMAPIN_CPUS=0\n"));
  EXPECT_THAT(ran.out, HasSubstr("A=b c\n"));
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 3);
}

TEST(Run, OpensNoDescriptorForTheCommand) {
  const std::string list = " sh -c 'ls /proc/$$/fd'";
  EXPECT_EQ(run_shell("numapin run -q --cpu-list 0" + list).out, run_shell("exec" + list).out);
}

// ---- inside other launchers ------------------------------------------------------------------------------------------

TEST(RunLocalRank, TakesTheGpuWithTheNumberOfTheLauncher) {
  const std::string command = " numapin run --gpu local-rank --machine dgx-h100 --dry-run";
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK", "PALS_LOCAL_RANKID",
                           "JSM_NAMESPACE_LOCAL_RANK", "FLUX_TASK_LOCAL_ID", "LOCAL_RANK", "SLURM_LOCALID"}) {
    const auto ran = run_shell(std::string(name) + "=5" + command);
    EXPECT_EQ(ran.out, "GPU 5 → node 1\n  set CPUs 56-111,168-223\n  set memory preferred node 1\n") << name << ran.err;
    EXPECT_THAT(ran.err, IsEmpty()) << name;
    EXPECT_THAT(run_shell(std::string(name) + "=5" + command + " --explain").out, HasSubstr("from " + std::string(name))) << name;
  }
}

TEST(RunLocalRank, AnnouncesVariablesThatDiffer) {  // salloc mpirun: SLURM_LOCALID is 0 in every rank
  const auto ran = run_shell("SLURM_LOCALID=0 OMPI_COMM_WORLD_LOCAL_RANK=3 numapin run --gpu local-rank --machine dgx-h100 --dry-run");
  EXPECT_THAT(ran.out, StartsWith("GPU 3 "));
  EXPECT_EQ(ran.err, "numapin: local rank 3 from OMPI_COMM_WORLD_LOCAL_RANK, though SLURM_LOCALID=0\n");
}

TEST(RunLocalRank, SaysWhatIsMissing) {
  const auto ran = run_shell("env -i PATH=$PATH numapin run --gpu local-rank --machine dgx-h100 --dry-run");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, StartsWith("numapin: find the GPU of the local rank: no launcher's variable is set\n  hint: "));
  const auto beyond = run_shell("LOCAL_RANK=8 numapin run --gpu local-rank --machine dgx-h100 --dry-run");
  EXPECT_NE(beyond.status, 0);
  EXPECT_THAT(beyond.out, IsEmpty());
  EXPECT_THAT(beyond.err, StartsWith("numapin: local rank 8 from LOCAL_RANK: choose GPU 8: no such GPU\n"));
}

TEST(RunLocalRank, UnderOpenMpi) {
  const std::string mpirun = "mpirun --allow-run-as-root --oversubscribe --bind-to none -n 4 ";
  if (run_shell(mpirun + "true").status != 0) GTEST_SKIP() << "mpirun of Open MPI does not work here";
  const auto ran = run_shell(mpirun + "numapin run --gpu local-rank --machine dgx-h100 --dry-run");
  EXPECT_EQ(ran.status, 0) << ran.err;
  for (const char* gpu : {"GPU 0 ", "GPU 1 ", "GPU 2 ", "GPU 3 "}) EXPECT_THAT(ran.out, HasSubstr(gpu));
}

TEST(RunLocalRank, UnderMpich) {
  const std::string mpiexec = "mpiexec.hydra -n 4 ";  // by this name it does not meet Open MPI's mpiexec
  if (run_shell(mpiexec + "true").status != 0) GTEST_SKIP() << "mpiexec.hydra does not work here (Debian: mpich)";
  const auto ran = run_shell(mpiexec + "numapin run --gpu local-rank --machine dgx-h100 --dry-run --explain");
  EXPECT_EQ(ran.status, 0) << ran.err;
  for (const char* gpu : {"GPU 0 ", "GPU 1 ", "GPU 2 ", "GPU 3 "}) EXPECT_THAT(ran.out, HasSubstr(gpu));
  EXPECT_THAT(ran.out, HasSubstr("from MPI_LOCALRANKID"));
}

// The real torchrun takes its place in the lane `scripts/test --torch`.
TEST(RunLocalRank, UnderWhatDoesAsTorchrun) {
  const auto stand_in = (source_dir() / "tests/torch/stand-in").string();
  const auto ran = run_shell("SLURM_LOCALID=0 " + stand_in + " --no-python --nproc-per-node 4 numapin run --gpu local-rank --machine dgx-h100 --dry-run --explain");
  EXPECT_EQ(ran.status, 0) << ran.err;
  for (const char* gpu : {"GPU 0 ", "GPU 1 ", "GPU 2 ", "GPU 3 "}) EXPECT_THAT(ran.out, HasSubstr(gpu));
  EXPECT_THAT(ran.out, HasSubstr("from LOCAL_RANK"));
  EXPECT_THAT(ran.err, HasSubstr("local rank 3 from LOCAL_RANK, though SLURM_LOCALID=0"));
}

struct Bad {
  const char* options;
  int status;
  const char* says;
};

TEST(Run, BadInputStartsNothing) {
  const Bad cases[] = {
      {"-N 99", 2, "--cpunodebind: node 99 does not exist"},
      {"-m 99", 2, "--membind: node 99 does not exist"},
      {"-C 9999", 2, "--physcpubind: CPU 9999 does not exist"},
      {"-C 0-", 2, "column 3"},
      {"-C 3-1", 2, "backwards"},
      {"-m same", 2, "same: no node list before it"},
      {"-p 0-1,x", 2, "not a number"},
      {"-N 0 -C 0", 2, "--cpunodebind contradicts --physcpubind"},
      {"-l -m 0", 2, "--membind contradicts --localalloc"},
      {"-c 0", 2, "-c is ambiguous"},
      {"--memory bind -i 0", 2, "--memory contradicts --interleave"},
      {"--cpus near", 2, "near"},
      {"--gpu", 2, ""},
      {"--make-room lots -C 0", 2, "--make-room lots: not a size"},
      {"--machine dual-a100", 2, "--machine needs --dry-run"},
      {"-N pci:ff:1f.7", 1, "no such device"},
      {"-N netdev:nonesuch0", 1, "no such device"},
      {"-N file:/no/such/file", 1, "No such file"},
  };
  for (const auto& bad : cases) {
    const auto ran = run_shell(std::string("numapin run ") + bad.options + " -- echo started");
    EXPECT_EQ(ran.status, bad.status) << bad.options << '\n' << ran.err;
    EXPECT_THAT(ran.out, IsEmpty()) << bad.options;
    EXPECT_THAT(ran.err, HasSubstr(bad.says)) << bad.options;
    EXPECT_THAT(ran.err, StartsWith("numapin: ")) << bad.options;
  }
  EXPECT_EQ(run_shell("numapin run -N 0").status, 2);
}

TEST(RunDry, ShowsWhatItWouldDoOnABuiltInMachine) {
  EXPECT_EQ(run_shell("numapin run --gpu 0 --dry-run --machine dual-a100 -- python train.py").out,
            "GPU 0 → node 0\n"
            "  set CPUs 0-11,24-35\n"
            "  set memory preferred node 0\n"
            "  set CUDA_VISIBLE_DEVICES=GPU-170020b5-0000-4000-8000-000000000000\n"
            "  run python train.py\n");
  EXPECT_EQ(run_shell("numapin run --gpu 7 --profile inference --dry-run --machine dual-a100 true").out,
            "GPU 7 → node 1\n"
            "  set CPUs 12-23\n"
            "  set memory bind node 1\n"
            "  set CUDA_VISIBLE_DEVICES=GPU-e30020b5-0000-4000-8000-000000000007\n"
            "  run true\n");
  EXPECT_EQ(run_shell("numapin run -N 1 -i all --smt off --dry-run --machine dual-a100 true").out,
            "  set CPUs 12-23\n"
            "  set memory interleave nodes 0-1\n"
            "  run true\n");
}

TEST(RunDry, NamedPlacesStandAboveTheGpus) {
  EXPECT_EQ(run_shell("numapin run --gpu 0 -C 40 -m 1 --dry-run --machine dual-a100 true").out,
            "GPU 0 → node 0\n"
            "  set CPUs 40\n"
            "  set memory bind node 1\n"
            "  set CUDA_VISIBLE_DEVICES=GPU-170020b5-0000-4000-8000-000000000000\n"
            "  run true\n");
}

TEST(RunDry, NamesAnUnknownGpu) {
  const auto ran = run_shell("numapin run --gpu 8 --dry-run --machine dual-a100 true");
  EXPECT_NE(ran.status, 0);
  EXPECT_THAT(ran.err, HasSubstr("this machine has GPUs 0-7"));
}

TEST(RunDry, JsonHasTheWholePlacement) {
  const auto ran = run_shell("numapin run --gpu 5 --memory bind --dry-run --json --machine dual-a100 -- a 'b c'");
  EXPECT_EQ(ran.status, 0);
  for (const char* part : {R"("schema": "numapin/run/1")", R"("cpulist": "12-23,36-47")", R"("mode": "bind")",
                           R"("nodes": "1")", R"("b c")"}) {
    EXPECT_THAT(ran.out, HasSubstr(part));
  }
}

}  // namespace
}  // namespace numapin::test
