#include <gmock/gmock.h>

#include "numapin/visible.h"
#include "support/made_machine.h"

namespace numapin {
namespace {

using test::made_machine;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

void connect(Machine& m, int a, int b, LinkKind kind, std::optional<int> count = {}) {
  for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    Link link;
    link.from = {DeviceRef::Type::kGpu, from};
    link.to = {DeviceRef::Type::kGpu, to};
    link.kind = kind;
    link.count = count;
    m.links.push_back(link);
  }
}

std::vector<int> best(const Machine& m, int count, std::vector<GpuUse> use = {}) {
  const auto choice = choose_best_connected(m, {}, count, use);
  std::vector<int> gpus;
  if (!choice) ADD_FAILURE() << choice.error().message;
  if (choice)
    for (const auto& c : choice->gpus) gpus.push_back(c.gpu);
  return gpus;
}

TEST(BestConnected, PrefersLinksThenNodesThenMemory) {
  auto m = made_machine();
  EXPECT_THAT(best(m, 2), ElementsAre(0, 1));  // nothing known but the nodes: two of one node
  connect(m, 1, 6, LinkKind::kPix);
  EXPECT_THAT(best(m, 2), ElementsAre(1, 6));
  connect(m, 2, 3, LinkKind::kNvlink, 4);
  connect(m, 4, 5, LinkKind::kNvlink, 12);
  EXPECT_THAT(best(m, 2), ElementsAre(4, 5));
  EXPECT_THAT(best(m, 1, {{7, false, std::uint64_t{80} << 30}, {0, false, std::uint64_t{40} << 30}}), ElementsAre(7));
}

TEST(BestConnected, LeavesBusyGpusOutAndSaysSo) {
  auto m = made_machine();
  connect(m, 4, 5, LinkKind::kNvlink, 12);
  const std::vector<GpuUse> use{{4, true, {}}};
  EXPECT_THAT(best(m, 2, use), ElementsAre(0, 1));
  const auto choice = choose_best_connected(m, {}, 2, use);
  EXPECT_THAT(choice->because, Contains(AllOf(HasSubstr("GPU 4 in use"), HasSubstr("NODE"), HasSubstr("node 0"))));
  const auto refused = choose_best_connected(m, {}, 8, use);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::kNotFound);
  EXPECT_EQ(refused.error().message, "choose 8 GPUs: 7 are idle (GPU 4 in use)");
}

TEST(BestConnected, AnAsymmetricLinkIsAsGoodAsItsWeakerHalf) {
  auto m = made_machine({.nodes = 1, .gpus_per_node = 3});
  connect(m, 1, 2, LinkKind::kPhb);
  Link half;
  half.from = {DeviceRef::Type::kGpu, 0};
  half.to = {DeviceRef::Type::kGpu, 1};
  half.kind = LinkKind::kNvlink;
  m.links.insert(m.links.begin(), half);
  EXPECT_THAT(best(m, 2), ElementsAre(1, 2));
}

TEST(BestConnected, ManyPartitionsAreSearchedByGrowing) {
  auto m = made_machine({.nodes = 8, .cores_per_node = 8, .gpus_per_node = 8});  // 64 choose 8 is 4 billion
  for (int i = 24; i < 32; ++i)
    for (int j = i + 1; j < 32; ++j) connect(m, i, j, LinkKind::kXgmi);
  EXPECT_THAT(best(m, 8), ElementsAre(24, 25, 26, 27, 28, 29, 30, 31));
}

}  // namespace
}  // namespace numapin
