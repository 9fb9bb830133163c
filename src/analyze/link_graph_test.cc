#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyze/rates.h"
#include "machine/sample_machines.h"
#include "numapin/analyze.h"
#include "numapin/measured.h"
#include "support/linked_machine.h"

namespace numapin {
namespace {

using test::LinkedMachine;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kSkylake5120 = "Intel(R) Xeon(R) Gold 5120 CPU @ 2.20GHz";

DeviceRef gpu(int i) { return {DeviceRef::Type::kGpu, i}; }
DeviceRef nic(int i) { return {DeviceRef::Type::kNic, i}; }
DeviceRef node(int i) { return {DeviceRef::Type::kNode, i}; }

Route route(const Machine& m, DeviceRef from, DeviceRef to) {
  const auto g = make_link_graph(m);
  const auto r = find_route(g, from, to);
  EXPECT_TRUE(r);
  return r.value_or(Route{});
}
double rate(const Machine& m, DeviceRef from, DeviceRef to) { return route(m, from, to).gb_per_s.value_or(-1); }
/// Line coding 128b/130b, and packets of 256 bytes with 26 of their own and 5 % of flow control: written out, not called.
double pcie(double gt, int width) { return gt * width / 8 * 128 / 130 * 256 / 280 * 0.96; }

Machine two_gpus_on_a_switch() {
  LinkedMachine made(kSkylake5120);
  const auto at = made.add_switch(0, test::kGen3x16);
  made.add_gpu(0, at, test::kGen3x16, test::kP100Pcie);
  made.add_gpu(0, at, test::kGen3x8, test::kP100Pcie);
  made.add_gpu(1, {}, test::kGen3x16, test::kP100Pcie);
  return made.machine();
}

TEST(LinkGraph, ComputesPcieFromSpeedAndWidth) {
  const auto m = two_gpus_on_a_switch();
  EXPECT_NEAR(rate(m, node(0), gpu(0)), pcie(8, 16), 1e-6);
  EXPECT_NEAR(rate(m, node(0), gpu(1)), pcie(8, 8), 1e-6);
  EXPECT_NEAR(rate(m, gpu(0), gpu(1)), pcie(8, 8), 1e-6);
  EXPECT_EQ(route(m, gpu(0), gpu(1)).reach, Reach::kSwitch);
  EXPECT_EQ(route(m, node(0), gpu(0)).basis, Basis::kLink);
}

TEST(LinkGraph, CutsPeerTrafficThroughIntelCpus) {
  const auto m = two_gpus_on_a_switch();
  const auto r = route(m, gpu(0), gpu(2));
  EXPECT_EQ(r.reach, Reach::kSocket);
  EXPECT_NEAR(*r.gb_per_s, pcie(8, 16) / 1.2, 1e-5);
}

TEST(LinkGraph, SaysTheWayHopByHop) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  made.add_gpu(1, {}, test::kGen4x16, test::kA100Pcie);
  const auto g = make_link_graph(made.machine());
  EXPECT_EQ(route_text(g, *find_route(g, gpu(0), gpu(1))), "GPU 0 -> PCIe Gen4 x16 -> node 0 -> UPI -> node 1 -> PCIe Gen4 x16 -> GPU 1");
}

TEST(LinkGraph, ShareOfASwitchIsTheSwitches) {
  const auto m = two_gpus_on_a_switch();
  const auto g = make_link_graph(m);
  const auto a = find_route(g, node(0), gpu(0)), b = find_route(g, node(0), gpu(1)), c = find_route(g, node(1), gpu(2));
  const auto shared = [](const Route& x, const Route& y) {
    int count = 0;
    for (const auto& u : x.uses) count += std::any_of(y.uses.begin(), y.uses.end(), [&](const Use& v) { return v.channel == u.channel; });
    return count;
  };
  EXPECT_EQ(shared(*a, *b), 2);  // the memory and the switch's link
  EXPECT_EQ(shared(*a, *c), 0);
}

TEST(LinkGraph, TakesTheNarrowerEndOfALink) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  made.raw().pci[0].link = made.raw().pci[0].link_max = {test::kGen3x16, Source::kSysfs};  // the root port
  EXPECT_NEAR(rate(made.machine(), node(0), gpu(0)), pcie(8, 16), 1e-6);
}

