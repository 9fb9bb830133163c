// The machines that drawings and reports are tested with.
#pragma once

#include <string>
#include <vector>

#include "numapin/compare.h"
#include "numapin/machine.h"

namespace numapin::test {

struct NamedSystem {
  std::string name;
  System system;
};

/// One node without GPU, 2/8, 4/16, GH200, 8 nodes with 256 CPUs, 64 nodes, unknown localities, no nodes at all, and
/// names with markup in them.
std::vector<NamedSystem> shapes();
/// Everything under tests/machines.
std::vector<NamedSystem> recordings();
/// XML and texts of the corpus, damaged ones too; none without a corpus. (Unpacking its archives would take longer.)
std::vector<NamedSystem> corpus_systems();

/// The page with the plan of one process per GPU, two processes and a few measured figures.
std::string page_of(const System& system);
/// Of configurations with many values, a drift, a failure and an unkind command.
Comparison comparison();

}  // namespace numapin::test
