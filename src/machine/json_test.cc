#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "machine/sample_machines.h"
#include "numapin/machine.h"

namespace numapin {
namespace {

using namespace sample;
using nlohmann::json;

json written(Machine m) {
  complete(m);
  System s;
  s.machine = std::move(m);
  const auto text = to_json(s);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(text.substr(0, 4), "{\n  ") << "indented by two";
  return json::parse(text);
}

TEST(Json, HasTheDocumentedKeys) {
  const auto j = written(two_sockets());
  EXPECT_EQ(j["schema"], "numapin/topo/1");
  EXPECT_EQ(j["hostname"], nullptr);
  EXPECT_EQ(j["online_cpulist"], "0-15");
  EXPECT_EQ(j["sources"]["online_cpulist"], "sysfs");
  const auto& node = j["numa_nodes"][1];
  EXPECT_EQ(node["id"], 1);
  EXPECT_EQ(node["cpulist"], "4-7,12-15");
  EXPECT_EQ(node["memory_total_bytes"], 64 * kGiB);
  EXPECT_EQ(node["kind"], nullptr);
  EXPECT_EQ(node["distances"], json::parse(R"({"0": 21, "1": 10})"));
  EXPECT_EQ(j["packages"][1], json::parse(R"({"id": 1, "cpulist": "4-7,12-15"})"));
  EXPECT_EQ(j["cores"][4]["cpulist"], "4,12");
  EXPECT_EQ(j["cores"][4]["numa_node"], 1);
  EXPECT_EQ(j["l3"][0]["size_bytes"], 32 << 20);
  const auto& gpu = j["gpus"][0];
  EXPECT_EQ(gpu["address"], "0000:1a:00.0");
  EXPECT_EQ(gpu["vendor"], "10de");
  EXPECT_EQ(gpu["device"], "2330");
  EXPECT_EQ(gpu["product"], "H100 SXM5");
  EXPECT_EQ(gpu["uuid"], nullptr);
  EXPECT_EQ(gpu["numa_nodes"], json::parse("[0]"));
  EXPECT_EQ(gpu["numa_source"], "sysfs");
  EXPECT_EQ(gpu["links"]["GPU1"], "NV12");
  EXPECT_EQ(gpu["links"]["GPU4"], "SYS");
  EXPECT_EQ(gpu["links"]["NIC0"], "PIX");
  EXPECT_FALSE(gpu["links"].contains("GPU0"));
  EXPECT_EQ(gpu["link"], json::parse(R"({"gt_per_s": 16.0, "width": 16, "generation": 4})"));
  EXPECT_EQ(j["pci"][0]["class"], "060400");
}

TEST(Json, UnknownIsNull) {
  const auto j = written(vm(2));
  EXPECT_EQ(j["gpus"][0]["numa_nodes"], nullptr);
  EXPECT_EQ(j["gpus"][0]["numa_source"], nullptr);
  EXPECT_EQ(j["gpus"][0]["narrowest_link"], nullptr);
  EXPECT_EQ(j["pci"][0]["numa_node"], nullptr);
  EXPECT_EQ(j["nics"], json::array());
}

TEST(Json, NarrowestLinkIsTheOneAboveTheCard) {
  auto m = two_sockets();
  for (auto& d : m.pci)
    if (d.address == at("0000:11:00.0")) d.link = {PciLink{16, 8}, Source::kSysfs};
  const auto narrowest = written(m)["gpus"][0]["narrowest_link"];
  EXPECT_EQ(narrowest["width"], 8);
  EXPECT_EQ(narrowest["at"], "0000:11:00.0");
}

TEST(Json, BytesThatAreNotTextAreReplaced) {
  Machine m;
  m.hostname = {std::string("a\xff"), Source::kProcfs};
  EXPECT_EQ(written(m)["hostname"], "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace numapin