TEST(LinkGraph, TakesAnIdleGpusLinkForAsleepAndSaysSo) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  for (auto& d : made.raw().pci) d.link = {PciLink{2.5, 16}, Source::kSysfs};
  const auto g = make_link_graph(made.machine());
  EXPECT_NEAR(*find_route(g, node(0), gpu(0))->gb_per_s, pcie(16, 16), 1e-6);
  EXPECT_THAT(g.notes, testing::Contains(HasSubstr("taken for asleep")));
}

TEST(LinkGraph, BelievesLostLanes) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  for (auto& d : made.raw().pci) d.link = {PciLink{16, 4}, Source::kSysfs};
  const auto g = make_link_graph(made.machine());
  EXPECT_NEAR(*find_route(g, node(0), gpu(0))->gb_per_s, pcie(16, 4), 1e-6);
  EXPECT_THAT(g.notes, testing::Contains(HasSubstr("4 of 16 lanes")));
}

// A dual-port NIC is two functions on one wire: under load they halve it.
TEST(LinkGraph, FunctionsOfACardShareItsLink) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  made.add_nic(0, {}, test::kGen4x16, 200000);
  auto& raw = made.raw();
  auto second = raw.pci.back();
  second.address.function = 1;
  raw.pci.push_back(second);
  auto port = raw.nics.back();
  port.index = 1;
  port.address = second.address;
  raw.nics.push_back(port);
  const auto g = make_link_graph(made.machine());
  const FlowSet both{{{nic(0), node(0), {}}, {nic(1), node(0), {}}}, {}};
  const auto t = run_traffic(g, both);
  EXPECT_NEAR(*t.total, pcie(16, 16), 1e-5);
  EXPECT_NEAR(*t.slowest, pcie(16, 16) / 2, 1e-5);
}

// AMD in CPX mode: eight GPUs behind one function, and one x16 link for all.
TEST(LinkGraph, PartitionsOfAGpuShareItsLink) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  auto& raw = made.raw();
  raw.gpus[0].partition = 0;
  auto second = raw.gpus[0];
  second.index = 1;
  second.partition = 1;
  raw.gpus.push_back(second);
  const auto m = made.machine();
  const auto g = make_link_graph(m);
  EXPECT_EQ(find_route(g, node(0), gpu(1))->reach, Reach::kHost);
  const auto t = run_traffic(g, {{{node(0), gpu(0), {}}, {node(0), gpu(1), {}}}, {}});
  EXPECT_NEAR(*t.total, pcie(16, 16), 1e-5);
}

// Summit: two of a V100's six NVLinks go to its POWER9; PCIe is only for configuration.
TEST(LinkGraph, Power9ReachesItsGpusOverNvlink) {
  LinkedMachine made("POWER9, altivec supported");
  made.raw().architecture = {"ppc64le", Source::kSysfs};
  for (int i = 0; i < 3; ++i) made.add_gpu(0, {}, PciLink{8.0, 2}, test::kV100);
  made.add_nvswitch(2);
  const auto r = route(made.machine(), node(0), gpu(0));
  EXPECT_NEAR(*r.gb_per_s, 2 * 23.9, 1e-6);
  EXPECT_EQ(r.basis, Basis::kGuess);
  EXPECT_EQ(r.reach, Reach::kDirect);
}

