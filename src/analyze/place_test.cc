#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/combinations.h"
#include "numapin/analyze.h"
#include "numapin/visible.h"
#include "support/linked_machine.h"

namespace numapin {
namespace {

using test::LinkedMachine;
using testing::ElementsAre;

/// As a DGX-1 V100: hybrid cube mesh, six NVLinks a GPU, NV2 and NV1.
Machine dgx1(const char* cpu = "Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz") {
  LinkedMachine made(cpu);
  for (int half = 0; half < 4; ++half) {
    const auto at = made.add_switch(half / 2, test::kGen3x16);
    for (int i = 0; i < 2; ++i) made.add_gpu(half / 2, at, test::kGen3x16, test::kV100);
  }
  constexpr int kLinks[][3] = {{0, 1, 1}, {0, 2, 1}, {0, 3, 2}, {0, 4, 2}, {1, 2, 2}, {1, 3, 1}, {1, 5, 2}, {2, 3, 2}, {2, 6, 1}, {3, 7, 1},
                               {4, 5, 1}, {4, 6, 1}, {4, 7, 2}, {5, 6, 2}, {5, 7, 1}, {6, 7, 2}};
  for (const auto& [a, b, count] : kLinks) made.add_nvlinks(a, b, count);
  return made.machine();
}

PlaceResult place(const Machine& m, int count, Pattern p, std::vector<int> among) {
  auto r = place_gpus(m, make_link_graph(m), count, p, std::move(among));
  EXPECT_TRUE(r);
  return r ? *r : PlaceResult{};
}
const std::vector<int> kAll{0, 1, 2, 3, 4, 5, 6, 7};

double slowest(const Machine& m, const LinkGraph& g, Pattern p, const std::vector<int>& gpus) {
  const auto t = run_traffic(g, flows_of(m, g, p, gpus));
  for (const auto& f : t.flows)
    if (!f.gb_per_s) return 0;
  return t.slowest.value_or(0);
}

double slowest(const Machine& m, Pattern p, const std::vector<int>& gpus) { return slowest(m, make_link_graph(m), p, gpus); }

/// Every subset and every order: what place_gpus() claims to have found without trying them all.
double best_by_trying(const Machine& m, std::size_t count, Pattern p) {
  const auto g = make_link_graph(m);
  double best = 0;
  auto s = first_combination(count);
  do {
    std::vector<int> order(s.begin(), s.end());
    do best = std::max(best, slowest(m, g, p, order));
    while (p == Pattern::kRing && std::next_permutation(order.begin() + 1, order.end()));
  } while (next_combination(s, m.gpus.size()));
  return best;
}

TEST(Place, FindsTheDoubleBonds) {
  const auto m = dgx1();
  const auto r = place(m, 2, Pattern::kPipeline, kAll);
  EXPECT_THAT(r.best.gpus, ElementsAre(0, 3));
  EXPECT_NEAR(*r.best.slowest, 2 * 23.9, 1e-6);
  EXPECT_NEAR(*r.naive.slowest, 23.9, 1e-6);
}

TEST(Place, OrdersARingAlongTheBonds) {
  const auto r = place(dgx1(), 8, Pattern::kRing, kAll);
  EXPECT_EQ(r.best.gpus, kAll);
  EXPECT_NEAR(*r.best.slowest, 2 * 23.9, 1e-6);  // 0-3-2-1-5-6-7-4-0: all NV2
  EXPECT_NEAR(slowest(dgx1(), Pattern::kRing, r.best.ring), 2 * 23.9, 1e-6);
  EXPECT_FALSE(r.naive.slowest);  // GPU 3 to GPU 4 goes over QPI
}

/// Switches and cards of any speed, some bonds: where links are shared, the best order of a ring is none that pairs tell.
Machine any_tree(unsigned seed) {
  std::mt19937 dice(seed);
  const auto below = [&](unsigned n) { return static_cast<int>(dice() % n); };
  constexpr PciLink kLinks[] = {test::kGen3x16, test::kGen4x16, test::kGen3x8, test::kGen5x16};
  constexpr const char* kCpus[] = {"Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz", "AMD EPYC 7742 64-Core Processor", "Intel(R) Xeon(R) Platinum 8480C"};
  LinkedMachine made(kCpus[below(3)]);
  const int gpus = 5 + below(3);
  std::vector<PciAddress> switches;
  for (int i = 0; i < 4; ++i) switches.push_back(made.add_switch(i / 2, kLinks[below(4)]));
  for (int i = 0; i < gpus; ++i) {
    const int at = below(6);
    made.add_gpu(at < 4 ? at / 2 : at - 4, at < 4 ? std::optional(switches[static_cast<std::size_t>(at)]) : std::nullopt, kLinks[below(4)], test::kA100);
  }
  for (int i = below(8); i > 0; --i)
    if (const int a = below(static_cast<unsigned>(gpus)), b = below(static_cast<unsigned>(gpus)); a != b) made.add_nvlinks(a, b, 1 + below(4));
  return made.machine();
}

TEST(Place, IsAsGoodAsTryingEveryOrderOnAnyTree) {
  for (unsigned seed = 25; seed < 37; ++seed) {  // 32: the best four pairs share a switch's link
    const auto m = any_tree(seed);
    std::vector<int> among;
    for (const auto& gpu : m.gpus) among.push_back(gpu.index);
    for (const std::size_t count : {3, 5}) {
      const auto best = place(m, static_cast<int>(count), Pattern::kRing, among).best;
      EXPECT_TRUE(best.exact);
      EXPECT_NEAR(best.slowest.value_or(0), best_by_trying(m, count, Pattern::kRing), 1e-4) << "seed " << seed << ", " << count << " GPUs";
    }
  }
}

TEST(Place, IsAsGoodAsTryingEverything) {
  for (const auto* cpu : {"Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz", "Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz"}) {
    const auto m = dgx1(cpu);
    for (std::size_t count = 2; count <= 4; ++count)
      for (const auto p : {Pattern::kRing, Pattern::kAllToAll, Pattern::kLoad})
        EXPECT_NEAR(place(m, static_cast<int>(count), p, kAll).best.slowest.value_or(0), best_by_trying(m, count, p), 1e-4)
            << count << " GPUs, " << to_string(p) << ", " << cpu;
  }
}

// Where rates are the same the choice is that of `run --gpus N`.
TEST(Place, AgreesWithRunGpus) {
  for (const auto& m : {dgx1(), test::rail_machine(), test::made_machine()})
    for (int count = 1; count <= 4; ++count) {
      const auto chosen = choose_best_connected(m, {}, count);
      ASSERT_TRUE(chosen);
      std::vector<int> gpus;
      for (const auto& c : chosen->gpus) gpus.push_back(c.gpu);
      const auto placed = place(m, count, Pattern::kAllToAll, kAll);
      EXPECT_NEAR(slowest(m, Pattern::kAllToAll, placed.best.gpus), slowest(m, Pattern::kAllToAll, gpus), 1e-6) << count;
      if (count > 1) { EXPECT_EQ(placed.best.gpus, gpus) << count; }
    }
}

TEST(Place, TakesEveryGpuOnce) {
  LinkedMachine made("AMD EPYC 7742 64-Core Processor");
  for (int i = 0; i < 12; ++i) made.add_gpu(i / 6, {}, test::kGen4x16, test::kA40);
  for (int i = 0; i < 12; i += 2) made.add_nvlinks(i, i + 1, 4);
  std::vector<int> all(12);
  for (int i = 0; i < 12; ++i) all[static_cast<std::size_t>(i)] = i;
  const auto r = place(made.machine(), 6, Pattern::kRing, all);
  EXPECT_TRUE(r.best.exact);
  ASSERT_EQ(r.best.ring.size(), 6u);
  EXPECT_EQ(std::set<int>(r.best.ring.begin(), r.best.ring.end()).size(), 6u);
}

TEST(Place, MoreThanSixteenAreGrown) {
  LinkedMachine made("AMD EPYC 7742 64-Core Processor");
  std::vector<int> all;
  for (int i = 0; i < 20; ++i) all.push_back(made.add_gpu(i / 10, {}, test::kGen4x16, test::kA40));
  const auto r = place(made.machine(), 4, Pattern::kAllToAll, all);
  EXPECT_FALSE(r.best.exact);
  EXPECT_THAT(r.best.gpus, ElementsAre(0, 1, 2, 3));
}

TEST(Place, RefusesMoreThanThereAre) {
  const auto m = dgx1();
  EXPECT_FALSE(place_gpus(m, make_link_graph(m), 9, Pattern::kRing, kAll));
  EXPECT_FALSE(place_gpus(m, make_link_graph(m), 0, Pattern::kRing, kAll));
}

TEST(PairNics, GivesEachGpuTheNicOfItsSwitch) {
  const auto m = test::rail_machine();
  const auto pairs = pair_nics(m, make_link_graph(m), kAll);
  ASSERT_EQ(pairs.size(), 8u);
  for (const auto& p : pairs) {
    EXPECT_EQ(p.gpu, p.nic);
    EXPECT_EQ(p.reach, Reach::kSwitch);
    EXPECT_NEAR(*p.gb_per_s, 50, 1e-9);
  }
}

TEST(PairNics, SharesOutNicsThatAreAlike) {
  LinkedMachine made("AMD EPYC 7742 64-Core Processor");
  const auto at = made.add_switch(0, test::kGen4x16);
  for (int i = 0; i < 2; ++i) made.add_gpu(0, at, test::kGen4x16, test::kA100);
  for (int i = 0; i < 2; ++i) made.add_nic(0, at, test::kGen4x16, 200000);
  const auto m = made.machine();
  const auto pairs = pair_nics(m, make_link_graph(m), std::vector{0, 1});
  EXPECT_NE(pairs[0].nic, pairs[1].nic);
}

}  // namespace
}  // namespace numapin
