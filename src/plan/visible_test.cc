#include "numapin/visible.h"

#include <gmock/gmock.h>

#include "support/made_machine.h"

namespace numapin {
namespace {

using test::made_machine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Allowance with(std::map<std::string, std::string> env) {
  Allowance a;
  a.visible_env = std::move(env);
  return a;
}

std::vector<int> indices(const Result<GpuChoice>& choice) {
  std::vector<int> found;
  if (!choice) ADD_FAILURE() << choice.error().message;
  if (choice)
    for (const auto& g : choice->gpus) found.push_back(g.gpu);
  return found;
}

std::vector<int> choose(const Machine& m, const Allowance& a, std::string_view spec) {
  return indices(choose_gpus(m, a, spec));
}

Error refusal(const Machine& m, const Allowance& a, std::string_view spec) {
  const auto choice = choose_gpus(m, a, spec);
  EXPECT_FALSE(choice) << spec;
  return choice ? Error{} : choice.error();
}

Machine intel(int cards, std::uint16_t device) {
  return made_machine({.gpus_per_node = cards / 2, .vendor = 0x8086, .device = device});
}

/// GPU 1 is split in two.
Machine with_mig() {
  auto m = made_machine();
  m.gpus[1].mig = {{"MIG-aaaa1111-0000-0000-0000-000000000001", 1, 0, "3g.40gb", {}},
                   {"MIG-aaaa2222-0000-0000-0000-000000000002", 2, 0, "3g.40gb", {}}};
  return m;
}

TEST(ChooseGpus, TakesIndexRangeListAndAll) {
  const auto m = made_machine();
  EXPECT_THAT(choose(m, {}, "0"), ElementsAre(0));
  EXPECT_THAT(choose(m, {}, "7,0-2, 5"), ElementsAre(7, 0, 1, 2, 5));
  EXPECT_THAT(choose(m, {}, "all"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(choose(m, {}, "none"), IsEmpty());
}

TEST(ChooseGpus, TakesUuidPrefixAndPciAddress) {
  const auto m = made_machine();
  EXPECT_THAT(choose(m, {}, "GPU-10000003-0000-0000-0000-000000000003"), ElementsAre(3));
  EXPECT_THAT(choose(m, {}, "gpu-10000003"), ElementsAre(3));
  EXPECT_THAT(choose(m, {}, "0000:18:00.0"), ElementsAre(1));
  EXPECT_THAT(choose(m, {}, "18:00.0,00000000:20:00.0"), ElementsAre(1, 2));
  EXPECT_EQ(refusal(m, {}, "GPU-1").kind, Error::Kind::kBadInput);  // the prefix of all eight
}

TEST(ChooseGpus, ShortAddressFindsTheGpuOfAnotherDomain) {
  auto m = made_machine({.nodes = 1, .gpus_per_node = 1});  // GH200: its GPU is 0009:01:00.0
  m.gpus[0].address = PciAddress{9, 1, 0, 0};
  EXPECT_THAT(choose(m, {}, "01:00.0"), ElementsAre(0));
  EXPECT_EQ(refusal(m, {}, "0000:01:00.0").kind, Error::Kind::kNotFound);
}

TEST(ChooseGpus, TakesMigInstances) {
  const auto m = with_mig();
  const auto choice = choose_gpus(m, {}, "MIG-aaaa2222");
  ASSERT_TRUE(choice);
  EXPECT_THAT(choice->gpus, ElementsAre(ChosenGpu{1, m.gpus[1].mig[1].uuid, {}}));
  const auto old = choose_gpus(m, {}, "MIG-" + *m.gpus[1].uuid + "/1/0");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->gpus[0].mig_uuid, m.gpus[1].mig[0].uuid);
  EXPECT_THAT(refusal(m, {}, "MIG-aaaa").message, HasSubstr("several"));
}

TEST(ChooseGpus, RefusesWithWhatIsThere) {
  const auto m = made_machine();
  const auto e = refusal(m, {}, "9");
  EXPECT_EQ(e.kind, Error::Kind::kNotFound);
  EXPECT_EQ(e.message, "choose GPU 9: no such GPU");
  EXPECT_EQ(e.hint, "this machine has GPUs 0-7");
  EXPECT_EQ(refusal(m, {}, "0,0").message, "choose GPU 0: named twice in \"0,0\"");
  EXPECT_EQ(refusal(m, {}, "3-1").kind, Error::Kind::kBadInput);
  EXPECT_THAT(refusal(m, {}, "0,,1").message, HasSubstr("column 3"));
  EXPECT_THAT(refusal(m, {}, "0,x1").message, HasSubstr("column 3: \"x1\""));
  EXPECT_EQ(refusal(m, {}, "99:00.0").kind, Error::Kind::kNotFound);
  EXPECT_EQ(refusal(m, {}, "18:00:0.x").kind, Error::Kind::kBadInput);
  EXPECT_THAT(refusal(Machine{}, {}, "0").hint, HasSubstr("no GPU"));
  EXPECT_THAT(refusal(Machine{}, {}, "all").hint, HasSubstr("no GPU"));
  EXPECT_EQ(refusal(m, {}, "-1").kind, Error::Kind::kNotFound);
  EXPECT_EQ(refusal(m, {}, "99999999999").kind, Error::Kind::kBadInput);
}

TEST(CudaVisible, IndexCountsWithinTheList) {
  const auto m = made_machine();
  const auto a = with({{"CUDA_VISIBLE_DEVICES", "6,2"}});
  EXPECT_THAT(choose(m, a, "0"), ElementsAre(6));
  EXPECT_THAT(choose(m, a, "0-1"), ElementsAre(6, 2));
  EXPECT_THAT(indices(visible_gpus(m, a)), ElementsAre(6, 2));
  EXPECT_THAT(refusal(m, a, "2").hint, HasSubstr("CUDA_VISIBLE_DEVICES=6,2"));
  const auto hidden = refusal(m, a, "GPU-10000003");
  EXPECT_EQ(hidden.kind, Error::Kind::kNotFound);
  EXPECT_THAT(hidden.message, HasSubstr("hidden"));
}

TEST(CudaVisible, FollowsTheDriversParser) {
  const auto m = made_machine();
  const auto seen = [&](std::string list) { return indices(visible_gpus(m, with({{"CUDA_VISIBLE_DEVICES", list}}))); };
  EXPECT_THAT(seen(""), IsEmpty());
  EXPECT_THAT(seen("NoDevFiles"), IsEmpty());
  EXPECT_THAT(seen("-1"), IsEmpty());
  EXPECT_THAT(seen("0,2,-1,1"), ElementsAre(0, 2));  // the programming guide's own example
  EXPECT_THAT(seen("0,7,8,1"), ElementsAre(0, 7));
  EXPECT_THAT(seen("0,0"), IsEmpty());
  EXPECT_THAT(seen("1gpu2, 2ampere"), ElementsAre(1, 2));
  EXPECT_THAT(seen("GPU-10000005,GPU-10000001"), ElementsAre(5, 1));
  EXPECT_THAT(seen("GPU-10000005,1"), ElementsAre(5));  // the first entry decides the kind
  EXPECT_THAT(seen("1,GPU-10000005"), ElementsAre(1));
  EXPECT_THAT(seen("GPU-1"), IsEmpty());  // not unique
  EXPECT_THAT(seen("2,"), ElementsAre(2));
}

TEST(CudaVisible, WarnsOfEntriesThatHideGpus) {
  const auto m = made_machine();
  const auto choice = visible_gpus(m, with({{"CUDA_VISIBLE_DEVICES", "0,9,1"}}));
  ASSERT_TRUE(choice);
  EXPECT_THAT(choice->warnings, ElementsAre(HasSubstr("\"9\" names no GPU here")));
}

TEST(CudaVisible, TakesMigForms) {
  const auto m = with_mig();
  for (const std::string list : {"MIG-aaaa2222-0000-0000-0000-000000000002", "MIG-GPU-10000001-0000-0000-0000-000000000001/2/0"}) {
    const auto choice = choose_gpus(m, with({{"CUDA_VISIBLE_DEVICES", list}}), "0");
    ASSERT_TRUE(choice) << list;
    EXPECT_THAT(choice->gpus, ElementsAre(ChosenGpu{1, m.gpus[1].mig[1].uuid, {}}));
  }
  // naming the whole card where only one instance is visible means that instance
  const auto card = choose_gpus(m, with({{"CUDA_VISIBLE_DEVICES", m.gpus[1].mig[1].uuid}}), "GPU-10000001");
  ASSERT_TRUE(card);
  EXPECT_EQ(card->gpus[0].mig_uuid, m.gpus[1].mig[1].uuid);
}

TEST(CudaVisible, UnknownOrderIsNotGuessedWhereItMatters) {
  auto m = made_machine();
  m.gpus[7].device = 0x2330;  // one H100 among A100s: it is CUDA's device 0 by default
  const auto fastest = with({{"CUDA_VISIBLE_DEVICES", "0"}});
  EXPECT_THAT(refusal(m, fastest, "0").hint, HasSubstr("CUDA_DEVICE_ORDER=PCI_BUS_ID"));
  EXPECT_FALSE(visible_gpus(m, fastest));
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "1"}, {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"}}), "0"), ElementsAre(1));
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "GPU-10000007"}}), "0"), ElementsAre(7));
  EXPECT_THAT(choose(m, fastest, "18:00.0"), ElementsAre(1));  // an address has no order
  for (auto& gpu : m.gpus) gpu.numa_nodes = {NodeSet{0}, Source::kSysfs};
  const auto same_node = visible_gpus(m, fastest);
  ASSERT_TRUE(same_node);
  EXPECT_THAT(same_node->warnings, ElementsAre(HasSubstr("all are on the same nodes")));
}