TEST(LinkGraph, SeesAnNvSwitchWhereBondsExceedTheLinks) {
  LinkedMachine made(kSkylake5120);
  for (int i = 0; i < 4; ++i) made.add_gpu(i / 2, {}, test::kGen4x16, test::kA100);
  made.add_nvswitch(12);
  const auto g = make_link_graph(made.machine());
  EXPECT_EQ(std::count_if(g.parts.begin(), g.parts.end(), [](const Part& p) { return p.kind == Part::Kind::kNvSwitch; }), 1);
  EXPECT_NEAR(*find_route(g, gpu(0), gpu(3))->gb_per_s, 12 * 21.6, 1e-6);
  // Two GPUs that send to one share what it can take in.
  const auto t = run_traffic(g, {{{gpu(0), gpu(3), {}}, {gpu(1), gpu(3), {}}}, {}});
  EXPECT_NEAR(*t.total, 12 * 21.6, 1e-6);
}

TEST(LinkGraph, SeesABridgeOrMeshWhereTheyDoNot) {
  LinkedMachine made(kSkylake5120);
  for (int i = 0; i < 4; ++i) made.add_gpu(i / 2, {}, test::kGen4x16, test::kA100);
  made.add_nvswitch(4);  // 3 peers x 4 = the 12 links of an A100
  const auto g = make_link_graph(made.machine());
  EXPECT_TRUE(std::none_of(g.parts.begin(), g.parts.end(), [](const Part& p) { return p.kind == Part::Kind::kNvSwitch; }));
  const auto t = run_traffic(g, {{{gpu(0), gpu(3), {}}, {gpu(1), gpu(3), {}}}, {}});
  EXPECT_NEAR(*t.total, 2 * 4 * 21.6, 1e-6);
}

Machine with_uncounted_nvlinks(int gpus, std::uint16_t device) {
  LinkedMachine made(kSkylake5120);
  for (int i = 0; i < gpus; ++i) made.add_gpu(i * 2 / gpus, {}, test::kGen5x16, device);
  made.add_nvswitch(1);
  for (auto& link : made.raw().links) link.count.reset();
  return made.machine();
}

// hwloc's XML says that there are NVLinks, and not how many: four H200 have 6 of their 18 to each of the others.
TEST(LinkGraph, SharesUncountedNvlinksEvenlyAndCallsThatAGuess) {
  const auto r = route(with_uncounted_nvlinks(4, test::kH100), gpu(0), gpu(3));
  EXPECT_NEAR(*r.gb_per_s, 6 * 20.9, 1e-6);
  EXPECT_EQ(r.basis, Basis::kGuess);
}

TEST(LinkGraph, SeesAnNvSwitchWhereAGpuHasMorePeersThanAMesh) {
  const auto m = with_uncounted_nvlinks(8, test::kA100);
  const auto r = route(m, gpu(0), gpu(5));
  EXPECT_NEAR(*r.gb_per_s, 12 * 21.6, 1e-6);
  EXPECT_EQ(r.basis, Basis::kGuess);
  const auto g = make_link_graph(m);
  EXPECT_EQ(route_text(g, *find_route(g, gpu(0), gpu(5))), "GPU 0 -> NV -> NVSwitch -> NV -> GPU 5");
}

// An Intel card's GPU and the port above it claim one lane at 2.5 GT/s; the card's own port is what counts.
TEST(LinkGraph, PassesOverTheMadeUpLinksOfIntelGpus) {
  constexpr PciLink kMadeUp{2.5, 1};
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, made.add_switch(0, test::kGen4x16), kMadeUp, 0x56c0);
  for (auto& d : made.raw().pci)
    if (d.link_max->width == kMadeUp.width) d.vendor = 0x8086;
  made.raw().gpus[0].vendor = 0x8086;
  EXPECT_NEAR(rate(made.machine(), node(0), gpu(0)), pcie(16, 16), 1e-6);
}

