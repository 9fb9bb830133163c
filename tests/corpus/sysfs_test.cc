// Archives of /sys and /proc of real machines, against the answers beside them (../shared/corpus/README.md).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/numbers.h"
#include "corpus.h"
#include "numapin/machine.h"
#include "numapin/sources.h"

namespace numapin::test {
namespace {

using nlohmann::json;

CpuSet cpus(const json& list) { return CpuSet::parse(list.get<std::string>()).value(); }

std::uint32_t hex(const json& text) { return parse_hex<std::uint32_t>(text.get<std::string>()).value(); }

/// GPUs that a job can be bound to, as the README defines them.
bool is_bindable(const json& gpu) { return gpu.at("kind") != "co-processor" && !gpu.at("console_or_virtual_vga").get<bool>(); }

/// Made by hand so that lists and masks contradict each other. hwloc reads masks and drops a package and an L3; the lists,
/// which we read, are whole (docs/bugs.md).
constexpr std::string_view kConflict = "hwloc-40cpu-4n-conflicting-maps";

/// One test a case and not one a question: unpacking the archive takes longer than all questions.
class Sysfs : public testing::TestWithParam<CorpusCase> {
 protected:
  CpuSet online() const { return cpus(expected_.at("cpus").at("online")); }
  void check_cpus() const;
  void check_packages() const;
  void check_cores() const;
  void check_l3() const;
  void check_nodes() const;
  void check_only_node() const;
  void check_pci() const;
  void check_gpus() const;
  void check_gpu_locality() const;
  void check_gpu_memory() const;
  void check_allowance() const;
  void check_narrow_path();

