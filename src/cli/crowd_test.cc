#include "cli/crowd.h"

#include <gmock/gmock.h>

#include "numapin/file_tree.h"

namespace numapin::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kOurStat =
    "101 (a rank) S 100 101 101 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 5000 1 1 1 1 1 1 1 1 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";

/// Process 100 is a launcher with four ranks, 101 to 104, of which we are 101; `masks` are theirs.
std::unique_ptr<FileTree> launcher_with_ranks(const std::vector<std::string>& masks) {
  std::map<std::string, std::string> files;
  files["/proc/self/stat"] = kOurStat;
  files["/proc/100/task/100/children"] = "101 102 ";
  files["/proc/100/task/109/children"] = "103 104";  // another thread of it started two
  for (std::size_t i = 0; i < masks.size(); ++i)
    files["/proc/" + std::to_string(101 + i) + "/status"] = "Name:\trank\nCpus_allowed_list:\t" + masks[i] + "\nMems_allowed_list:\t0\n";
  return std::make_unique<MapTree>(files);
}

System four_cpus(const CpuSet& allowed) {
  System s;
  s.machine.online = {CpuSet::range(0, 3), Source::kSysfs};
  s.allowance.cpus = {allowed, Source::kProcfs};
  return s;
}

TEST(CrowdWarning, SaysWhoMadeItAndHowToMendIt) {
  const auto tree = launcher_with_ranks({"0-1", "0-1", "0-1", "1"});
  const auto said = crowd_warning(*tree, four_cpus({0, 1}), {0, "OMPI_COMM_WORLD_LOCAL_RANK", {}});
  ASSERT_TRUE(said);
  EXPECT_THAT(*said, AllOf(HasSubstr("4 ranks share CPUs 0-1"), HasSubstr("mpirun --bind-to none")));
  EXPECT_THAT(*crowd_warning(*tree, four_cpus({0, 1}), {0, "SLURM_LOCALID", {}}), HasSubstr("srun --cpu-bind=none"));
  EXPECT_THAT(*crowd_warning(*tree, four_cpus({0, 1}), {0, "LOCAL_RANK", {}}), HasSubstr("--cpuset-cpus"));
}

TEST(CrowdWarning, RanksWithCpusOfTheirOwnAreNoCrowd) {
  EXPECT_FALSE(crowd_warning(*launcher_with_ranks({"0", "1", "2", "3"}), four_cpus({0}), {0, "SLURM_LOCALID", {}}));
}

TEST(CrowdWarning, TwoRanksOnTwoCpusAreNoCrowd) {
  EXPECT_FALSE(crowd_warning(*launcher_with_ranks({"0-1", "0-1", "2-3", "2-3"}), four_cpus({0, 1}), {0, "SLURM_LOCALID", {}}));
}

TEST(CrowdWarning, AMaskOfTheWholeMachineIsNobodysFault) {
  EXPECT_FALSE(crowd_warning(*launcher_with_ranks({"0-3", "0-3", "0-3", "0-3"}), four_cpus(CpuSet::range(0, 3)), {0, "SLURM_LOCALID", {}}));
}

TEST(CrowdWarning, KernelsWithoutListsOfChildrenSayNothing) {
  auto tree = MapTree();
  tree.add_file("/proc/self/stat", kOurStat);
  EXPECT_FALSE(crowd_warning(tree, four_cpus({0}), {0, "SLURM_LOCALID", {}}));
}

}  // namespace
}  // namespace numapin::cli