TEST(LinkGraph, DoesNotSendTrafficThroughAnotherGpu) {
  LinkedMachine made(kSkylake5120);
  for (int i = 0; i < 3; ++i) made.add_gpu(0, {}, test::kGen3x16, test::kV100);
  made.add_nvlinks(0, 1, 2);
  made.add_nvlinks(1, 2, 2);
  const auto m = made.machine();
  const auto g = make_link_graph(m);
  EXPECT_THAT(route_text(g, *find_route(g, gpu(0), gpu(2))), HasSubstr("PCIe"));
  EXPECT_THAT(route_text(g, *find_route(g, gpu(0), gpu(1))), "GPU 0 -> NV2 -> GPU 1");
}

TEST(LinkGraph, CannotKnowPeerToPeerOverOldQpi) {
  LinkedMachine made("Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz");
  made.add_gpu(0, {}, test::kGen3x16, test::kV100);
  made.add_gpu(1, {}, test::kGen3x16, test::kV100);
  const auto r = route(made.machine(), gpu(0), gpu(1));
  EXPECT_FALSE(r.gb_per_s);
  EXPECT_THAT(r.cannot_know, HasSubstr("QPI"));
  EXPECT_GT(rate(made.machine(), node(0), gpu(0)), 12);  // local copies are known
}

TEST(LinkGraph, AnUnknownCpuMakesAnUpperBound) {
  LinkedMachine made("Some CPU 9000");
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  made.add_gpu(1, {}, test::kGen4x16, test::kA100Pcie);
  const auto r = route(made.machine(), gpu(0), gpu(1));
  EXPECT_NEAR(*r.gb_per_s, pcie(16, 16), 1e-6);
  EXPECT_EQ(r.unknown.size(), 1u);
}

TEST(LinkGraph, DevicesOfAnUnknownNodeHangNowhereForSure) {
  auto m = sample::vm(2);
  complete(m);
  const auto r = route(m, gpu(0), gpu(1));
  EXPECT_THAT(r.cannot_know, HasSubstr("no source tells the nodes"));
  EXPECT_EQ(r.reach, Reach::kUnknown);
  EXPECT_FALSE(route(m, node(1), gpu(0)).unknown.empty());
  auto one = sample::vm(1);
  complete(one);
  EXPECT_EQ(route(one, node(0), gpu(0)).reach, Reach::kHost);
}

TEST(LinkGraph, NodesOfASocketAreOnOneDie) {
  LinkedMachine made("AMD EPYC 7742 64-Core Processor", 8, 4);
  made.add_gpu(3, {}, test::kGen4x16, test::kA100);
  made.add_gpu(1, {}, test::kGen4x16, test::kA100);
  made.add_gpu(5, {}, test::kGen4x16, test::kA100);
  const auto m = made.machine();
  EXPECT_EQ(route(m, gpu(0), gpu(1)).reach, Reach::kNode);
  EXPECT_EQ(route(m, gpu(0), gpu(2)).reach, Reach::kSocket);
  // 8 channels of DDR4-3200 serve four nodes.
  EXPECT_NEAR(*route(m, node(3), node(2)).gb_per_s, 8 * 3200 * 8 * 0.85 / 1000 / 4, 1e-6);
}

TEST(LinkGraph, HmatGoesBeforePublishedRates) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  MemoryAccess access;
  access.read_bandwidth_mb_per_s = 12000;
  access.initiators = NodeSet{0};
  made.raw().nodes[0].access0 = {access, Source::kSysfs};
  const auto r = route(made.machine(), node(0), gpu(0));
  EXPECT_NEAR(*r.gb_per_s, 12, 1e-9);
  EXPECT_EQ(r.basis, Basis::kHmat);
}