  std::unique_ptr<FileTree> tree_;
  Machine machine_;
  json expected_, kernel_;
};

TEST_P(Sysfs, ComesOutRight) {
  tree_ = corpus_tree(GetParam());
  ASSERT_TRUE(tree_);
  auto m = from_files(*tree_);
  ASSERT_TRUE(m) << m.error().message;
  machine_ = std::move(*m);
  expected_ = read_json(GetParam().expected).at("expected");
  kernel_ = expected_.at("kernel_files");
  EXPECT_EQ(check(machine_), std::vector<std::string>{});
  check_cpus();
  check_cores();
  check_packages();
  check_l3();
  check_nodes();
  check_pci();
  check_gpus();
  check_gpu_memory();
  check_allowance();
  complete(machine_);
  EXPECT_EQ(check(machine_), std::vector<std::string>{});
  check_gpu_locality();
  check_narrow_path();
}

void Sysfs::check_cpus() const {
  SCOPED_TRACE("check_cpus");
  EXPECT_EQ(machine_.online->to_list(), online().to_list());
  if (machine_.offline) {
    const auto present = kernel_.contains("cpu_present") ? cpus(kernel_.at("cpu_present")) : cpus(expected_.at("cpus").at("complete"));
    EXPECT_EQ(machine_.offline->to_list(), (present - online()).to_list());
  }
}

/// hwloc makes two packages with one number of Haswell-EP's cluster-on-die halves; they are one.
void Sysfs::check_packages() const {
  SCOPED_TRACE("check_packages");
  if (GetParam().name == kConflict) return;
  std::map<int, CpuSet> numbered;
  std::set<CpuSet> all;
  for (const auto& p : expected_.at("packages")) {
    if (p.at("os_index").is_null()) all.insert(cpus(p.at("cpulist")));
    else numbered[p.at("os_index")] |= cpus(p.at("cpulist"));
  }
  for (const auto& [id, set] : numbered) all.insert(set);
  std::set<CpuSet> ours;
  for (const auto& p : machine_.packages) {
    ours.insert(p.cpus);
    EXPECT_TRUE(numbered.empty() || p.cpus == numbered[p.id]) << "package " << p.id;
  }
  EXPECT_EQ(ours.size(), all.size());
  EXPECT_TRUE(ours == all);
}

/// hwloc calls the two cores of an AMD module (family 15h) cores, the kernel calls them siblings, and so do we.
void Sysfs::check_cores() const {
  SCOPED_TRACE("check_cores");
  std::set<CpuSet> expected, ours;
  for (const auto& group : kernel_.at("smt_groups"))
    if (const auto set = cpus(group) & online(); !set.empty()) expected.insert(set);
  for (const auto& core : machine_.cores) ours.insert(core.cpus);
  EXPECT_TRUE(ours == expected);
  EXPECT_EQ(ours.size(), expected.size());
}

void Sysfs::check_l3() const {
  SCOPED_TRACE("check_l3");
  if (GetParam().name == kConflict) return;
  std::set<CpuSet> expected, ours;
  if (expected_.contains("l3_domains"))
    for (const auto& group : expected_.at("l3_domains")) expected.insert(cpus(group));
  for (const auto& group : machine_.l3) ours.insert(group.cpus);
  EXPECT_TRUE(ours == expected) << "expected " << (expected_.contains("l3_domains") ? expected_.at("l3_domains").dump() : "none") << ", ours: " << ours.size();
}

void Sysfs::check_only_node() const {
  ASSERT_EQ(machine_.nodes.size(), 1u);
  const auto& only = expected_.at("numa_nodes").at(0);
  EXPECT_EQ(number(machine_.nodes[0].id), only.at("os_index"));
  EXPECT_EQ(*machine_.nodes[0].cpus, online());
  // hwloc writes 0 for an unknown size
  EXPECT_EQ(machine_.nodes[0].memory_total_bytes.value_or(0), only.at("local_memory"));
}

/// The kernel's files say which CPUs a node has, hwloc which of them are online.
void Sysfs::check_nodes() const {
  SCOPED_TRACE("check_nodes");
  if (!kernel_.contains("nodes")) return check_only_node();
  ASSERT_EQ(machine_.nodes.size(), kernel_.at("nodes").size());
  for (std::size_t i = 0; i < machine_.nodes.size(); ++i) {
    const auto& ours = machine_.nodes[i];
    const auto& node = kernel_.at("nodes").at(i);
    SCOPED_TRACE("node " + node.at("os_index").dump());
    EXPECT_EQ(number(ours.id), node.at("os_index"));
    EXPECT_EQ(ours.cpus->to_list(), (cpus(node.at("cpulist")) & online()).to_list());
    EXPECT_EQ(ours.memory_total_bytes.value.has_value(), !node.at("memtotal_kb").is_null());
    EXPECT_EQ(ours.memory_total_bytes.value_or(0) / 1024, node.at("memtotal_kb").is_null() ? 0 : node.at("memtotal_kb").get<std::uint64_t>());
    EXPECT_EQ(ours.distances.value.has_value(), !node.at("distance").is_null());
    if (!ours.distances) continue;
    std::vector<int> row;
    for (const auto& [to, d] : *ours.distances) row.push_back(d);
    EXPECT_EQ(row, node.at("distance").get<std::vector<int>>());
  }
}

void Sysfs::check_pci() const {
  SCOPED_TRACE("check_pci");
  const auto devices = kernel_.value("pci", json::array());
  ASSERT_EQ(machine_.pci.size(), devices.size());
  for (const auto& d : devices) {
    SCOPED_TRACE(d.at("address").get<std::string>());
    const auto* ours = find_pci(machine_, PciAddress::parse(d.at("address").get<std::string>()).value());
    ASSERT_NE(ours, nullptr);
    EXPECT_EQ(ours->class_code, hex(d.at("class")));
    EXPECT_EQ(ours->vendor, hex(d.at("vendor")));
    EXPECT_EQ(ours->device, hex(d.at("device")));
    const auto node = d.at("numa_node");
    const bool known = !node.is_null() && node.get<int>() >= 0;
    ASSERT_EQ(ours->numa_node.value.has_value(), known);
    if (known) { EXPECT_EQ(number(*ours->numa_node), node); }
    if (d.at("local_cpulist").is_null()) continue;
    EXPECT_EQ(ours->local_cpus->to_list(), cpus(d.at("local_cpulist")).to_list());
  }
}

void Sysfs::check_gpus() const {
  SCOPED_TRACE("check_gpus");
  std::set<PciAddress> expected, ours;
  for (const auto& gpu : expected_.value("gpus", json::array()))
    if (is_bindable(gpu)) expected.insert(PciAddress::parse(gpu.at("address").get<std::string>()).value());
  for (const auto& gpu : machine_.gpus) ours.insert(*gpu.address);
  EXPECT_TRUE(ours == expected) << "ours: " << ours.size() << ", expected: " << expected.size();
}

void Sysfs::check_gpu_memory() const {
  SCOPED_TRACE("check_gpu_memory");
  for (const auto& gpu : kernel_.value("nvidia_driver_gpus", json::array())) {
    const auto address = PciAddress::parse(gpu.at("address").get<std::string>()).value();
    SCOPED_TRACE(address.to_string());
    const auto* ours = find_gpu(machine_, address);
    ASSERT_NE(ours, nullptr);
    const auto node = gpu.at("numa_status_node");
    const bool known = !node.is_null() && find_node(machine_, NodeId{node.get<int>()}) != nullptr;
    ASSERT_EQ(ours->memory_node.value.has_value(), known);
    if (!known) continue;
    EXPECT_EQ(number(*ours->memory_node), node);
    EXPECT_EQ(find_node(machine_, *ours->memory_node)->kind.value, MemoryKind::kGpu);
  }
}

void Sysfs::check_allowance() const {
  SCOPED_TRACE("check_allowance");
  const auto allowance = read_allowance(*tree_);
  const auto ours = allowance.cpus ? *allowance.cpus & *machine_.online : *machine_.online;
  EXPECT_EQ(ours.to_list(), cpus(expected_.at("cpus").at("allowed")).to_list());
  NodeSet nodes;
  for (const auto& node : machine_.nodes) nodes.insert(node.id);
  if (!allowance.mems) return;
  EXPECT_EQ((*allowance.mems & nodes).to_list(), expected_.at("allowed_nodes"));
}

/// The kernel's numa_node where it has one; else the only node with memory, or nothing. hwloc answers "all nodes" where
/// nothing is known.
void Sysfs::check_gpu_locality() const {
  SCOPED_TRACE("check_gpu_locality");
  for (const auto& gpu : expected_.value("gpus", json::array())) {
    if (!is_bindable(gpu)) continue;
    const auto address = PciAddress::parse(gpu.at("address").get<std::string>()).value();
    SCOPED_TRACE(address.to_string());
    const auto* ours = find_gpu(machine_, address);
    ASSERT_NE(ours, nullptr);
    const auto& nodes = ours->numa_nodes;
    if (const auto* device = find_pci(machine_, address); device->numa_node) {
      EXPECT_EQ(nodes.value, NodeSet::of(*device->numa_node));
    } else if (memory_nodes(machine_).size() == 1) {
      EXPECT_EQ(nodes.value, memory_nodes(machine_));
    } else {
      NodeSet hwloc;
      for (const auto& id : gpu.at("numa_nodes")) hwloc.insert(NodeId{id.get<int>()});
      EXPECT_TRUE(!nodes || *nodes == hwloc) << nodes->to_list();
    }
  }
}

/// No recording has /proc/bus/pci/devices; it is made here, with windows so large that every device may be a GPU.
std::string proc_bus_pci(const Machine& m) {
  std::string text;
  for (const auto& d : m.pci) {
    text += fmt::format("{:02x}{:02x}\t{:04x}{:04x}\t0", d.address.bus, d.address.device << 3 | d.address.function, d.vendor, d.device);
    for (int i = 0; i < 14; ++i) text += i < 7 ? "\t 0" : "\t 1000000";
    text += "\t\n";
  }
  return text;
}

/// Where the narrow path answers, it answers as the full model does.
void Sysfs::check_narrow_path() {
  SCOPED_TRACE("check_narrow_path");
  auto* files = dynamic_cast<MapTree*>(tree_.get());
  ASSERT_NE(files, nullptr);
  files->add_file("/proc/bus/pci/devices", proc_bus_pci(machine_));
  for (const auto& gpu : machine_.gpus) {
    const auto narrow = discover_narrow(*files, {}, std::to_string(gpu.index));
    if (!narrow) continue;
    ASSERT_EQ(narrow->machine.gpus.size(), machine_.gpus.size());
    const auto& ours = narrow->machine.gpus[static_cast<std::size_t>(gpu.index)];
    EXPECT_EQ(ours.address, gpu.address);
    EXPECT_EQ(ours.numa_nodes.value, gpu.numa_nodes.value);
    EXPECT_EQ(narrow->machine.online, machine_.online);
    for (const auto& node : narrow->machine.nodes) EXPECT_EQ(node.cpus, find_node(machine_, node.id)->cpus);
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Sysfs);
INSTANTIATE_TEST_SUITE_P(Corpus, Sysfs, testing::ValuesIn(corpus_cases("sysfs")),
                         [](const auto& p) { return test_name(p.param); });

TEST(CorpusSysfs, IsThere) {
  if (corpus_cases("sysfs").empty()) GTEST_SKIP() << "no ../shared/corpus: 55 recorded sysfs trees skipped";
}

}  // namespace
}  // namespace numapin::test
