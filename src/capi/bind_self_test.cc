#include "capi/bind_self.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "os/kernel.h"
#include "support/made_machine.h"

namespace numapin::capi {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// This process, as /proc would show it: threads with masks, 100 MiB on each of two nodes.
class FakeSelf final : public RebindKernel {
 public:
  std::map<int, CpuSet> masks = {{getpid(), CpuSet::range(0, 15)}, {kOther, CpuSet::range(0, 15)}, {kPinned, CpuSet{5}}};
  std::map<int, int> mib = {{0, 100}, {1, 100}};
  int refuses = 0, migrate_error = 0;
  CpuSet cpuset = CpuSet::range(0, 15);
  static constexpr int kOther = 4000001, kPinned = 4000002;

  int set_affinity(int tid, const CpuSet& cpus) override {
    if (refuses != 0) return refuses;
    masks[tid] = cpus & cpuset;
    return 0;
  }
  int get_affinity(int tid, CpuSet& cpus) override {
    cpus = masks[tid];
    return 0;
  }
  int migrate_pages(int, int from, int to, std::uint64_t&) override {
    if (migrate_error != 0) return migrate_error;
    mib[to] += std::exchange(mib[from], 0);
    return 0;
  }
  int move_pages(int, const std::vector<std::uint64_t>& addresses, std::optional<int>, std::vector<int>& status) override {
    status.assign(addresses.size(), -EBUSY);
    return 0;
  }
  std::uint64_t moved_pages() override { return 0; }
};

class LiveTree final : public FileTree {
 public:
  explicit LiveTree(FakeSelf& self) : self_(self) {}
  Result<std::string> read(std::string_view path) const override { return tree().read(path); }
  Result<std::vector<std::string>> list(std::string_view path) const override { return tree().list(path); }
  Result<std::string> resolve(std::string_view path) const override { return tree().resolve(path); }

 private:
  MapTree tree() const {
    const auto proc = "/proc/" + std::to_string(getpid());
    std::map<std::string, std::string> files;
    const auto stat = [](int id) { return std::to_string(id) + " (t) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0"; };
    files[proc + "/stat"] = stat(getpid());
    files[proc + "/status"] = "Mems_allowed_list:\t0-1\n";
    for (const auto& [tid, mask] : self_.masks) {
      files[proc + "/task/" + std::to_string(tid) + "/status"] = "Name:\tt\nCpus_allowed_list:\t" + mask.to_list() + "\n";
      files[proc + "/task/" + std::to_string(tid) + "/stat"] = stat(tid);
    }
    files[proc + "/numa_maps"] = fmt::format("7f0000000000 default anon={} N0={} N1={} kernelpagesize_kB=4\n",
                                             (self_.mib[0] + self_.mib[1]) * 256, self_.mib[0] * 256, self_.mib[1] * 256);
    return MapTree(files);
  }
  FakeSelf& self_;
};

struct BindSelf : testing::Test {
  FakeSelf self;
  LiveTree live{self};
  RecordingKernel kernel;
  System system{test::made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = 1}), {}, {}};

  Result<BindSelfReport> bind(std::string_view json) {
    const auto request = parse_request(json, Call::kBind).value();
    auto placement = place_self(system, request);
    return bind_self(system.machine, placement.value(), request, live, self, kernel);
  }
};

TEST_F(BindSelf, BindsEveryThreadAndKeepsTheShapeOfAPinnedOne) {
  const auto report = bind(R"({"gpu": 0, "env": {}})");
  ASSERT_TRUE(report) << report.error().message;
  const auto node0 = *CpuSet::parse("0-3,8-11");
  EXPECT_EQ(self.masks[getpid()], node0);
  EXPECT_EQ(self.masks[FakeSelf::kOther], node0);
  EXPECT_EQ(self.masks[FakeSelf::kPinned], (CpuSet{1})) << "second core of its node, before and after";
  EXPECT_EQ(report->threads.changed, 3);
  EXPECT_EQ(report->allowed, CpuSet::range(0, 15));
  EXPECT_EQ(verdict(*report), "GPU 0 → node 0: 3 threads on CPUs 0-3,8-11, memory preferred node 0");
  EXPECT_THAT(report->losses, IsEmpty());
}

