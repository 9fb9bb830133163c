#include "plan/slurm_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/made_machine.h"

namespace numapin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

void link(Machine& m, int from, int to, int count) {
  for (const auto& [a, b] : {std::pair(from, to), std::pair(to, from)})
    m.links.push_back({{DeviceRef::Type::kGpu, a}, {DeviceRef::Type::kGpu, b}, LinkKind::kNvlink, count, {}, {}, Source::kNvml});
  std::sort(m.links.begin(), m.links.end(), [](const Link& x, const Link& y) { return std::pair(x.from, x.to) < std::pair(y.from, y.to); });
}

TEST(SlurmNode, OneLineForGpusThatDifferInTheirNumberAlone) {
  auto m = test::made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = 2});
  for (auto& gpu : m.gpus) gpu.minor = {gpu.index, Source::kProcDriver};
  EXPECT_THAT(gres_conf_lines(slurm_node(m, "n1").value()), ElementsAre("NodeName=n1 Name=gpu Type=a100 File=/dev/nvidia[0-1] Cores=0-3",
                                                                       "NodeName=n1 Name=gpu Type=a100 File=/dev/nvidia[2-3] Cores=4-7"));
  std::swap(m.gpus[0].minor, m.gpus[3].minor);  // the order stays that of PCI, by which CUDA counts
  EXPECT_THAT(gres_conf_lines(slurm_node(m, "n1").value()),
              ElementsAre(HasSubstr("File=/dev/nvidia3 Cores=0-3"), HasSubstr("nvidia1 Cores=0-3"), HasSubstr("nvidia2 Cores=4-7"), HasSubstr("nvidia0 Cores=4-7")));
}

TEST(SlurmNode, LinksOnlyWhereTheyTellPairsApart) {
  auto m = test::made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = 2});
  m.links.clear();
  EXPECT_THAT(gres_conf_lines(slurm_node(m, "n1").value())[0], Not(HasSubstr("Links="))) << "none at all";
  link(m, 0, 1, 4);
  EXPECT_THAT(gres_conf_lines(slurm_node(m, "n1").value()), ElementsAre(HasSubstr("Links=-1,4,0,0"), HasSubstr("Links=4,-1,0,0"), HasSubstr("Links=0,0,-1,0"), HasSubstr("Links=0,0,0,-1")));
}

TEST(SlurmNode, APartOfASocketMakesNodesSockets) {
  const auto m = test::made_machine({.nodes = 4, .cores_per_node = 4, .nodes_per_package = 2, .gpus_per_node = 1});
  const auto n = slurm_node(m, "n1").value();
  EXPECT_TRUE(n.numa_as_socket);
  EXPECT_EQ(n.sockets, 4);
  EXPECT_THAT(slurm_conf_text(n), HasSubstr("SlurmdParameters=numa_node_as_socket\n"));
  EXPECT_FALSE(slurm_node(test::made_machine({.nodes = 4, .cores_per_node = 4, .nodes_per_package = 2, .gpus_per_node = 0}), "n1")->numa_as_socket)
      << "a site without GPUs does not need it";
}

TEST(SlurmNode, SaysWhatItDoesNotKnow) {
  auto m = test::made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = 1});
  m.gpus[1].numa_nodes = {};
  m.gpus[0].mig.push_back({"MIG-1", {}, {}, "", {}});
  const auto n = slurm_node(m, "n1").value();
  EXPECT_THAT(gres_conf_lines(n), ElementsAre(HasSubstr("Cores=0-3"), Not(HasSubstr("Cores="))));
  EXPECT_THAT(n.notes, ElementsAre(HasSubstr("no Cores= for GPU 1"), HasSubstr("GPU 0 has MIG instances"), HasSubstr("taken to be in PCI order")));
  m.cores.pop_back();
  EXPECT_THAT(slurm_node(m, "n1")->notes.front(), HasSubstr("the sockets or cores differ"));
  EXPECT_FALSE(slurm_node(Machine{}, "n1"));
}

TEST(SlurmNode, OtherVendorsHaveRenderNodes) {
  const auto m = test::made_machine({.nodes = 2, .cores_per_node = 4, .gpus_per_node = 1, .vendor = 0x1002, .device = 0x74a1});
  EXPECT_THAT(gres_conf_lines(slurm_node(m, "n1").value())[1], HasSubstr("Type=mi300x File=/dev/dri/renderD129 Cores=4-7"));
}

TEST(SlurmCores, GoThereAndBack) {
  const auto m = test::made_machine({.nodes = 2, .cores_per_node = 4});
  EXPECT_EQ(cpus_of_slurm_cores(m, *CpuSet::parse("0-3")).to_list(), "0-3,8-11");
  EXPECT_EQ(cpus_of_slurm_cores(m, *CpuSet::parse("7-9000")).to_list(), "7,15");
}

}  // namespace
}  // namespace numapin
