// from_nvml against the fake library: what the driver says arrives, what it refuses stays unknown.
#include "gpu/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "numapin/sources.h"
#include "sources/gpu_meter.h"
#include "sources/setup.h"

namespace numapin {
namespace {

/// Loads the fake with this description. One description a process: the fake reads it once, and every test of this
/// program runs in a process of its own (ctest) or after a reload (dlclose runs when the handle goes).
Result<Machine> read_fake(const std::string& json) {
  const auto file = testing::TempDir() + "/nvml-" + std::to_string(getpid()) + ".json";
  std::ofstream(file) << json;
  setenv("NUMAPIN_FAKE_NVML", file.c_str(), 1);
  NUMAPIN_TRY(auto api, load_nvml(FAKE_NVML));
  return from_nvml(*api);
}

const char* const kTwoGpus = R"({"driver": "550.54.15", "gpus": [
  {"address": "0000:18:00.0", "device": "2330", "uuid": "GPU-aa", "name": "NVIDIA H100 80GB HBM3", "minor": 3,
   "memory_mib": 81559, "cpus": [0, 1, 70], "nodes": [0], "switch_links": 18, "version": 4},
  {"address": "0001:98:00.0", "device": "2330", "uuid": "GPU-bb", "name": "NVIDIA H100 80GB HBM3", "minor": 1,
   "memory_mib": 81559, "cpus": [2], "nodes": [1], "switch_links": 17, "version": 4}]})";

TEST(FromNvml, TellsIdentityAndAffinity) {
  auto m = read_fake(kTwoGpus);
  ASSERT_TRUE(m) << m.error().message;
  ASSERT_EQ(m->gpus.size(), 2U);
  EXPECT_EQ(*m->driver_version, "550.54.15");
  EXPECT_EQ(m->gpus[1].address->to_string(), "0001:98:00.0");
  EXPECT_EQ(m->gpus[0].vendor, 0x10de);
  EXPECT_EQ(m->gpus[0].device, 0x2330);
  EXPECT_EQ(*m->gpus[0].uuid, "GPU-aa");
  EXPECT_EQ(*m->gpus[0].minor, 3) << "the minor number is not the index";
  EXPECT_EQ(m->gpus[0].local_cpus->to_list(), "0-1,70");
  EXPECT_EQ(m->gpus[1].numa_nodes->to_list(), "1");
  EXPECT_EQ(*m->gpus[0].memory_bytes, 81559ULL << 20);
}

TEST(FromNvml, CountsTheSmallerBondThroughSwitches) {
  auto m = read_fake(kTwoGpus);
  ASSERT_TRUE(m);
  ASSERT_EQ(m->links.size(), 2U);
  EXPECT_EQ(to_string(m->links[0]), "NV17");
  EXPECT_EQ(*m->links[0].version, 4);
}

TEST(FromNvml, JoinsDirectNvlinksByAddress) {
  auto m = read_fake(R"({"gpus": [
    {"address": "0000:06:00.0", "uuid": "GPU-a", "peers": {"0000:07:00.0": 2}, "levels": {"1": 10, "2": 50}},
    {"address": "0000:07:00.0", "uuid": "GPU-b", "peers": {"0000:06:00.0": 2}, "levels": {"0": 10, "2": 50}},
    {"address": "0000:85:00.0", "uuid": "GPU-c", "levels": {"0": 50, "1": 50}}]})");
  ASSERT_TRUE(m);
  EXPECT_EQ(to_string(*find_link(*m, {DeviceRef::Type::kGpu, 0}, {DeviceRef::Type::kGpu, 1})), "NV2");
  EXPECT_EQ(to_string(*find_link(*m, {DeviceRef::Type::kGpu, 0}, {DeviceRef::Type::kGpu, 2})), "SYS");
}

TEST(FromNvml, ListsMigInstancesAndSkipsEmptySlots) {
  auto m = read_fake(R"({"gpus": [{"address": "0000:18:00.0", "uuid": "GPU-a", "mig": [
    {"uuid": "MIG-1", "gi": 7, "ci": 0, "name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "memory_mib": 9856}, null]}]})");
  ASSERT_TRUE(m);
  ASSERT_EQ(m->gpus[0].mig.size(), 1U);
  EXPECT_EQ(m->gpus[0].mig[0].uuid, "MIG-1");
  EXPECT_EQ(m->gpus[0].mig[0].gpu_instance, 7);
  EXPECT_EQ(m->gpus[0].mig[0].profile, "1g.10gb");
}

TEST(FromNvml, KeepsUnknownWhatTheDriverRefuses) {
  auto m = read_fake(R"({"gpus": [{"address": "0000:18:00.0", "uuid": "GPU-a", "cpus": [], "nodes": []}],
                         "fail": {"nvmlDeviceGetName": 4, "nvmlDeviceGetMinorNumber": 3}})");
  ASSERT_TRUE(m);
  EXPECT_FALSE(m->gpus[0].numa_nodes) << "a cgroup without near CPUs empties NVML's answer (trap 13)";
  EXPECT_FALSE(m->gpus[0].local_cpus);
  EXPECT_FALSE(m->gpus[0].model);
  EXPECT_FALSE(m->gpus[0].minor);
}