TEST_F(BindSelf, KeepsItsOwnThreadsOffTheWorkersCores) {
  const auto report = bind(R"({"gpu": 0, "worker_cores": 3, "env": {}})");
  ASSERT_TRUE(report);
  EXPECT_EQ(self.masks[FakeSelf::kOther], report->placement.main_cpus);
  EXPECT_FALSE(report->placement.main_cpus.intersects(report->placement.worker_cpus));
}

TEST_F(BindSelf, WidensAgainWhenItIsBoundAnew) {
  ASSERT_TRUE(bind(R"({"gpu": 0, "worker_cores": 3, "env": {}})"));
  ASSERT_TRUE(bind(R"({"gpu": 1, "env": {}, "allowed_cpulist": "0-15"})"));
  EXPECT_EQ(self.masks[FakeSelf::kOther], *CpuSet::parse("4-7,12-15"));
}

TEST_F(BindSelf, SaysWhatComingLateMeans) {
  const auto report = bind(R"({"gpu": 0, "env": {}})");
  ASSERT_TRUE(report && report->pages);
  EXPECT_EQ(report->pages->elsewhere(), 100U << 20);
  EXPECT_THAT(late_words(*report), HasSubstr("late: 100 MiB of 200 MiB that this process touched before are not on node 0; they stay"));
  EXPECT_EQ(self.mib[1], 100);
}

TEST_F(BindSelf, MovesWhatWasTouchedWhenAsked) {
  const auto report = bind(R"({"gpu": 0, "migrate": true, "env": {}})");
  ASSERT_TRUE(report && report->pages);
  EXPECT_EQ(report->pages->moved_bytes, 100U << 20);
  EXPECT_EQ(late_words(*report), "");
}

TEST_F(BindSelf, SaysWhyPagesStayed) {  // docker without SYS_NICE
  self.migrate_error = EPERM;
  const auto report = bind(R"({"gpu": 0, "migrate": true, "env": {}})");
  ASSERT_TRUE(report);
  ASSERT_THAT(report->losses, SizeIs(1));
  EXPECT_THAT(report->losses[0].message, HasSubstr("migrate_pages"));
  EXPECT_THAT(report->losses[0].hint, HasSubstr("SYS_NICE"));
  EXPECT_THAT(late_words(*report), HasSubstr("could not be moved"));
}

TEST_F(BindSelf, GoesOnWhereTheKernelRefuses) {
  kernel.refuse("set_memory_policy", EPERM);
  const auto report = bind(R"({"gpu": 0, "env": {}})");
  ASSERT_TRUE(report);
  EXPECT_EQ(self.masks[FakeSelf::kOther], *CpuSet::parse("0-3,8-11"));
  EXPECT_FALSE(report->losses.empty());
  EXPECT_THAT(verdict(*report), HasSubstr("memory not bound"));
  self.refuses = EPERM;
  const auto nothing = bind(R"({"gpu": 1, "env": {}})");
  ASSERT_TRUE(nothing);
  EXPECT_THAT(verdict(*nothing), HasSubstr("CPUs not bound, memory not bound"));
}

TEST_F(BindSelf, StopsThereWhenItIsStrict) {
  kernel.refuse("set_memory_policy", EPERM);
  const auto report = bind(R"({"gpu": 0, "strict": true, "env": {}})");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, Error::Kind::kDenied);
}

TEST_F(BindSelf, NamesCpusThatTheCpusetDropped) {
  self.cpuset = *CpuSet::parse("0-1,4-7");
  const auto report = bind(R"({"gpu": 0, "env": {}})");
  ASSERT_TRUE(report);
  ASSERT_THAT(report->losses, SizeIs(1));
  EXPECT_THAT(report->losses[0].message, HasSubstr("the kernel left out 2-3,8-11"));
}

}  // namespace
}  // namespace numapin::capi
