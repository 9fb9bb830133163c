#include "os/rebind.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>

namespace numapin {
namespace {

/// Threads with masks and pages with nodes, as a kernel keeps them.
class FakeKernel final : public RebindKernel {
 public:
  std::map<int, CpuSet> masks;            // by thread
  std::map<int, int> refusals;            // by thread: errno
  CpuSet cpuset;                          // empty: everything
  std::map<std::uint64_t, int> pages;     // address -> node
  std::map<std::uint64_t, int> stuck;     // address -> errno of move_pages
  int migrate_error = 0;
  std::vector<std::string> calls;

  int set_affinity(int tid, const CpuSet& cpus) override {
    if (const auto r = refusals.find(tid); r != refusals.end()) return r->second;
    if (!masks.contains(tid)) return ESRCH;
    calls.push_back(std::to_string(tid) + " " + cpus.to_list());
    masks[tid] = cpuset.empty() ? cpus : cpus & cpuset;
    return 0;
  }
  int get_affinity(int tid, CpuSet& cpus) override {
    cpus = masks[tid];
    return 0;
  }
  int migrate_pages(int, int from, int to, std::uint64_t& failed) override {
    for (auto& [address, node] : pages) {
      if (node != from) continue;
      if (stuck.contains(address)) ++failed;
      else node = to;
    }
    return migrate_error;
  }
  int move_pages(int, const std::vector<std::uint64_t>& addresses, std::optional<int> node, std::vector<int>& status) override {
    status.clear();
    for (const auto address : addresses) {
      const auto page = pages.find(address);
      if (page == pages.end()) status.push_back(-ENOENT);
      else if (!node) status.push_back(page->second);
      else if (const auto s = stuck.find(address); s != stuck.end()) status.push_back(-s->second);
      else status.push_back(page->second = *node);
    }
    return 0;
  }
  std::uint64_t moved_pages() override { return 0; }
};

const CpuSet kOld{4, 5}, kNew{0, 1};

/// Plans from the fake's own state: every thread to kNew.
BindSteps steps_for(FakeKernel& kernel, std::vector<std::size_t>* saves = nullptr) {
  BindSteps steps;
  steps.look = [&kernel]() -> Result<std::vector<ProcessChange>> {
    ProcessChange p{100, 7, "p", {}, {}, {}};
    for (const auto& [tid, mask] : kernel.masks) p.threads.push_back({tid, mask, kNew, false});
    return std::vector{p};
  };
  steps.save = [saves, &kernel](const std::vector<ProcessChange>& changes) -> Result<void> {
    EXPECT_EQ(kernel.masks.at(changes[0].threads.back().tid), changes[0].threads.back().before) << "saved after the change";
    if (saves) saves->push_back(changes[0].threads.size());
    return {};
  };
  return steps;
}

TEST(BindThreads, SetsAllAndKeepsTheOldOnesFirst) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}, {101, kOld}, {102, kNew}};
  std::vector<std::size_t> saves;
  const auto report = bind_threads(kernel, steps_for(kernel, &saves));
  ASSERT_TRUE(report);
  EXPECT_EQ(kernel.masks, (std::map<int, CpuSet>{{100, kNew}, {101, kNew}, {102, kNew}}));
  EXPECT_EQ(report->changed, 2);
  EXPECT_EQ(report->as_they_were, 1);
  EXPECT_EQ(report->passes, 1);
  EXPECT_EQ(saves, std::vector<std::size_t>{3});
  EXPECT_EQ(kernel.calls.size(), 2u) << "a mask that is right is not set again";
}

TEST(BindThreads, LooksAgainUntilNoThreadIsNew) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  auto steps = steps_for(kernel);
  int looks = 0;
  steps.look = [&, inner = steps.look] {
    if (looks > 0 && looks < 3) kernel.masks[100 + looks] = kOld;  // made before its maker was moved
    ++looks;
    return inner();
  };
  const auto report = bind_threads(kernel, steps);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->passes, 3);
  EXPECT_TRUE(report->settled);
  EXPECT_EQ(kernel.masks, (std::map<int, CpuSet>{{100, kNew}, {101, kNew}, {102, kNew}}));
}

TEST(BindThreads, LooksOnceMoreForAForkThatWasUnderWay) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  auto steps = steps_for(kernel);
  int pauses = 0;
  steps.pause = [&] {
    if (pauses++ == 0) kernel.masks[101] = kOld;  // its maker was changed, and read again, while it was being made
  };
  const auto report = bind_threads(kernel, steps);
  ASSERT_TRUE(report);
  EXPECT_EQ(kernel.masks, (std::map<int, CpuSet>{{100, kNew}, {101, kNew}}));
  EXPECT_TRUE(report->settled);
  EXPECT_EQ(pauses, 2) << "after each look that finds nothing to change";
}

TEST(BindThreads, ChildrenWithTheNewMaskAreNoReasonToGoOn) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  auto steps = steps_for(kernel);
  steps.look = [&, inner = steps.look] {
    if (kernel.masks.at(100) == kNew) kernel.masks[100 + static_cast<int>(kernel.masks.size())] = kNew;
    return inner();
  };
  const auto report = bind_threads(kernel, steps);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->settled);
  EXPECT_EQ(report->passes, 1);
}

