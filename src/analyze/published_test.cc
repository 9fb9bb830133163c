// What others measured and published, against what the model says of such a machine: within 15 %. The table of
// docs/analyze.md; sources are named there too. "Tuned" rows are those whose source is also the model's own rate.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "numapin/analyze.h"
#include "support/linked_machine.h"

namespace numapin {
namespace {

using test::LinkedMachine;

DeviceRef gpu(int i) { return {DeviceRef::Type::kGpu, i}; }
DeviceRef node(int i) { return {DeviceRef::Type::kNode, i}; }

/// `gpus` a node, each on a root port of its own.
LinkedMachine on_roots(const char* cpu, int gpus, PciLink link, std::uint16_t device, int nodes = 2, int nodes_per_socket = 1) {
  LinkedMachine made(cpu, nodes, nodes_per_socket);
  for (int n = 0; n < nodes; ++n)
    for (int i = 0; i < gpus; ++i) made.add_gpu(n, {}, link, device);
  return made;
}
Machine dgx1_pair() {
  auto made = on_roots("Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz", 2, test::kGen3x16, test::kV100, 1);
  made.add_nvlinks(0, 1, 2);
  return made.machine();
}
Machine sxm2_four() {
  auto made = on_roots("Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", 2, test::kGen3x16, 0x15f9);
  made.add_nvlinks(0, 1, 1);
  made.add_nvlinks(0, 3, 2);
  return made.machine();
}
Machine p100_two() { return on_roots("Intel(R) Xeon(R) CPU E5-2609 v4 @ 1.70GHz", 1, test::kGen3x16, test::kP100Pcie).machine(); }
Machine skylake_mi25() { return on_roots("Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz", 1, test::kGen3x16, test::kP100Pcie).machine(); }
Machine hgx(const char* cpu, PciLink link, std::uint16_t device, int count) {
  auto made = on_roots(cpu, 4, link, device);
  made.add_nvswitch(count);
  return made.machine();
}
Machine dgx_a100() { return hgx("AMD EPYC 7742 64-Core Processor", test::kGen4x16, test::kA100, 12); }
Machine hgx_h100() { return hgx("Intel(R) Xeon(R) Platinum 8480C", test::kGen5x16, test::kH100, 18); }
Machine four_h100() {
  auto made = on_roots("Intel(R) Xeon(R) Platinum 8480C", 2, test::kGen5x16, test::kH100);
  made.add_nvswitch(6);
  return made.machine();
}
Machine a40_rome() {
  auto made = on_roots("AMD EPYC 7302 16-Core Processor", 1, test::kGen4x16, test::kA40, 8, 4);
  made.add_nvlinks(0, 1, 4);
  return made.machine();
}
Machine a6000_intel() { return on_roots("Intel(R) Xeon(R) Gold 6342 CPU @ 2.80GHz", 2, test::kGen4x16, test::kA6000).machine(); }
Machine mi210_genoa() { return on_roots("AMD EPYC 9554 64-Core Processor", 1, test::kGen4x16, 0x20b5).machine(); }
Machine gh200_two() {
  LinkedMachine made("Neoverse-V2");
  made.raw().architecture = {"aarch64", Source::kSysfs};
  for (int n = 0; n < 2; ++n) made.add_gpu(n, {}, test::kGen5x16, test::kGh200);
  for (auto& g : made.raw().gpus) g.vendor = 0x10de;
  return made.machine();
}
Machine skylake_four_sockets() { return LinkedMachine("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", 4).machine(); }
Machine skylake_two_sockets() { return LinkedMachine("Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz").machine(); }

struct Row {
  const char* what;
  Machine (*machine)();
  DeviceRef from, to;
  double published;
};
// p2pBandwidthLatencyTest's two-way figures are halved.
const Row kRows[] = {
    {"V100 SXM2, two NVLinks (Dell C4130)", dgx1_pair, gpu(0), gpu(1), 47.9},
    {"V100 SXM2 H2D Gen3 x16 (MI25 on RVS#289 as Gen3 reference)", dgx1_pair, node(0), gpu(0), 12.56},
    {"P100 SXM2, one NVLink (Dell C4130)", sxm2_four, gpu(0), gpu(1), 18.31},
    {"P100 SXM2, two NVLinks (Dell C4130)", sxm2_four, gpu(0), gpu(3), 36.39},
    {"P100 H2D, local (gearshifft#82)", p100_two, node(0), gpu(0), 12.15},
    {"P100 D2H, local (gearshifft#82)", p100_two, gpu(0), node(0), 12.89},
    {"P100 H2D, other socket (gearshifft#82)", p100_two, node(1), gpu(0), 3.78},
    {"P100 D2H, other socket (gearshifft#82)", p100_two, gpu(0), node(1), 2.54},
    {"Skylake Gen3 H2D, local (ROCmValidationSuite#289)", skylake_mi25, node(0), gpu(0), 12.57},
    {"Skylake Gen3 H2D, other socket over UPI (ROCmValidationSuite#289)", skylake_mi25, node(1), gpu(0), 12.57},
    {"HGX A100 NVSwitch (nccl-tests#100)", dgx_a100, gpu(0), gpu(5), 518.0 / 2},
    {"A100-class H2D Gen4 (nvbandwidth README)", dgx_a100, node(0), gpu(0), 26.0},
    {"A100, memory of the other socket, PCIe-bound (issue)", dgx_a100, node(1), gpu(0), 25.0},
    {"HGX H100 NVSwitch (nccl#1264)", hgx_h100, gpu(0), gpu(5), 376.0},
    {"HGX H100 H2D Gen5 (nvbandwidth v0.8 on our H100)", hgx_h100, node(0), gpu(0), 53.3},
    {"HGX H100 D2H Gen5 (nvbandwidth v0.8 on our H100)", hgx_h100, gpu(0), node(0), 54.9},
    {"H100 SM D2H Gen5 (nvbandwidth#24)", hgx_h100, gpu(0), node(0), 52.8},
    {"four H100, NV6 (cuda-samples#392)", four_h100, gpu(0), gpu(1), 260.89 / 2},
    {"A40 pair, NV4 (nccl-tests#74)", a40_rome, gpu(0), gpu(1), 101.6 / 2},
    {"A40, one socket, peer-to-peer (nccl-tests#74)", a40_rome, gpu(0), gpu(2), 50.0 / 2},
    {"A40, two sockets, peer-to-peer (nccl-tests#74)", a40_rome, gpu(0), gpu(5), 40.7 / 2},
    {"A6000, two halves, peer-to-peer (nvbandwidth#50)", a6000_intel, gpu(0), gpu(2), 21.8},
    {"MI210 Gen4 H2D, local (rocm_bandwidth_test#129)", mi210_genoa, node(0), gpu(0), 28.0},
    {"MI210 Gen4 H2D, other socket (rocm_bandwidth_test#129)", mi210_genoa, node(1), gpu(0), 28.0},
    {"GH200 H2D, local (dnhkng 2026-04)", gh200_two, node(0), gpu(0), 377.0},
    {"GH200 D2H, local (dnhkng 2026-04)", gh200_two, gpu(0), node(0), 297.0},
    {"GH200 H2D, other socket (dnhkng 2026-04)", gh200_two, node(1), gpu(0), 133.0},
    {"GH200 D2H, other socket (dnhkng 2026-04)", gh200_two, gpu(0), node(1), 132.5},
    {"Xeon, four sockets, memory of another (hyrise#2094)", skylake_four_sockets, node(1), node(0), 17.2},
    {"Xeon, two sockets, memory of the other (cnf-testbed#129)", skylake_two_sockets, node(1), node(0), 34.4},
};

TEST(Published, IsReproducedWithin15Percent) {
  for (const auto& row : kRows) {
    const auto g = make_link_graph(row.machine());
    const auto r = find_route(g, row.from, row.to);
    ASSERT_TRUE(r && r->gb_per_s) << row.what;
    EXPECT_LE(std::abs(*r->gb_per_s / row.published - 1), 0.15) << row.what << ": published " << row.published << ", computed " << *r->gb_per_s;
    RecordProperty(row.what, std::to_string(*r->gb_per_s));
  }
}

// What nobody published a figure for that holds: said, not guessed.
TEST(Published, WhatCannotBeKnownIsSaid) {
  auto made = on_roots("Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz", 1, test::kGen3x16, test::kV100);
  const auto g = make_link_graph(made.machine());
  const auto r = find_route(g, gpu(0), gpu(1));
  ASSERT_TRUE(r);
  EXPECT_FALSE(r->gb_per_s);
  EXPECT_FALSE(r->cannot_know.empty());
}

}  // namespace
}  // namespace numapin
