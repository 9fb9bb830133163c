#include "sources/sniff.h"

#include <gtest/gtest.h>

namespace numapin {
namespace {

/// The name of the first format that the text looks like, "" for none.
std::string_view first_format(std::string_view text) {
  for (const auto& format : text_formats())
    if (format.looks_like(text)) return format.name;
  return {};
}

TEST(Sniff, TellsTextsApart) {
  EXPECT_EQ(first_format("<?xml version=\"1.0\"?>\n<!DOCTYPE topology>\n<topology version=\"3.0\">"), "hwloc XML");
  EXPECT_EQ(first_format("<!-- a <topology> --><system version=\"1\">"), "NCCL topology XML");
  EXPECT_EQ(first_format("\tGPU0\tCPU Affinity\nGPU0\t X \t0-3\n"), "nvidia-smi topo -m text");
  EXPECT_EQ(first_format("> GPU0  X  NV4\n"), "nvidia-smi topo -m text");
  EXPECT_EQ(first_format("GPU[0] : (Topology) Numa Node: 0\n"), "rocm-smi --showtopo text");
  EXPECT_EQ(first_format("available: 1 nodes (0)\nnode 0 cpus: 0\n"), "numactl --hardware text");
  EXPECT_EQ(first_format("Architecture: x86_64\nNUMA node0 CPU(s): 0-3\n"), "lscpu text");
  EXPECT_EQ(first_format("CPU NODE SOCKET CORE ONLINE\n"), "lscpu text");
  EXPECT_EQ(first_format("-[0000:00]-+-00.0  Intel\n"), "lspci -tv text");
}

TEST(Sniff, KnowsNothingElse) {
  EXPECT_EQ(first_format(""), "");
  EXPECT_EQ(first_format("hello GPU0\n"), "");
  EXPECT_EQ(first_format("<html><topology>"), "");
}

}  // namespace
}  // namespace numapin