TEST(CudaVisible, KnownOrdinalsSettleTheOrder) {
  auto m = made_machine({.gpus_per_node = 1});
  m.gpus[1].device = 0x2330;
  m.gpus[0].cuda_ordinal = {1, Source::kNvml};
  m.gpus[1].cuda_ordinal = {0, Source::kNvml};
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "0"}}), "0"), ElementsAre(1));
}

TEST(CudaVisible, ContainerCountsItsOwnGpus) {
  auto m = made_machine();  // sysfs shows eight, NVML the two that the container was given
  m.gpus[4].nvml_index = {0, Source::kNvml};
  m.gpus[6].nvml_index = {1, Source::kNvml};
  EXPECT_THAT(choose(m, with({{"NVIDIA_VISIBLE_DEVICES", "4,6"}}), "1"), ElementsAre(6));
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "1"}}), "0"), ElementsAre(6));
  m.gpus[4].uuid = {};
  EXPECT_THAT(visible_environment(m, {}, std::vector{ChosenGpu{4, "", {}}}),
              ElementsAre(Pair("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), Pair("CUDA_VISIBLE_DEVICES", "0")));
}

TEST(CudaVisible, ReadsTheContainersVariableWithoutNvml) {
  const auto m = with_mig();
  const auto seen = [&](std::string list) { return indices(visible_gpus(m, with({{"NVIDIA_VISIBLE_DEVICES", list}}))); };
  EXPECT_THAT(seen("4,6"), ElementsAre(4, 6));
  EXPECT_THAT(seen("GPU-10000003"), ElementsAre(3));
  EXPECT_THAT(seen("1:1"), ElementsAre(1));
  EXPECT_THAT(seen("none"), IsEmpty());
  for (const std::string all : {"all", "void", "", "/var/run/nvidia-container-devices"})
    EXPECT_EQ(seen(all).size(), 8u) << all;
  EXPECT_THAT(choose(m, with({{"NVIDIA_VISIBLE_DEVICES", "4,6"}, {"CUDA_VISIBLE_DEVICES", "1"}}), "0"), ElementsAre(6));
}

TEST(CudaVisible, IgnoresOtherVendorsVariables) {
  // Slurm sets them all for a gres without AutoDetect
  const auto a = with({{"CUDA_VISIBLE_DEVICES", "1"}, {"ROCR_VISIBLE_DEVICES", "1"}, {"ZE_AFFINITY_MASK", "1"}});
  EXPECT_THAT(choose(made_machine(), a, "0"), ElementsAre(1));
}

TEST(RocmVisible, HipCountsWithinRocr) {
  const auto m = made_machine({.vendor = 0x1002});
  EXPECT_THAT(choose(m, with({{"ROCR_VISIBLE_DEVICES", "4,5,6"}}), "1"), ElementsAre(5));
  EXPECT_THAT(choose(m, with({{"ROCR_VISIBLE_DEVICES", "4,5,6"}, {"HIP_VISIBLE_DEVICES", "2,0"}}), "0"), ElementsAre(6));
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "3"}}), "0"), ElementsAre(3));
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "3"}, {"HIP_VISIBLE_DEVICES", "1"}}), "0"), ElementsAre(1));
  EXPECT_THAT(choose(m, with({{"GPU_DEVICE_ORDINAL", "2"}}), "0"), ElementsAre(2));
}