TEST(BindThreads, GivesUpOnAProcessThatForksWithoutEnd) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  auto steps = steps_for(kernel);
  steps.look = [&, inner = steps.look] {
    kernel.masks[100 + static_cast<int>(kernel.masks.size())] = kOld;
    return inner();
  };
  const auto report = bind_threads(kernel, steps);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->settled);
  EXPECT_EQ(report->passes, kMaxBindPasses);
}

TEST(BindThreads, AnotherUsersProcessIsAnError) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}, {101, kOld}};
  kernel.refusals = {{100, EPERM}, {101, EPERM}};
  const auto report = bind_threads(kernel, steps_for(kernel));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, Error::Kind::kDenied);
  EXPECT_FALSE(report.error().hint.empty());
}

TEST(BindThreads, SomeRefusalsAreReportedAndTheOthersMove) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}, {101, kOld}};
  kernel.refusals = {{100, EINVAL}};
  const auto report = bind_threads(kernel, steps_for(kernel));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->refused.size(), 1u);
  EXPECT_EQ(report->refused[0].error, EINVAL);
  EXPECT_EQ(kernel.masks[101], kNew);
}

TEST(BindThreads, AThreadThatEndsIsNoFailure) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}, {101, kOld}};
  kernel.refusals = {{101, ESRCH}};
  const auto report = bind_threads(kernel, steps_for(kernel));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->ended, 1);
  EXPECT_TRUE(report->refused.empty());
}

TEST(BindThreads, NothingIsSetOnceTheProcessHasEnded) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  auto steps = steps_for(kernel);
  steps.alive = [](int) { return false; };
  const auto report = bind_threads(kernel, steps);
  ASSERT_TRUE(report);
  EXPECT_TRUE(kernel.calls.empty());
  EXPECT_EQ(report->ended, 1);
}

TEST(BindThreads, NamesWhatTheCpusetLeavesOut) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  kernel.cpuset = {0, 4, 5};
  const auto report = bind_threads(kernel, steps_for(kernel));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->left_out, (CpuSet{1}));
}

TEST(BindThreads, NothingIsChangedThatCannotBeKept) {
  FakeKernel kernel;
  kernel.masks = {{100, kOld}};
  auto steps = steps_for(kernel);
  steps.save = [](const auto&) -> Result<void> { return fail(Error::Kind::kDenied, "write /x: Permission denied"); };
  EXPECT_FALSE(bind_threads(kernel, steps));
  EXPECT_TRUE(kernel.calls.empty());
}

TEST(Migrate, ReportsTheFirstRefusal) {
  FakeKernel kernel;
  kernel.migrate_error = EPERM;
  EXPECT_EQ(migrate(kernel, 100, {{1, 0, 4096}}, {}).error, EPERM);
  EXPECT_EQ(migrate(kernel, 100, {{1, 0, 4096}}, [](std::uint64_t) {}).error, EPERM) << "with a progress line";
}

TEST(AskWhy, CountsReasonsOfWhatStayed) {
  FakeKernel kernel;
  for (std::uint64_t i = 0; i < 10; ++i) kernel.pages[0x10000 + i * 4096] = 1;
  for (std::uint64_t i = 0; i < 3; ++i) kernel.stuck[0x10000 + i * 4096] = EACCES;
  kernel.stuck[0x10000 + 3 * 4096] = EBUSY;
  kernel.stuck[0x10000 + 4 * 4096] = ENOMEM;
  kernel.pages[0x10000 + 5 * 4096] = 0;  // at home already: not asked
  const auto why = ask_why(kernel, 100, {{0x10000, 0x10000 + 12 * 4096, 4096}}, {1}, 0);
  EXPECT_EQ(why.asked, 9u);
  EXPECT_EQ(why.moved_after_all, 4u);
  ASSERT_EQ(why.pages.size(), 3u);
  EXPECT_EQ(why.pages[0], (std::pair<std::string, std::uint64_t>{"shared", 3}));
}

TEST(AskWhy, StopsAtItsLimit) {
  FakeKernel kernel;
  constexpr std::uint64_t kPages = 40000;
  for (std::uint64_t i = 0; i < kPages; ++i) {
    kernel.pages[i * 4096] = 1;
    kernel.stuck[i * 4096] = EBUSY;
  }
  const auto why = ask_why(kernel, 100, {{0, kPages * 4096, 4096}}, {1}, 0);
  EXPECT_GT(why.asked, 10000u);
  EXPECT_LT(why.asked, 20000u);
}

TEST(ProcessGuard, KnowsWhenItsProcessHasEnded) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  auto guard = ProcessGuard::open(child);
  ASSERT_TRUE(guard);
  EXPECT_TRUE(guard->alive());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(guard->alive());
  EXPECT_EQ(ProcessGuard::open(child).error().kind, Error::Kind::kNotFound);
}

}  // namespace
}  // namespace numapin
