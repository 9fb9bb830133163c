#include "cli/numactl_options.h"

#include <gmock/gmock.h>

namespace numapin::cli {
namespace {

using ::testing::HasSubstr;

/// Nodes 0 and 1 with four CPUs each (CPU 7 offline), node 2 with memory only, node 3 with one CPU and no memory.
/// SMT siblings n and n+2 within a node.
class Facts final : public NumactlFacts {
 public:
  CpuSet allowed{0, 1, 2, 3, 4, 5, 6, 8};
  NodeSet allowed_mems{0, 1, 2};
  mutable int reads = 0;

  Result<CpuSet> allowed_cpus() const override { return allowed; }  // live, a system call
  Result<CpuSet> online_cpus() const override { return count(CpuSet{0, 1, 2, 3, 4, 5, 6, 8}); }
  Result<CpuSet> offline_cpus() const override { return count(CpuSet{7}); }
  Result<NodeSet> allowed_nodes() const override { return allowed_mems; }
  Result<NodeSet> online_nodes() const override { return count(NodeSet{0, 1, 2, 3}); }
  Result<NodeSet> memory_nodes() const override { return count(NodeSet{0, 1, 2}); }
  Result<CpuSet> cpus_of_node(NodeId node) const override {
    ++reads;
    switch (number(node)) {
      case 0: return CpuSet{0, 1, 2, 3};
      case 1: return CpuSet{4, 5, 6};
      case 2: return CpuSet{};
      case 3: return CpuSet{8};
      default: return fail(Error::Kind::kNotFound, "no such node");
    }
  }
  Result<CpuSet> siblings(CpuId cpu) const override {
    const int n = number(cpu) % 2 + number(cpu) / 4 * 4;
    return CpuSet{n, n + 2} & CpuSet{0, 1, 2, 3, 4, 5, 6, 8};
  }
  Result<NodeSet> device_nodes(std::string_view spec) const override {
    if (spec == "pci:98:00.0") return NodeSet{1};
    return fail(Error::Kind::kNotFound, "no such device");
  }

