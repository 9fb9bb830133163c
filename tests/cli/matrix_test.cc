// `topo --matrix` read back: the table says what the machine is.
#include <gtest/gtest.h>

#include "numapin/sources.h"
#include "render/topo.h"
#include "sources/builtin.h"

namespace numapin::test {
namespace {

class Matrix : public ::testing::TestWithParam<BuiltinMachine> {};

TEST_P(Matrix, ReadBackGivesTheSameFacts) {
  const auto m = find_builtin_machine(GetParam().name)->machine;
  const auto back = from_smi_topo(smi_topo_matrix(m));
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->gpus.size(), m.gpus.size());
  for (const auto& gpu : m.gpus) {
    const auto& other = back->gpus[static_cast<std::size_t>(gpu.index)];
    EXPECT_EQ(other.numa_nodes.value, gpu.numa_nodes.value) << gpu.index;
    EXPECT_EQ(other.memory_node.value, gpu.memory_node.value) << gpu.index;
    for (const auto& peer : m.gpus) {
      if (peer.index == gpu.index) continue;
      const DeviceRef from{DeviceRef::Type::kGpu, gpu.index}, to{DeviceRef::Type::kGpu, peer.index};
      const auto* before = find_link(m, from, to);
      const auto* after = find_link(*back, from, to);
      ASSERT_TRUE(before != nullptr && after != nullptr) << gpu.index << "-" << peer.index;
      EXPECT_EQ(to_string(*after), to_string(*before)) << gpu.index << "-" << peer.index;
    }
  }
  std::vector<std::string> rdma, read;  // nvidia-smi lists RDMA devices only
  for (const auto& nic : m.nics)
    if (nic.infiniband) rdma.push_back(nic.name);
  for (const auto& nic : back->nics) read.push_back(nic.name);
  EXPECT_EQ(read, rdma);
}

INSTANTIATE_TEST_SUITE_P(Builtin, Matrix, ::testing::ValuesIn(builtin_machines()), [](const auto& row) {
  std::string name = row.param.name;
  for (auto& c : name) {
    if (c == '-') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace numapin::test