TEST(FromNvml, NotesALostGpuAndGoesOn) {
  auto m = read_fake(R"({"gpus": [{"address": "0000:18:00.0", "uuid": "GPU-a", "lost": true},
                                  {"address": "0000:19:00.0", "uuid": "GPU-b"}]})");
  ASSERT_TRUE(m);
  ASSERT_EQ(m->gpus.size(), 1U);
  EXPECT_EQ(*m->gpus[0].nvml_index, 1);
  EXPECT_THAT(m->notes, testing::ElementsAre("NVML does not answer for GPU 0: GPU is lost"));
}

TEST(LoadNvml, TellsNoDriverFromABrokenOne) {
  auto absent = load_nvml("libno-such-library.so.1");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, Error::Kind::kNotFound);
  auto unloaded = read_fake(R"({"init": 9, "gpus": []})");
  ASSERT_FALSE(unloaded);
  EXPECT_EQ(unloaded.error().kind, Error::Kind::kNotFound);
  auto broken = load_nvml("libc.so.6");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, Error::Kind::kUnsupported);
}

TEST(GpuMeter, TakesRatesFromTheByteCounters) {
  auto m = read_fake(R"({"gpus": [{"address": "0000:18:00.0", "uuid": "GPU-a", "busy": 98, "rx_bytes": 1000, "tx_bytes": 10}]})");
  ASSERT_TRUE(m);
  const auto api = load_nvml(FAKE_NVML);
  GpuMeter meter(*m, api->get());
  EXPECT_FALSE(meter.look(5).at(0).rx_bytes_per_s) << "one look has no rate";
  const auto now = meter.look(7).at(0);
  EXPECT_EQ(now.busy_percent, 98);
  EXPECT_DOUBLE_EQ(*now.rx_bytes_per_s, 500);
  EXPECT_DOUBLE_EQ(*now.tx_bytes_per_s, 5);
}

TEST(GpuMeter, MeasuresOneGpuALookWhereThereAreNoCounters) {
  auto m = read_fake(R"({"gpus": [{"address": "0000:18:00.0", "uuid": "GPU-a", "rx_kb_per_s": 7, "tx_kb_per_s": 1},
                                  {"address": "0000:19:00.0", "uuid": "GPU-b", "rx_kb_per_s": 9, "tx_kb_per_s": 2}]})");
  ASSERT_TRUE(m);
  const auto api = load_nvml(FAKE_NVML);
  GpuMeter meter(*m, api->get());
  const auto first = meter.look(1);
  EXPECT_DOUBLE_EQ(*first[0].rx_bytes_per_s, 7000);
  EXPECT_FALSE(first[1].rx_bytes_per_s);
  EXPECT_FALSE(first[0].busy_percent) << "not supported";
  const auto second = meter.look(2);
  EXPECT_DOUBLE_EQ(*second[0].rx_bytes_per_s, 7000) << "its last value";
  EXPECT_DOUBLE_EQ(*second[1].tx_bytes_per_s, 2000);
}

TEST(GpuMeter, WithoutADriverNothingIsKnown) { EXPECT_TRUE(GpuMeter(Machine{}, nullptr).look(1).empty()); }

TEST(SoftwareFactsFromNvml, TellModesThatTheDriverTells) {
  const auto file = testing::TempDir() + "fake-nvml-modes.json";
  std::ofstream(file) << R"({"cuda": 12040, "gpus": [
    {"address": "0000:18:00.0", "uuid": "GPU-a", "persistence": true, "mig": []}, {"address": "0000:19:00.0", "uuid": "GPU-b"}]})";
  setenv("NUMAPIN_FAKE_NVML", file.c_str(), 1);
  const auto api = load_nvml(FAKE_NVML);
  ASSERT_TRUE(api);
  const auto m = from_nvml(**api);
  ASSERT_TRUE(m);
  const auto nvidia = read_software_facts(MapTree(), *m, api->get(), false, {}).nvidia;
  EXPECT_EQ(nvidia.cuda_version, 12040);
  EXPECT_EQ(nvidia.persistence, (std::map<int, bool>{{0, true}})) << "the other GPU does not tell";
  EXPECT_TRUE(nvidia.mig.at(0).current);
  EXPECT_FALSE(nvidia.mig.at(1).current);
}

}  // namespace
}  // namespace numapin
