// `topo --hardware` beside the real numactl --hardware, line for line.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <regex>

#include "run_numapin.h"
#include "support/source_dir.h"

namespace numapin::test {
namespace {

/// Free memory changes between two runs.
std::string without_free_memory(const std::string& text) {
  return std::regex_replace(text, std::regex("free: [0-9]+ MB"), "free: N MB");
}

TEST(HardwareText, IsNumactlsOnThisMachine) {
  const auto theirs = run_shell("numactl --hardware");
  if (theirs.status != 0) GTEST_SKIP() << "numactl does not work here: " << theirs.err << theirs.out;
  const auto ours = run_shell("numapin topo --hardware");
  EXPECT_EQ(ours.status, 0) << ours.err;
  EXPECT_EQ(without_free_memory(ours.out), without_free_memory(theirs.out));
}

/// Recorded /sys trees, shown to numactl by a bind mount in a mount namespace of its own.
TEST(HardwareText, IsNumactlsOnRecordedMachines) {
  const auto corpus = corpus_dir();
  if (!corpus) GTEST_SKIP() << "no corpus beside the source tree";
  if (run_shell("unshare -m numactl --hardware").status != 0) GTEST_SKIP() << "needs root, unshare and numactl";
  // Old trees without cpumap or with a partial meminfo make libnuma warn and guess; these are whole.
  for (const char* name : {"hwloc-magnycours-sparse-nodes", "hwloc-qemu-memory-tiers", "nri-2s-snc2-pmem", "utillinux-vmware_fpe"}) {
    const auto archive = "set -- " + (*corpus / "sysfs" / name).string() + ".tar.*; ";
    const auto ours = run_shell(archive + "numapin topo --hardware --machine $1");
    const auto theirs = run_shell(archive +
                                  "d=$(mktemp -d); tar xf $1 -C $d --wildcards '*/sys/devices/system/node' 2>/dev/null; "
                                  "s=$(dirname $(find $d -type d -path '*/sys/devices')); "
                                  "unshare -m sh -c \"mount --bind $s /sys; numactl --hardware\"; rm -rf $d");
    EXPECT_EQ(ours.status, 0) << name << ours.err;
    EXPECT_EQ(ours.out, theirs.out) << name << theirs.err;
  }
}

}  // namespace
}  // namespace numapin::test