TEST(RocmVisible, FollowsTheRuntimesParsers) {
  const auto m = made_machine({.vendor = 0x1002});
  const auto rocr = [&](std::string list) { return indices(visible_gpus(m, with({{"ROCR_VISIBLE_DEVICES", list}}))); };
  EXPECT_THAT(rocr(""), IsEmpty());
  EXPECT_THAT(rocr("1, 0x2"), ElementsAre(1, 2));
  EXPECT_THAT(rocr("gpu-000000000000AB03,0"), ElementsAre(3, 0));
  EXPECT_THAT(rocr("1,1,2"), ElementsAre(1));  // a repeated entry ends the list
  EXPECT_THAT(rocr("1,9,2"), ElementsAre(1));
  EXPECT_THAT(rocr("GPU-0000"), IsEmpty());  // not unique
  const auto hip = [&](std::string list) { return indices(visible_gpus(m, with({{"HIP_VISIBLE_DEVICES", list}}))); };
  EXPECT_EQ(hip("").size(), 8u);  // empty is as not set
  EXPECT_THAT(hip("1,1,2"), ElementsAre(1, 2));
  EXPECT_THAT(hip("1, 2"), ElementsAre(1));  // " 2" is not how HIP prints 2
  EXPECT_THAT(hip("-1"), IsEmpty());
}

