#include <algorithm>
#include <set>

#include "numapin/sources.h"
#include "sources/sniff.h"
#include "texts.h"

namespace numapin::test {
namespace {

using nlohmann::json;

constexpr std::string_view kKind = "hwloc-xml";

TEST(Corpus, HasHwlocXml) { expect_corpus(kKind, 44); }

class HwlocXmlCorpus : public testing::TestWithParam<TextCase> {
 protected:
  const json& expected() const { return GetParam().expected; }
  const json& list(const char* key) const {
    static const json kNone = json::array();
    return expected().contains(key) ? expected()[key] : kNone;
  }
  Machine read() const {
    auto m = from_hwloc_xml(GetParam().text);
    EXPECT_TRUE(m) << (m ? "" : m.error().message);
    return m ? *m : Machine{};
  }
};

std::vector<std::string> sorted(std::vector<std::string> v) {
  std::sort(v.begin(), v.end());
  return v;
}

template <class T>
std::vector<std::string> lists_of(const std::vector<T>& items) {
  std::vector<std::string> out;
  for (const auto& item : items) out.push_back(item.cpus.to_list());
  return sorted(out);
}

/// What the answer says of a device's nodes. Every node of a machine with several is hwloc's way to say "unknown".
std::optional<NodeSet> nodes_of_json(const json& list, const Machine& m) {
  if (list.is_null() || list.empty()) return std::nullopt;
  NodeSet nodes;
  std::set<CpuSet> places;
  for (const auto& id : list) nodes.insert(NodeId{id.get<int>()});
  for (const auto& node : m.nodes)
    if (!node.cpus->empty()) places.insert(*node.cpus);
  if (places.size() > 1 && nodes.size() == static_cast<int>(m.nodes.size())) return std::nullopt;
  return nodes;
}

/// Graphics of server boards that the corpus does not call a console: ATI's ES1000 is one (docs/bugs.md).
bool counts_as_gpu(const json& gpu) {
  if (gpu["vendor"] == "1002" && gpu["device"] == "515e") return false;
  const auto cls = gpu["class"].get<std::string>();
  return !gpu["console_or_virtual_vga"].get<bool>() && (cls.starts_with("03") || cls.starts_with("12"));
}

TEST_P(HwlocXmlCorpus, IsRecognised) {
  EXPECT_TRUE(looks_like_hwloc_xml(GetParam().text));
  EXPECT_FALSE(looks_like_nccl_xml(GetParam().text));
}

TEST_P(HwlocXmlCorpus, HasTheCpus) {
  const auto m = read();
  expect_valid(m);
  EXPECT_EQ(show(m.online.value), show(cpus_of_json(expected()["cpus"]["online"])));
  if (m.offline) {
    EXPECT_FALSE(m.offline->intersects(*cpus_of_json(expected()["cpus"]["online"])));
    EXPECT_TRUE(cpus_of_json(expected()["cpus"]["complete"])->contains(*m.offline));
  }
  std::vector<std::string> groups;
  for (const auto& group : list("smt_groups"))
    if (group != "") groups.push_back(group);
  EXPECT_EQ(lists_of(m.cores), sorted(groups));
  std::vector<std::string> l3;
  for (const auto& group : list("l3_domains"))
    if (group != "") l3.push_back(group);
  EXPECT_EQ(lists_of(m.l3), sorted(l3));
}

TEST_P(HwlocXmlCorpus, HasThePackages) {
  const auto m = read();
  EXPECT_EQ(m.packages.size(), list("packages").size());
  for (const auto& wanted : list("packages")) {
    const auto same = std::find_if(m.packages.begin(), m.packages.end(), [&](const Package& p) {
      return p.cpus.to_list() == wanted["cpulist"] && (wanted["os_index"].is_null() || p.id == wanted["os_index"]);
    });
    EXPECT_NE(same, m.packages.end()) << wanted;
  }
}

TEST_P(HwlocXmlCorpus, HasTheNodes) {
  const auto m = read();
  EXPECT_EQ(m.nodes.size(), list("numa_nodes").size());
  for (const auto& wanted : list("numa_nodes")) {
    const auto* node = find_node(m, NodeId{wanted["os_index"].get<int>()});
    ASSERT_NE(node, nullptr) << wanted;
    EXPECT_EQ(show(node->cpus.value), show(cpus_of_json(wanted["cpulist"]))) << wanted;
    if (!wanted["local_memory"].is_null()) {
      EXPECT_EQ(node->memory_total_bytes.value, wanted["local_memory"].get<std::uint64_t>()) << wanted;
    }
    if (wanted["subtype"] == "DRAM") {
      EXPECT_EQ(node->kind.value, MemoryKind::kDram);
    }
    if (wanted["subtype"] == "HBM" || wanted["subtype"] == "MCDRAM") {
      EXPECT_EQ(node->kind.value, MemoryKind::kHbm);
    }
  }
}

TEST_P(HwlocXmlCorpus, HasTheDistances) {
  const auto m = read();
  const json* wanted = nullptr;
  for (const auto& matrix : list("distances"))
    if (wanted == nullptr && !matrix["nodes"].empty() && matrix["matrix"][0][0] == 10) wanted = &matrix;
  if (wanted == nullptr) {
    for (const auto& node : m.nodes) EXPECT_FALSE(node.distances);
    return;
  }
  const auto& nodes = (*wanted)["nodes"];
  for (std::size_t from = 0; from < nodes.size(); ++from)
    for (std::size_t to = 0; to < nodes.size(); ++to) {
      const int value = (*wanted)["matrix"][from][to];
      if (from == to && value != 10) continue;  // no distance to itself can be anything else
      EXPECT_EQ(distance(m, NodeId{nodes[from].get<int>()}, NodeId{nodes[to].get<int>()}), value)
          << nodes[from] << " to " << nodes[to];
    }
}

TEST_P(HwlocXmlCorpus, HasThePciDevices) {
  const auto m = read();
  for (const auto& wanted : list("pci_devices")) {
    const auto* device = find_pci(m, *PciAddress::parse(wanted["address"].get<std::string>()));
    ASSERT_NE(device, nullptr) << wanted;
    EXPECT_EQ(device->class_code >> 8, std::stoul(wanted["class"].get<std::string>(), nullptr, 16)) << wanted;
    EXPECT_EQ(device->vendor, std::stoul(wanted["vendor"].get<std::string>(), nullptr, 16)) << wanted;
    EXPECT_EQ(device->device, std::stoul(wanted["device"].get<std::string>(), nullptr, 16)) << wanted;
    EXPECT_EQ(show(device->local_cpus.value), show(cpus_of_json(wanted["local_cpulist"]))) << wanted;
    const auto nodes = nodes_of_json(wanted["numa_nodes"], m);
    const auto single = nodes && nodes->size() == 1 ? nodes : std::nullopt;
    EXPECT_EQ(show(device->numa_node ? std::optional(NodeSet::of(*device->numa_node)) : std::nullopt), show(single)) << wanted;
  }
}

TEST_P(HwlocXmlCorpus, HasTheGpus) {
  const auto m = read();
  std::size_t count = 0;
  for (const auto& wanted : list("gpus")) {
    const auto address = *PciAddress::parse(wanted["address"].get<std::string>());
    const auto* gpu = find_gpu(m, address);
    if (!counts_as_gpu(wanted)) {
      EXPECT_EQ(gpu, nullptr) << wanted;
      continue;
    }
    ++count;
    ASSERT_NE(gpu, nullptr) << wanted;
    EXPECT_EQ(show(gpu->local_cpus.value), show(cpus_of_json(wanted["local_cpulist"]))) << wanted;
    EXPECT_EQ(show(gpu->numa_nodes.value), show(nodes_of_json(wanted["numa_nodes"], m))) << wanted;
    std::vector<std::string> bridges;
    for (const auto* bridge : upstream(m, *find_pci(m, address))) bridges.push_back(bridge->address.to_string());
    std::reverse(bridges.begin(), bridges.end());
    EXPECT_EQ(bridges, wanted["bridges"].get<std::vector<std::string>>()) << wanted;
    for (const auto& os : wanted["os_devices"]) {
      const auto name = os.is_string() ? os.get<std::string>() : os.value("name", "");
      if (name.starts_with("nvml")) {
        EXPECT_EQ("nvml" + std::to_string(gpu->nvml_index.value_or(-1)), name);
      }
      if (name.starts_with("cuda")) {
        EXPECT_EQ("cuda" + std::to_string(gpu->cuda_ordinal.value_or(-1)), name);
      }
    }
  }
  EXPECT_EQ(m.gpus.size(), count);
}

TEST_P(HwlocXmlCorpus, HasTheNamesOfNetworkDevicesAndDrives) {
  const auto m = read();
  for (const auto& os : list("os_devices")) {
    if (!os.contains("pci") || os["pci"].is_null()) continue;
    const auto address = PciAddress::parse(os["pci"].get<std::string>());
    const auto name = os["name"].get<std::string>();
    if (name.starts_with("mlx5_")) {
      const auto at = std::find_if(m.nics.begin(), m.nics.end(), [&](const Nic& n) { return n.address == address; });
      ASSERT_NE(at, m.nics.end()) << os;
      EXPECT_EQ(at->name, name);
      EXPECT_EQ(show(at->numa_nodes.value), show(nodes_of_json(os["numa_nodes"], m)));
    }
    if (name.starts_with("nvme")) {
      EXPECT_TRUE(std::any_of(m.nvme.begin(), m.nvme.end(), [&](const Nvme& d) {
        return d.address == address && !d.name.empty() && name.starts_with(d.name);
      })) << os;
    }
  }
}

TEST_P(HwlocXmlCorpus, HasTheNamesOfTheMachine) {
  const auto m = read();
  const auto info = expected().value("machine_info", json::object());
  const auto expect = [&](const char* key, const Fact<std::string>& fact) {
    if (info.contains(key)) {
      EXPECT_EQ(fact.value_or(""), info[key].get<std::string>()) << key;
    }
  };
  expect("HostName", m.hostname);
  expect("Architecture", m.architecture);
  expect("OSRelease", m.kernel_release);
}

TEST_P(HwlocXmlCorpus, IsRefusedWhenCut) {
  const auto& text = GetParam().text;
  const auto end = text.rfind("</topology");
  for (std::size_t at = 0; at < end; at += 1 + end / 20) {
    const auto m = from_hwloc_xml(std::string_view(text).substr(0, at));
    ASSERT_FALSE(m) << at;
    EXPECT_EQ(m.error().kind, Error::Kind::kBadInput);
    EXPECT_NE(m.error().message.find("line "), std::string::npos) << m.error().message;
  }
}

TEST_P(HwlocXmlCorpus, HasTheNvlinks) {  // of a DGX-2 over its switches, of boards with four H100 directly
  const bool linked = GetParam().text.find("NVLinkBandwidth") != std::string::npos;
  const auto m = read();
  EXPECT_EQ(m.links.size(), linked ? m.gpus.size() * (m.gpus.size() - 1) : 0u);
  for (const auto& link : m.links) EXPECT_EQ(to_string(link), "NV6");
}

INSTANTIATE_TEST_SUITE_P(Corpus, HwlocXmlCorpus, testing::ValuesIn(text_cases(kKind)), case_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HwlocXmlCorpus);

}  // namespace
}  // namespace numapin::test
