#include "numapin/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace numapin {
namespace {

constexpr std::uint64_t kPage = 4096, kHuge = 2 << 20;

TEST(ProcStat, SurvivesAnyName) {
  const auto s = parse_proc_stat(
      "42 (a) b (c)) S 7 42 42 0 -1 4194560 100 0 0 0 15 4 0 0 20 0 3 0 98765 1000000 200 18446744073709551615 1 1 0 0 0 "
      "0 0 0 0 0 0 0 17 11 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->name, "a) b (c)");
  EXPECT_EQ(s->state, 'S');
  EXPECT_EQ(s->parent, 7);
  EXPECT_EQ(s->user_ticks + s->system_ticks, 19U);
  EXPECT_EQ(s->start_ticks, 98765U);
  EXPECT_EQ(s->last_cpu, 11);
  EXPECT_EQ(s->threads, 3);
  EXPECT_FALSE(s->kernel_thread);
}

TEST(ProcStat, IsNothingForHalfALine) {
  EXPECT_FALSE(parse_proc_stat(""));
  EXPECT_FALSE(parse_proc_stat("42 (x) S 7 42"));
  EXPECT_FALSE(parse_proc_stat(")("));
}

TEST(NumaMaps, SplitsRowsAsNumastatDoes) {
  const auto m = parse_numa_maps(
      "55d000000000 prefer:0 heap anon=3 dirty=3 active=0 N0=2 N1=1 kernelpagesize_kB=4\n"
      "7f0000000000 prefer:0 anon=10 dirty=10 N0=10 kernelpagesize_kB=4\n"
      "7f1000000000 prefer:0 file=/usr/lib/libc.so.6 mapped=8 mapmax=30 N1=8 kernelpagesize_kB=4\n"
      "7f2000000000 bind:1 file=/dev/shm/ring dirty=5 N1=5 kernelpagesize_kB=4\n"
      "7f3000000000 prefer:0 file=/anon_hugepage\\040(deleted) huge anon=2 dirty=2 N0=2 kernelpagesize_kB=2048\n"
      "7ffc00000000 prefer:0 stack anon=4 dirty=4 N0=4 kernelpagesize_kB=4\n"
      "7ffe00000000 prefer:0\n",
      kPage, kHuge);
  EXPECT_EQ(m.heap, (NodeBytes{{0, 2 * kPage}, {1, kPage}}));
  EXPECT_EQ(m.stack, (NodeBytes{{0, 4 * kPage}}));
  EXPECT_EQ(m.huge, (NodeBytes{{0, 2 * kHuge}}));
  EXPECT_EQ(m.private_, (NodeBytes{{0, 10 * kPage}, {1, 13 * kPage}}));
  EXPECT_EQ(m.file, (NodeBytes{{1, 8 * kPage}}));
  EXPECT_EQ(m.shared, (NodeBytes{{1, 5 * kPage}}));
  EXPECT_EQ(m.policy, "prefer:0");
  ASSERT_EQ(m.own_policy.size(), 1U);
  EXPECT_EQ(m.own_policy[0].policy, "bind:1");
  EXPECT_EQ(total_bytes(m.total()), 26 * kPage + 2 * kHuge + 4 * kPage);
  EXPECT_EQ(total_bytes(m.own()), total_bytes(m.total()) - 8 * kPage) << "page cache is not the process's own";
}

TEST(NumaMaps, CountsAWrittenPrivateFileMappingAsOwnMemory) {
  const auto v = parse_numa_maps_line("7f00 default file=/lib/x.so anon=3 dirty=3 mapped=4 N0=4 kernelpagesize_kB=4", kPage, kHuge);
  ASSERT_TRUE(v);
  EXPECT_EQ(v->use, Vma::Use::kAnon);
}

TEST(NumaMaps, PassesOverWhatMakesNoSense) {
  for (const std::string policy : {"default", "prefer:1", "prefer (many):0-1", "prefer (many)=static:0", "weighted interleave:0-1", "bind=static:0"})
    EXPECT_EQ(parse_numa_maps_line("7f00 " + policy + " heap anon=1 N0=1 kernelpagesize_kB=4", kPage, kHuge)->policy, policy);
  EXPECT_FALSE(parse_numa_maps_line("", kPage, kHuge));
  EXPECT_FALSE(parse_numa_maps_line("xyz default N0=1", kPage, kHuge));
  const auto v = parse_numa_maps_line("7f00 default Nx=1 N0=y N0= N1=2", kPage, kHuge);
  ASSERT_TRUE(v);
  EXPECT_EQ(v->bytes, (NodeBytes{{1, 2 * kPage}})) << "no kernelpagesize_kB: the base page";
}

MapTree one_process() {
  MapTree t;
  t.add_file("/proc/42/stat", "42 (python3) S 1 42 42 0 -1 0 0 0 0 0 15 4 0 0 20 0 2 0 777 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0");
  t.add_file("/proc/42/status", "Name:\tpython3\nUid:\t1000\t1000\t1000\t1000\nVmLck:\t      64 kB\nVmPin:\t       8 kB\n"
                                "Cpus_allowed_list:\t0-3\nMems_allowed_list:\t0-1\n");
  t.add_file("/proc/42/cmdline", std::string("python3\0train.py\0", 17));
  t.add_file("/proc/42/task/42/stat", "42 (python3) R 1 42 42 0 -1 0 0 0 0 0 15 4 0 0 20 0 2 0 777 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0");
  t.add_file("/proc/42/task/42/status", "Cpus_allowed_list:\t0-3\nvoluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t2\n");
  t.add_file("/proc/42/task/42/sched", "python3 (42, #threads: 2)\n-----\nse.nr_migrations                             :                   12\n");
  t.add_file("/proc/42/numa_maps", "7f00 bind:0 anon=1 N0=1 kernelpagesize_kB=4\n");
  t.add_link("/proc/42/fd/3", "/dev/nvidia2");
  t.add_link("/proc/42/fd/4", "/dev/nvidiactl");
  t.add_link("/proc/42/fd/5", "/dev/dri/renderD129");
  for (const char* device : {"/dev/nvidia2", "/dev/nvidiactl", "/dev/dri/renderD129"}) t.add_file(device, "");
  t.add_file("/proc/43/stat", "43 (worker) S 42 42 42 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 800 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 5 0 0 0");
  t.add_file("/proc/44/stat", "44 (other) S 1 42 42 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 800 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 5 0 0 0");
  return t;
}

TEST(ReadProcess, TellsThreadsMemoryAndDevices) {
  const auto tree = one_process();
  const auto p = read_process(tree, 42);
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(p->command, "python3 train.py");
  EXPECT_EQ(p->uid, 1000);
  EXPECT_EQ(p->start_ticks, 777U);
  ASSERT_EQ(p->threads.size(), 1U);
  EXPECT_EQ(p->threads[0].allowed_cpus.to_list(), "0-3");
  EXPECT_EQ(p->threads[0].migrations, 12U);
  EXPECT_EQ(p->threads[0].last_cpu, 3);
  EXPECT_EQ(p->memory->locked_bytes, 64U * 1024);
  EXPECT_THAT(p->gpu_minors, testing::ElementsAre(2)) << "nvidiactl is not a GPU";
  EXPECT_THAT(p->render_minors, testing::ElementsAre(129));
}

TEST(ReadProcess, SaysWhatWasDenied) {
  auto tree = one_process();
  tree.add_failure("/proc/42/numa_maps", Error::Kind::kDenied);
  const auto p = read_process(tree, 42);
  ASSERT_TRUE(p);
  EXPECT_FALSE(p->memory);
  EXPECT_THAT(p->denied, testing::Contains("numa_maps: Permission denied"));
}

/// With CAP_DAC_READ_SEARCH alone: fd/ can be listed, but not what its links stand for.
class LinksHidden final : public FileTree {
 public:
  Result<std::string> read(std::string_view path) const override { return tree_.read(path); }
  Result<std::vector<std::string>> list(std::string_view path) const override { return tree_.list(path); }
  Result<std::string> resolve(std::string_view path) const override {
    return fail(Error::Kind::kDenied, "resolve " + std::string(path) + ": Permission denied");
  }