TEST(RocmVisible, OneListInAllVariablesIsOneChoice) {
  const auto m = made_machine({.vendor = 0x1002});
  const auto a = with({{"ROCR_VISIBLE_DEVICES", "3"}, {"CUDA_VISIBLE_DEVICES", "3"}, {"GPU_DEVICE_ORDINAL", "3"}});
  const auto choice = choose_gpus(m, a, "0");
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->gpus[0].gpu, 3);
  EXPECT_THAT(choice->warnings, testing::Contains(HasSubstr("both say 3")));
  // what is set then means GPU 3 for ROCR and the only one left for HIP
  EXPECT_THAT(visible_environment(m, a, choice->gpus),
              ElementsAre(Pair("ROCR_VISIBLE_DEVICES", "GPU-000000000000ab03"), Pair("HIP_VISIBLE_DEVICES", "0"),
                          Pair("GPU_DEVICE_ORDINAL", "0")));
}

TEST(LevelZeroVisible, ReadsCardsAndTiles) {
  const auto one_tile = intel(4, 0x0bda);
  EXPECT_THAT(indices(visible_gpus(one_tile, with({{"ZE_AFFINITY_MASK", "2,0"}}))), ElementsAre(0, 2));
  EXPECT_THAT(indices(visible_gpus(one_tile, with({{"ZE_AFFINITY_MASK", "9,1"}}))), ElementsAre(1));
  EXPECT_EQ(indices(visible_gpus(one_tile, with({{"ZE_AFFINITY_MASK", ""}}))).size(), 4u);
  const auto two_tiles = intel(4, 0x0bd5);
  const auto flat = visible_gpus(two_tiles, with({{"ZE_AFFINITY_MASK", "3,4,5"}}));
  ASSERT_TRUE(flat);
  EXPECT_THAT(flat->gpus, ElementsAre(ChosenGpu{1, "", {1}}, ChosenGpu{2, "", {}}));
  const auto composite =
      visible_gpus(two_tiles, with({{"ZE_AFFINITY_MASK", "3.0,1"}, {"ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE"}}));
  ASSERT_TRUE(composite);
  EXPECT_THAT(composite->gpus, ElementsAre(ChosenGpu{1, "", {}}, ChosenGpu{3, "", {0}}));
}

TEST(LevelZeroVisible, CountsDiscreteGpusFirst) {
  auto m = intel(2, 0x56c0);
  m.gpus[0].address = PciAddress{0, 0, 2, 0};  // the processor's own
  EXPECT_THAT(indices(visible_gpus(m, with({{"ZE_AFFINITY_MASK", "0"}}))), ElementsAre(1));
  EXPECT_THAT(indices(visible_gpus(m, with({{"ZE_AFFINITY_MASK", "0"}, {"ZE_ENABLE_PCI_ID_DEVICE_ORDER", "1"}}))),
              ElementsAre(0));
}

