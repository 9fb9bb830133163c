#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "machine/sample_machines.h"
#include "numapin/machine.h"

namespace numapin {
namespace {

using namespace sample;
using testing::ElementsAre;
using testing::IsEmpty;

/// What check() says of a machine that was right until `damage`.
std::vector<std::string> after(const std::function<void(Machine&)>& damage) {
  auto m = two_sockets();
  complete(m);
  EXPECT_THAT(check(m), IsEmpty());
  damage(m);
  return check(m);
}

TEST(Check, AcceptsOddMachines) {
  for (auto m : {two_sockets(), nps4(), gh200(), vm(1), vm(2), Machine{}}) {
    complete(m);
    EXPECT_THAT(check(m), IsEmpty());
  }
  EXPECT_THAT(after([](Machine& m) { m.nodes[1].cpus = m.nodes[0].cpus, m.cores.clear(); }), IsEmpty())
      << "nodes may overlap";
  EXPECT_THAT(after([](Machine& m) { m.nodes[1].distances.value->erase(1); }), IsEmpty()) << "distances may be partial";
}

TEST(Check, CpusAndNodes) {
  EXPECT_THAT(after([](Machine& m) { m.online = {cpus("0-14"), Source::kSysfs}, m.cores.clear(), m.l3.clear(), m.packages.clear(); }),
              ElementsAre("node 1 has CPUs 15 that are not online"));
  EXPECT_THAT(after([](Machine& m) { m.offline = {cpus("3,20"), Source::kSysfs}; }),
              ElementsAre("CPUs 3 are both online and offline"));
  EXPECT_THAT(after([](Machine& m) { m.nodes[0].distances = {{{0, 11}, {1, -1}, {7, 20}}, Source::kSysfs}; }),
              ElementsAre("node 0 has distance 11 to itself instead of 10",
                          "node 0 has distance -1 to node 1, which is not positive",
                          "node 0 distances names node 7, which the machine does not have"));
  EXPECT_THAT(after([](Machine& m) { m.nodes[0].memory_free_bytes = {65 * kGiB, Source::kSysfs}; }),
              ElementsAre("node 0 has 69793218560 bytes free of 68719476736"));
  EXPECT_THAT(after([](Machine& m) { m.nodes[0].memory_free_bytes = {65 * kGiB, Source::kNumactl}; }), IsEmpty())
      << "two sources, two moments";
  EXPECT_THAT(after([](Machine& m) { m.nodes[0].kind.source = Source::kSysfs; }),
              ElementsAre("node 0 kind is unknown but has the source sysfs"));
  EXPECT_THAT(after([](Machine& m) { m.nodes[0].cpus.source = Source::kNone; }),
              ElementsAre("node 0 cpus is known but has no source"));
}

TEST(Check, CoresAndCaches) {
  EXPECT_THAT(after([](Machine& m) { m.cores[1].cpus = cpus("1,8"); }),
              ElementsAre("core 1,8 shares CPUs 8 with another"));
  EXPECT_THAT(after([](Machine& m) { m.cores[3].cpus = cpus("3,12"); }),
              ElementsAre("core 4,12 shares CPUs 12 with another", "core 3,12 has CPUs 12 that are not of its node 0",
                          "core 3,12 has CPUs 12 that are not of its package 0"));
  EXPECT_THAT(after([](Machine& m) { m.cores[0].package = 4; }),
              ElementsAre("core 0,8 is in package 4, which the machine does not have"));
  EXPECT_THAT(after([](Machine& m) { std::swap(m.l3[0], m.l3[1]); }),
              ElementsAre("L3 0-3,8-11 comes after 4-7,12-15: not sorted"));
  EXPECT_THAT(after([](Machine& m) { m.packages[1].id = 0; }).front(), "package 0 is there twice");
}

TEST(Check, PciTree) {
  EXPECT_THAT(after([](Machine& m) { m.pci[0].parent = at("0000:ff:00.0"); }),
              testing::Contains("pci 0000:10:01.0 has the parent 0000:ff:00.0, which the machine does not have"));
  EXPECT_THAT(after([](Machine& m) { m.pci[0].parent = at("0000:11:00.0"); }),
              testing::Contains("pci 0000:10:01.0 is below itself: its parents form a ring"));
  EXPECT_THAT(after([](Machine& m) { m.pci[0].link = {PciLink{0, 16}, Source::kSysfs}; }),
              ElementsAre("pci 0000:10:01.0 link is known but has 0 GT/s and 16 lanes"));
  EXPECT_THAT(after([](Machine& m) { std::swap(m.pci[0], m.pci[1]); }),
              ElementsAre("pci 0000:10:01.0 comes after 0000:11:00.0: not sorted"));
}

TEST(Check, Devices) {
  EXPECT_THAT(after([](Machine& m) { m.gpus[2].index = 7; }), ElementsAre("gpu number 2 has the index 7"));
  EXPECT_THAT(after([](Machine& m) { m.gpus[2].numa_nodes = {NodeSet{5}, Source::kNvml}; }),
              ElementsAre("gpu 2 names node 5, which the machine does not have"));
  EXPECT_THAT(after([](Machine& m) { m.gpus[2].numa_nodes = {NodeSet{}, Source::kNvml}; }),
              ElementsAre("gpu 2 is near to no node: that must be unknown"));
  EXPECT_THAT(after([](Machine& m) { m.gpus[2].address = m.gpus[1].address; }),
              ElementsAre("gpu 2 has the address of another"));
  EXPECT_THAT(after([](Machine& m) { m.gpus[0].address = {}; }),
              ElementsAre("gpu 1 has an address but comes after one without"));
  EXPECT_THAT(after([](Machine& m) { m.nics[0].speed_mb_per_s = {0, Source::kSysfs}; }),
              ElementsAre("nic 0 has a speed that is not positive"));
}

TEST(Check, Links) {
  EXPECT_THAT(after([](Machine& m) { m.links.erase(m.links.begin()); }),
              ElementsAre("link gpu 1 to gpu 0 has no counterpart in the other direction"));
  EXPECT_THAT(after([](Machine& m) { m.links[0].source = Source::kNone; }),
              ElementsAre("link gpu 0 to gpu 1 has no source"));
  EXPECT_THAT(after([](Machine& m) { m.links[0].kind = LinkKind::kSelf; }),
              ElementsAre("link gpu 0 to gpu 1 is X: a device is X to itself and to nothing else"));
  EXPECT_THAT(after([](Machine& m) { m.nics.clear(); }),
              testing::Contains("link gpu 0 to nic 0 names nic 0, which the machine does not have"));
}

}  // namespace
}  // namespace numapin
