// The same recorded trees through libhwloc and through us. What differs on purpose is in docs/bugs.md.
#include <gtest/gtest.h>
#include <hwloc.h>
#include <stdlib.h>

#include <algorithm>
#include <set>

#include "corpus.h"
#include "numapin/machine.h"
#include "numapin/sources.h"
#include "support/unpacked.h"

namespace numapin::test {
namespace {

namespace fs = std::filesystem;

CpuSet cpus(hwloc_const_bitmap_t set) {
  CpuSet out;
  for (int i = hwloc_bitmap_first(set); i >= 0; i = hwloc_bitmap_next(set, i)) out.insert(CpuId{i});
  return out;
}

/// libhwloc 2.9 or later over a directory, without the limits of the cgroup that was recorded.
class Hwloc {
 public:
  explicit Hwloc(const fs::path& root) {
    setenv("HWLOC_FSROOT", root.c_str(), 1);
    setenv("HWLOC_COMPONENTS", "linux,stop", 1);
    setenv("HWLOC_DUMPED_HWDATA_DIR", "/var/run/hwloc", 1);
    setenv("HWLOC_THISSYSTEM", "0", 1);
    hwloc_topology_init(&topology_);
    hwloc_topology_set_flags(topology_, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_io_types_filter(topology_, HWLOC_TYPE_FILTER_KEEP_ALL);
    ok_ = hwloc_topology_load(topology_) == 0;
  }
  ~Hwloc() { hwloc_topology_destroy(topology_); }
  Hwloc(const Hwloc&) = delete;
  Hwloc& operator=(const Hwloc&) = delete;
  bool ok() const { return ok_; }

  std::vector<hwloc_obj_t> all(hwloc_obj_type_t type) const {
    std::vector<hwloc_obj_t> found;
    for (hwloc_obj_t o = nullptr; (o = hwloc_get_next_obj_by_type(topology_, type, o)) != nullptr;) found.push_back(o);
    return found;
  }
  std::set<CpuSet> cpu_sets(hwloc_obj_type_t type) const {
    std::set<CpuSet> sets;
    for (const auto* o : all(type)) sets.insert(cpus(o->cpuset));
    return sets;
  }
  CpuSet online() const { return cpus(hwloc_get_root_obj(topology_)->cpuset); }
  hwloc_topology_t get() const { return topology_; }

 private:
  hwloc_topology_t topology_{};
  bool ok_ = false;
};

/// What is whole only in one of the two.
struct Difference {
  std::string_view name, what;
};
constexpr Difference kOnPurpose[] = {
    // made by hand: masks contradict lists, hwloc reads masks and drops what conflicts
    {"hwloc-40cpu-4n-conflicting-maps", "packages"}, {"hwloc-40cpu-4n-conflicting-maps", "l3"},
    // two packages with one number in hwloc; we believe the number
    {"hwloc-haswell-cod-buggy-siblings", "packages"},
    // overlapping nodes: hwloc keeps four of six
    {"hwloc-fake-hetero-numa", "nodes"}, {"hwloc-fake-hetero-numa", "distances"},
};
bool differs_on_purpose(const std::string& name, std::string_view what) {
  for (const auto& d : kOnPurpose)
    if (d.name == name && d.what == what) return true;
  return false;
}

class Oracle : public testing::TestWithParam<CorpusCase> {
 protected:
  bool compared(std::string_view what) const { return !differs_on_purpose(GetParam().name, what); }
};

template <class Group>
std::set<CpuSet> cpu_sets(const std::vector<Group>& groups) {
  std::set<CpuSet> sets;
  for (const auto& group : groups) sets.insert(group.cpus);
  return sets;
}

/// A memory-only node has no CPUs in the kernel, and those of its initiators in hwloc.
void compare_nodes(const Hwloc& hwloc, const Machine& m) {
  const auto theirs = hwloc.all(HWLOC_OBJ_NUMANODE);
  ASSERT_EQ(m.nodes.size(), theirs.size());
  for (const auto* o : theirs) {
    const auto* node = find_node(m, NodeId{static_cast<int>(o->os_index)});
    ASSERT_NE(node, nullptr) << "node " << o->os_index;
    if (!node->cpus->empty()) { EXPECT_EQ(node->cpus->to_list(), cpus(o->cpuset).to_list()); }
    EXPECT_EQ(node->memory_total_bytes.value_or(0), o->attr->numanode.local_memory);
  }
}

void compare_distances(const Hwloc& hwloc, const Machine& m) {
  unsigned count = 1;
  hwloc_distances_s* table = nullptr;
  hwloc_distances_get_by_name(hwloc.get(), "NUMALatency", &count, &table, 0);
  if (count == 0) return;
  for (unsigned i = 0; i < table->nbobjs; ++i)
    for (unsigned j = 0; j < table->nbobjs; ++j)
      EXPECT_EQ(distance(m, NodeId{static_cast<int>(table->objs[i]->os_index)}, NodeId{static_cast<int>(table->objs[j]->os_index)}),
                static_cast<int>(table->values[i * table->nbobjs + j]));
  hwloc_distances_release(hwloc.get(), table);
}

/// hwloc places whole buses, the kernel each device: where its numa_node says a node, that is right. hwloc answers with
/// an ancestor's CPUs where nothing is known; the kernel's local_cpulist is every CPU then.
void compare_pci(const Hwloc& hwloc, const Machine& m) {
  std::ptrdiff_t functions = 0;
  for (hwloc_obj_t o = nullptr; (o = hwloc_get_next_pcidev(hwloc.get(), o)) != nullptr;) ++functions;
  for (auto* bridge : hwloc.all(HWLOC_OBJ_BRIDGE)) functions += bridge->attr->bridge.upstream_type == HWLOC_OBJ_BRIDGE_PCI;
  // libhwloc as Debian builds it leaves out domains of more than 16 bits (Hyper-V)
  const auto in_reach = std::count_if(m.pci.begin(), m.pci.end(), [](const PciDevice& d) { return d.address.domain <= 0xffff; });
  EXPECT_EQ(in_reach, functions);
  for (hwloc_obj_t o = nullptr; (o = hwloc_get_next_pcidev(hwloc.get(), o)) != nullptr;) {
    const auto& pci = o->attr->pcidev;
    const PciAddress address{static_cast<std::uint32_t>(pci.domain), pci.bus, pci.dev, pci.func};
    const auto* ours = find_pci(m, address);
    ASSERT_NE(ours, nullptr) << address.to_string();
    EXPECT_EQ(ours->vendor, pci.vendor_id);
    EXPECT_EQ(ours->device, pci.device_id);
    EXPECT_EQ(ours->class_code >> 8, pci.class_id);
    if (ours->numa_node) continue;
    const auto near = cpus(hwloc_get_non_io_ancestor_obj(hwloc.get(), o)->cpuset);
    EXPECT_TRUE(ours->local_cpus->contains(near)) << address.to_string() << " hwloc " << near.to_list();
  }
}

TEST_P(Oracle, Agrees) {
  const Unpacked files(GetParam().data);
  const auto root = files.top() / read_json(GetParam().expected).at("root_in_archive").get<std::string>();
  ASSERT_TRUE(files.ok());
  const Hwloc hwloc(root);
  ASSERT_TRUE(hwloc.ok());
  const auto m = from_files(*make_dir_tree(root));
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ(m->online->to_list(), hwloc.online().to_list());
  EXPECT_TRUE(cpu_sets(m->cores) == hwloc.cpu_sets(HWLOC_OBJ_CORE)) << "cores";
  if (compared("packages")) { EXPECT_TRUE(cpu_sets(m->packages) == hwloc.cpu_sets(HWLOC_OBJ_PACKAGE)) << "packages"; }
  if (compared("l3")) { EXPECT_TRUE(cpu_sets(m->l3) == hwloc.cpu_sets(HWLOC_OBJ_L3CACHE)) << "L3"; }
  if (compared("nodes")) compare_nodes(hwloc, *m);
  if (compared("distances")) compare_distances(hwloc, *m);
  compare_pci(hwloc, *m);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Oracle);
INSTANTIATE_TEST_SUITE_P(Corpus, Oracle, testing::ValuesIn(corpus_cases("sysfs")),
                         [](const auto& p) { return test_name(p.param); });

TEST(CorpusOracle, IsThere) {
  if (corpus_cases("sysfs").empty()) GTEST_SKIP() << "no ../shared/corpus: 55 trees are not compared with libhwloc";
}

}  // namespace
}  // namespace numapin::test
