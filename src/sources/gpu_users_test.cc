// Who uses a GPU: the driver's lists, and device files held open.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/sample_machines.h"
#include "sources/gpu_finder.h"
#include "sources/gpu_lists.h"
#include "sources/proc_tree.h"

namespace numapin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// An NVIDIA GPU and two AMD ones.
Machine mixed() {
  auto m = sample::with_nodes({sample::node(0, "0-3", 64)});
  for (int i = 0; i < 3; ++i) {
    m.gpus.push_back(sample::gpu(i, "0000:1" + std::to_string(i) + ":00.0"));
    if (i > 0) m.gpus.back().vendor = 0x1002;
    m.gpus.back().minor = {i == 0 ? 0 : 127 + i, i == 0 ? Source::kProcDriver : Source::kKfd};
  }
  return m;
}

sample::FakeProc with_kfd() {
  sample::FakeProc proc;
  const std::string kfd = "/sys/class/kfd/kfd/";
  proc.files = {{kfd + "topology/nodes/0/gpu_id", "0\n"},
                {kfd + "topology/nodes/0/properties", "cpu_cores_count 8\ndrm_render_minor 0\n"},
                {kfd + "topology/nodes/1/gpu_id", "4711\n"},
                {kfd + "topology/nodes/1/properties", "simd_count 304\ndrm_render_minor 128\n"},
                {kfd + "topology/nodes/2/gpu_id", "815\n"},
                {kfd + "topology/nodes/2/properties", "simd_count 304\ndrm_render_minor 129\n"},
                // it opened /dev/kfd: an entry for each GPU, memory on one
                {kfd + "proc/70/pasid", "32770\n"},
                {kfd + "proc/70/vram_4711", "0\n"},
                {kfd + "proc/70/vram_815", "4194304\n"},
                // a queue, and no memory yet
                {kfd + "proc/71/vram_4711", "0\n"},
                {kfd + "proc/71/queues/0/gpuid", "4711\n"},
                // opened, used by nobody
                {kfd + "proc/72/vram_4711", "0\n"},
                // of another container
                {kfd + "proc/999/vram_815", "4096\n"}};
  for (const int pid : {70, 71, 72}) proc.processes[pid] = {.pid = pid, .threads = {{pid}}};
  return proc;
}

TEST(GpuUsers, AreWhomKfdListsOnTheGpusTheyUse) {
  const auto proc = with_kfd();
  const sample::ChangingTree tree(proc);
  const auto found = find_gpu_users(tree, mixed(), nullptr);
  EXPECT_THAT(found.users, ElementsAre(GpuUser{70, {2}, Source::kKfd}, GpuUser{71, {1}, Source::kKfd}));
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("1 process(es) that the driver lists run outside")));
}

TEST(GpuUsers, AreWhoHoldsADeviceFileOpen) {
  sample::FakeProc proc;
  proc.processes[5] = {.pid = 5, .threads = {{5}}, .opens = "/dev/nvidia0"};
  proc.processes[6] = {.pid = 6, .threads = {{6}}, .opens = "/dev/dri/renderD129"};
  proc.processes[7] = {.pid = 7, .threads = {{7}}, .opens = "/dev/nvidiactl"};
  proc.processes[8] = {.pid = 8, .threads = {{8}}, .opens = "/dev/nvidia-uvm"};
  proc.processes[9] = {.pid = 9, .threads = {{9}}, .closed = true};
  proc.processes[10] = {.pid = 10, .parent = 2, .threads = {{10}}, .kernel_thread = true, .closed = true};
  const sample::ChangingTree tree(proc);
  const auto found = find_gpu_users(tree, mixed(), nullptr);
  EXPECT_THAT(found.users, ElementsAre(GpuUser{5, {0}, Source::kProcfs}, GpuUser{6, {2}, Source::kProcfs}));
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("1 process(es) cannot be looked into")));
}

TEST(GpuUsers, AreNotWhoAsks) {
  sample::FakeProc proc;
  for (const int pid : {5, 6}) proc.processes[pid] = {.pid = pid, .threads = {{pid}}, .opens = "/dev/nvidia0"};
  proc.files["/proc/self/stat"] = "5 (a b) S 1";
  const sample::ChangingTree tree(proc);
  const auto m = mixed();
  EXPECT_THAT(find_gpu_users(tree, m, nullptr).users, ElementsAre(GpuUser{6, {0}, Source::kProcfs}));
  GpuUserFinder finder(tree, m, nullptr, [] { return 0.0; });
  EXPECT_THAT(finder.look(0, 1).users, ElementsAre(GpuUser{6, {0}, Source::kProcfs}));
  proc.processes.erase(6);
  EXPECT_EQ(sources::gpu_use(sample::ChangingTree(proc), m, nullptr).at(0).busy, false);
}

TEST(GpuUse, KnowsFreeMemoryWhereAmdgpuTellsIt) {
  auto proc = with_kfd();
  const auto m = mixed();
  const auto dir = "/sys/bus/pci/devices/" + m.gpus[1].address->to_string();
  proc.files[dir + "/mem_info_vram_total"] = "1000\n";
  proc.files[dir + "/mem_info_vram_used"] = "300\n";
  const auto use = sources::gpu_use(sample::ChangingTree(proc), m, nullptr);
  EXPECT_EQ(use.at(1).memory_free_bytes, 700);
  EXPECT_EQ(use.at(2).memory_free_bytes, std::nullopt);
  EXPECT_EQ(use.at(2).busy, true);
}

TEST(GpuUserFinder, SaysWhatFindGpuUsersSays) {
  auto proc = with_kfd();
  proc.processes[5] = {.pid = 5, .threads = {{5}}, .opens = "/dev/nvidia0"};
  proc.processes[9] = {.pid = 9, .threads = {{9}}, .closed = true};
  const sample::ChangingTree tree(proc);
  const auto m = mixed();
  GpuUserFinder finder(tree, m, nullptr, [] { return 0.0; });
  const auto once = find_gpu_users(tree, m, nullptr);
  const auto found = finder.look(0, 1);
  EXPECT_EQ(found.users, once.users);
  EXPECT_EQ(found.notes, once.notes);
}

TEST(GpuUserFinder, NeverLooksIntoKernelThreads) {
  sample::FakeProc proc;
  proc.processes[2] = {.pid = 2, .parent = 0, .threads = {{2}}, .kernel_thread = true};
  const sample::ChangingTree tree(proc);
  const auto m = mixed();
  GpuUserFinder finder(tree, m, nullptr, [] { return 0.0; });
  for (int second = 0; second < 50; ++second) (void)finder.look(second, 1);
  EXPECT_EQ(finder.looked_into(), 0);
}

TEST(GpuUserFinder, KeepsToItsBudgetAndLeavesNobodyOut) {
  sample::FakeProc proc;
  for (int pid = 100; pid < 150; ++pid) proc.processes[pid] = {.pid = pid, .threads = {{pid}}};
  const sample::ChangingTree tree(proc);
  const auto m = mixed();
  double cpu = 0;
  GpuUserFinder finder(tree, m, nullptr, [&] { return cpu += 0.001; });
  (void)finder.look(0, 0.0001);
  EXPECT_EQ(finder.looked_into(), 50) << "new ones at once";
  proc.processes[149].opens = "/dev/nvidia0";
  (void)finder.look(10, 0.0001);
  EXPECT_EQ(finder.looked_into(), 51);
  std::size_t users = 0;
  for (int second = 11; second < 70 && users == 0; ++second) users = finder.look(second, 0.0001).users.size();
  EXPECT_EQ(users, 1U);
}

}  // namespace
}  // namespace numapin
