#include "os/gpu_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

struct Dev {
  std::filesystem::path dir = testing::TempDir() + "/dev-" + testing::UnitTest::GetInstance()->current_test_info()->name();
  Dev() { std::filesystem::create_directories(dir / "dri"); }
  ~Dev() { std::filesystem::remove_all(dir); }
  void add(const std::string& name) { std::ofstream(dir / name) << ""; }
};

Machine gpus(int count, std::uint16_t vendor, std::vector<int> minors = {}) {
  Machine m;
  for (int i = 0; i < count; ++i) {
    Gpu g;
    g.index = i;
    g.vendor = vendor;
    if (!minors.empty()) g.minor = {minors[static_cast<std::size_t>(i)], Source::kProcDriver};
    m.gpus.push_back(g);
  }
  return m;
}

TEST(GpuFiles, MinorsNameTheFiles) {
  Dev dev;
  for (const char* name : {"nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "dri/renderD129"}) dev.add(name);
  EXPECT_THAT(find_gpu_files(gpus(2, 0x10de, {3, 7}), dev.dir).may_open, ElementsAre(Pair(0, true), Pair(1, false))) << "a container got one of them";
  EXPECT_THAT(find_gpu_files(gpus(2, 0x1002, {128, 129}), dev.dir).may_open, ElementsAre(Pair(0, false), Pair(1, true)));
}

TEST(GpuFiles, AGpuThatIsSetAsideForAVirtualMachineHasNone) {
  Dev dev;
  dev.add("nvidia0");
  auto m = gpus(2, 0x10de, {0, 0});
  m.gpus[0].minor = {};  // vfio-pci has it: NVIDIA's driver does not know it
  m.gpus.push_back(gpus(3, 0x1002, {128, 129, 130}).gpus[2]);
  EXPECT_THAT(find_gpu_files(m, dev.dir).may_open, ElementsAre(Pair(0, false), Pair(1, true))) << "of AMD's nothing is known";
}

TEST(GpuFiles, WithoutMinorsTheOrderIsTakenWhereTheNumberFits) {
  Dev dev;
  for (const char* name : {"nvidia2", "nvidia10", "nvidiactl"}) dev.add(name);
  const auto files = find_gpu_files(gpus(2, 0x10de), dev.dir);
  EXPECT_THAT(files.may_open, ElementsAre(Pair(0, true), Pair(1, true)));
  EXPECT_THAT(files.notes, SizeIs(1));
  EXPECT_THAT(find_gpu_files(gpus(3, 0x10de), dev.dir).may_open, IsEmpty());
  EXPECT_THAT(find_gpu_files(gpus(2, 0x10de), dev.dir / "none").may_open, IsEmpty());
}

}  // namespace
}  // namespace numapin