 private:
  MapTree tree_ = one_process();
};

TEST(ReadProcess, OpenFilesThatOnlyCanBeCountedAreDenied) {
  const auto p = read_process(LinksHidden(), 42);
  ASSERT_TRUE(p);
  EXPECT_THAT(p->denied, testing::Contains("fd: Permission denied"));
}

TEST(ReadProcess, IsAnErrorForAProcessThatIsGone) {
  const auto p = read_process(one_process(), 99);
  ASSERT_FALSE(p);
  EXPECT_EQ(p.error().kind, Error::Kind::kNotFound);
}

TEST(ProcessTree, FollowsTheKernelsListsOfChildrenOfEveryThread) {
  MapTree t;
  t.add_file("/proc/7/task/7/children", "");
  t.add_file("/proc/7/task/8/children", "9 10 ");
  t.add_file("/proc/9/task/9/children", "12 ");
  t.add_file("/proc/12/task/12/children", "");
  t.add_file("/proc/99/stat", "99 (elsewhere) S 7 ");  // not looked at
  EXPECT_THAT(process_tree(t, 7), testing::ElementsAre(7, 9, 10, 12));
}

TEST(ProcessTree, FollowsParents) { EXPECT_THAT(process_tree(one_process(), 42), testing::ElementsAre(42, 43)); }

}  // namespace
}  // namespace numapin