 private:
  template <class Set>
  Result<Set> count(Set set) const {
    ++reads;
    return set;
  }
};

class Named : public ::testing::Test {
 protected:
  std::string cpus() {
    const auto r = named_cpus(o, facts);
    return r ? r->to_list() : "error: " + r.error().message;
  }
  std::string memory() {
    const auto r = named_memory(o, facts);
    return r ? fmt(*r) : "error: " + r.error().message;
  }
  static std::string fmt(const MemoryPolicy& p) {
    return std::to_string(static_cast<int>(p.mode)) + ' ' + p.nodes.to_list() + (p.balancing ? " balancing" : "");
  }
  static std::string fmt(MemoryMode mode, const char* nodes) {
    return std::to_string(static_cast<int>(mode)) + ' ' + nodes;
  }
  RunOptions o;
  Facts facts;
};

TEST_F(Named, CpusOfNodes) {
  o.cpunodebind = "0-1";
  EXPECT_EQ(cpus(), "0-6");
  o.cpunodebind = "all";
  EXPECT_EQ(cpus(), "0-6");
  o.cpunodebind = "!0";
  EXPECT_EQ(cpus(), "4-6");
  o.cpunodebind = "pci:98:00.0";
  EXPECT_EQ(cpus(), "4-6");
}

TEST_F(Named, CpusOfANodeWithoutMemory) {  // numactl refuses these (trap 24)
  o.cpunodebind = "3";
  EXPECT_EQ(cpus(), "8");
}

TEST_F(Named, CpusOfANodeWhoseMemoryIsForbidden) {
  facts.allowed_mems = NodeSet{1};
  o.cpunodebind = "0";
  EXPECT_EQ(cpus(), "error: --cpunodebind: node 0 is not allowed here");
  o.cpunodebind = "!1";  // numactl does not check these
  EXPECT_EQ(cpus(), "0-3");
  o.cpunodebind = "0";
  o.all = true;
  EXPECT_EQ(cpus(), "0-3");
}

TEST_F(Named, NodesThatHaveNoCpusOrDoNotExist) {
  o.cpunodebind = "2";
  EXPECT_EQ(cpus(), "error: --cpunodebind: node 2 has no CPUs");
  o.cpunodebind = "0,9";
  EXPECT_EQ(cpus(), "error: --cpunodebind: node 9 does not exist");
}

TEST_F(Named, PhysicalCpusStayInsideTheMaskUnlessAllIsGiven) {
  facts.allowed = CpuSet{4, 5};
  o.physcpubind = "+1";
  EXPECT_EQ(cpus(), "5");
  o.physcpubind = "0";
  EXPECT_EQ(cpus(), "error: --physcpubind: CPU 0 is not allowed here");
  o.all = true;
  EXPECT_EQ(cpus(), "0");
  o.all = false;
  o.physcpubind = "7";
  EXPECT_EQ(cpus(), "error: --physcpubind: CPU 7 is offline");
  o.physcpubind = "9-10";
  EXPECT_EQ(cpus(), "error: --physcpubind: CPU 9-10 do not exist");
}

TEST_F(Named, TasksetsFormsGoBeyondTheMask) {
  facts.allowed = CpuSet{4, 5};
  o.cpu_list = "0-6:2";
  EXPECT_EQ(cpus(), "0,2,4,6");
  o.cpu_list = "6-7";
  EXPECT_EQ(cpus(), "6-7");  // the kernel drops 7, and the verdict tells
  o.cpu_list = "7";
  EXPECT_EQ(cpus(), "error: --cpu-list: CPU 7 is offline");
  o.cpu_list.clear();
  o.cpu_mask = "0xffffffff";  // a habit that means all
  EXPECT_EQ(cpus(), "0-6,8");
  o.cpu_mask = "0x80";
  EXPECT_THAT(cpus(), HasSubstr("none of its CPUs is online"));
}

TEST_F(Named, MemoryPolicies) {
  o.membind = "0,2";
  EXPECT_EQ(memory(), fmt(MemoryMode::kBind, "0,2"));
  o.balancing = true;
  EXPECT_EQ(memory(), fmt(MemoryMode::kBind, "0,2 balancing"));
  o = {};
  o.preferred = "1";
  EXPECT_EQ(memory(), fmt(MemoryMode::kPreferredOne, "1"));
  o.preferred = "0-1";
  EXPECT_EQ(memory(), "error: --preferred 0-1: it takes one node, not 0-1");
  o = {};
  o.localalloc = true;
  EXPECT_EQ(memory(), fmt(MemoryMode::kLocal, ""));
}

TEST_F(Named, MemoryOnNodesThatCannotGiveIt) {
  o.membind = "3";
  EXPECT_EQ(memory(), "error: --membind: node 3 has no memory");
  o.membind = "7";
  EXPECT_EQ(memory(), "error: --membind: node 7 does not exist");
  facts.allowed_mems = NodeSet{0};
  o.membind = "1";
  EXPECT_EQ(memory(), "error: --membind: node 1 is not allowed here");
  o.all = true;  // the kernel is asked
  EXPECT_EQ(memory(), fmt(MemoryMode::kBind, "1"));
}

TEST_F(Named, ReadsNoMoreThanItNeeds) {  // the start must cost no more than numactl's
  o.cpunodebind = "0";
  o.membind = "0";
  EXPECT_EQ(cpus(), "0-3");
  EXPECT_EQ(memory(), fmt(MemoryMode::kBind, "0"));
  EXPECT_EQ(facts.reads, 1);  // the node's CPU list
}

TEST_F(Named, OneCpuOfEachCore) {
  const auto one = one_cpu_per_core(CpuSet{0, 1, 2, 3, 6}, facts);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->to_list(), "0-1,6");
}

std::string contradiction(const RunOptions& o) {
  const auto r = check_contradictions(o);
  return r ? "" : r.error().message;
}

TEST(Contradictions, NameBoth) {
  RunOptions o;
  EXPECT_EQ(contradiction(o), "");
  o.cpunodebind = "0";
  o.cpu_mask = "1";
  EXPECT_EQ(contradiction(o), "--cpunodebind contradicts --cpu-mask: both set the CPUs");
  o = {};
  o.memory = "bind";
  o.localalloc = true;
  EXPECT_EQ(contradiction(o), "--memory contradicts --localalloc: both set the memory policy");
  o = {};
  o.profile = "inference";
  o.memory = "preferred";
  EXPECT_EQ(contradiction(o), "--profile inference contradicts --memory preferred");
  o.memory = "bind";
  EXPECT_EQ(contradiction(o), "");
  o.smt = "on";
  EXPECT_EQ(contradiction(o), "--profile inference contradicts --smt on");
}

TEST(Contradictions, ARecordedMachineRunsNothing) {
  RunOptions o;
  o.machine = "dual-a100";
  EXPECT_THAT(contradiction(o), HasSubstr("--machine needs --dry-run"));
  o.dry_run = true;
  EXPECT_EQ(contradiction(o), "");
}

TEST(Same, IsTheListBefore) {
  std::string a = "0-1", b = "same", c = "same";
  ASSERT_TRUE(resolve_same({&a, &b, &c}));
  EXPECT_EQ(c, "0-1");
  std::string first = "same";
  EXPECT_FALSE(resolve_same({&first}));
}

}  // namespace
}  // namespace numapin::cli