TEST(LinkGraph, MeasurementsGoBeforeAll) {
  LinkedMachine made(kSkylake5120);
  made.add_gpu(0, {}, test::kGen4x16, test::kA100Pcie);
  const auto m = made.machine();
  Measured measured;
  Measurement one;
  one.metric = Metric::kHostToDevice;
  one.memory_node = NodeId{0};
  one.gpu = 0;
  one.samples = {24.5, 24.7, 24.6};
  measured.measurements.push_back(one);
  one.metric = Metric::kRead;
  one.cpu_node = NodeId{1};
  one.gpu.reset();
  one.samples = {31.0};
  measured.measurements.push_back(one);
  const auto g = make_link_graph(m, &measured);
  const auto r = find_route(g, node(0), gpu(0));
  EXPECT_NEAR(*r->gb_per_s, 24.6, 1e-9);
  EXPECT_EQ(r->basis, Basis::kMeasured);
  EXPECT_EQ(find_route(g, gpu(0), node(0))->basis, Basis::kLink);  // the other direction was not measured
  const auto upi = std::find_if(g.channels.begin(), g.channels.end(), [](const Channel& c) { return c.name == "UPI, node 0 to node 1"; });
  ASSERT_NE(upi, g.channels.end());
  EXPECT_NEAR(*upi->capacity.gb_per_s, 31, 1e-9);
}

TEST(LinkGraph, FourSocketsInARingAreARing) {
  LinkedMachine made(kSkylake5120, 4);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) (*made.raw().nodes[static_cast<std::size_t>(i)].distances.value)[j] = i == j ? 10 : (i + j) % 2 == 1 ? 21 : 31;
  const auto g = make_link_graph(made.machine());
  EXPECT_EQ(std::count_if(g.channels.begin(), g.channels.end(), [](const Channel& c) { return c.type == LinkType::kInterconnect; }), 8);
  EXPECT_EQ(find_route(g, node(0), node(2))->edges.size(), 4u);  // memory, two links, memory
}

TEST(Rates, KnowGenerationsByName) {
  EXPECT_EQ(find_cpu_rates("Intel(R) Xeon(R) Platinum 8480C")->name, "Sapphire Rapids");
  EXPECT_EQ(find_cpu_rates("Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz")->name, "Broadwell");
  EXPECT_EQ(find_cpu_rates("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz")->name, "Cascade Lake");
  EXPECT_EQ(find_cpu_rates("INTEL(R) XEON(R) PLATINUM 8568Y+")->name, "Emerald Rapids");
  EXPECT_EQ(find_cpu_rates("INTEL(R) XEON(R) 6787P")->name, "Granite Rapids");
  EXPECT_EQ(find_cpu_rates("AMD EPYC 7742 64-Core Processor")->name, "Rome");
  EXPECT_EQ(find_cpu_rates("AMD EPYC 7V12 64-Core Processor")->name, "Rome");
  EXPECT_EQ(find_cpu_rates("AMD EPYC 9654 96-Core Processor")->name, "Genoa");
  EXPECT_FALSE(find_cpu_rates("AMD Ryzen 9 7950X"));
  EXPECT_FALSE(find_cpu_rates("Intel(R) Xeon(R) Gold"));
}

TEST(Rates, DoNotTakeOneGpuForAnother) {
  const auto named = [](std::string_view model) {
    Gpu g;
    g.model = {std::string(model), Source::kNvml};
    const auto rates = find_gpu_rates(g);
    return rates ? std::string(rates->name) : std::string();
  };
  EXPECT_EQ(named("NVIDIA A100-SXM4-40GB"), "A100");
  EXPECT_EQ(named("NVIDIA RTX A4000"), "");
  EXPECT_EQ(named("NVIDIA H100 PCIe"), "H100 PCIe");
  EXPECT_EQ(named("NVIDIA H100 80GB HBM3"), "H100");
  EXPECT_EQ(named("NVIDIA H200"), "H200");
  EXPECT_EQ(named("NVIDIA GH200 480GB"), "GH200");
  EXPECT_EQ(named("NVIDIA L40S"), "L40");
  EXPECT_EQ(named("AMD Instinct MI300X"), "MI300");
  EXPECT_EQ(named("Quadro P4000"), "");
}

}  // namespace
}  // namespace numapin