TEST(VisibleEnvironment, NamesUuidsOrIndices) {
  const auto m = made_machine();
  const std::vector<ChosenGpu> two{{3, "", {}}, {0, "", {}}};
  EXPECT_THAT(visible_environment(m, {}, two), ElementsAre(Pair("CUDA_VISIBLE_DEVICES",
                                                                 "GPU-10000003-0000-0000-0000-000000000003,"
                                                                 "GPU-10000000-0000-0000-0000-000000000000")));
  EXPECT_THAT(visible_environment(made_machine({.uuids = false}), {}, two),
              ElementsAre(Pair("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), Pair("CUDA_VISIBLE_DEVICES", "3,0")));
  EXPECT_THAT(visible_environment(made_machine({.vendor = 0x1002, .uuids = false}), {}, two),
              ElementsAre(Pair("ROCR_VISIBLE_DEVICES", "3,0")));
  EXPECT_THAT(visible_environment(with_mig(), {}, std::vector{ChosenGpu{1, "", {}}}),
              ElementsAre(Pair("CUDA_VISIBLE_DEVICES", "MIG-aaaa1111-0000-0000-0000-000000000001")));
}

TEST(VisibleEnvironment, CountsTilesWhereLevelZeroDoes) {
  const auto m = intel(4, 0x0bd5);
  EXPECT_THAT(visible_environment(m, {}, std::vector{ChosenGpu{1, "", {}}}),
              testing::Contains(Pair("ZE_AFFINITY_MASK", "2,3")));
  EXPECT_THAT(visible_environment(m, {}, std::vector{ChosenGpu{1, "", {1}}}),
              testing::Contains(Pair("ZE_AFFINITY_MASK", "3")));
  EXPECT_THAT(visible_environment(m, with({{"ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE"}}), std::vector{ChosenGpu{1, "", {1}}}),
              testing::Contains(Pair("ZE_AFFINITY_MASK", "1.1")));
}

TEST(VisibleEnvironment, MixedVendorsEachGetTheirOwn) {
  auto m = made_machine();
  for (int i = 4; i < 8; ++i) {
    m.gpus[static_cast<std::size_t>(i)].vendor = 0x1002;
    m.gpus[static_cast<std::size_t>(i)].uuid = {};
  }
  // indices count among AMD's GPUs; HIP would read CUDA_VISIBLE_DEVICES
  EXPECT_THAT(visible_environment(m, {}, std::vector{ChosenGpu{1, "", {}}, ChosenGpu{5, "", {}}}),
              ElementsAre(Pair("CUDA_VISIBLE_DEVICES", HasSubstr("GPU-10000001")), Pair("ROCR_VISIBLE_DEVICES", "1"),
                          Pair("HIP_VISIBLE_DEVICES", "0")));
  // the other vendor's GPUs are hidden
  EXPECT_THAT(visible_environment(m, {}, std::vector{ChosenGpu{5, "", {}}}),
              ElementsAre(Pair("CUDA_VISIBLE_DEVICES", ""), Pair("ROCR_VISIBLE_DEVICES", "1")));
  // CUDA_VISIBLE_DEVICES on such a machine means NVIDIA's, and an index counts within them
  EXPECT_THAT(choose(m, with({{"CUDA_VISIBLE_DEVICES", "2"}}), "0"), ElementsAre(2));
}

// What numapin sets, read back by the same rules, is what was chosen: for every single GPU and some lists.
TEST(VisibleEnvironment, ReadsBackAsChosen) {
  const Machine machines[] = {made_machine(), made_machine({.uuids = false}), made_machine({.vendor = 0x1002}),
                              made_machine({.vendor = 0x1002, .uuids = false}), intel(8, 0x0bd5), intel(8, 0x0bda)};
  for (const auto& m : machines)
    for (const std::string spec : {"0", "3", "7", "1-2", "4,6"}) {
      const auto choice = choose_gpus(m, {}, spec);
      ASSERT_TRUE(choice);
      const auto pairs = visible_environment(m, {}, choice->gpus);
      const auto again = visible_gpus(m, with({pairs.begin(), pairs.end()}));
      ASSERT_TRUE(again);
      EXPECT_EQ(again->gpus, choice->gpus) << spec;
    }
}

TEST(VisibleGpus, WithoutVariablesAllInPciOrder) {
  const auto choice = visible_gpus(made_machine(), {});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->gpus.size(), 8u);
  EXPECT_FALSE(choice->named);
  EXPECT_THAT(choice->because, ElementsAre(HasSubstr("all 8 GPUs")));
  EXPECT_THAT(indices(visible_gpus(Machine{}, {})), IsEmpty());
}

}  // namespace
}  // namespace numapin
