// The words of a comparison, the same on a terminal and on a page.
#pragma once

#include <string>
#include <vector>

#include "numapin/compare.h"
#include "render/layout.h"

namespace numapin {

/// Four digits that count: "0.04213", "12.34", "1234"
std::string metric_figure(double value);

struct CompareWords {
  std::string median, p99, relative, interval, verdict;
};
/// `first`: the configuration that the others are compared with.
CompareWords compare_words(const ConfigResult& r, bool first);

/// Whether the first configuration drifted, and by how much; for results that say so.
std::string drift_sentence(const Comparison& c, const MetricResult& result);

/// A row a configuration, medians over its runs: name, wall time, CPU time, largest resident size, context switches,
/// migrations between CPUs, pages from other nodes than wanted, memory by node. "-" where nothing was seen.
std::vector<std::vector<Cell>> why_cells(const Comparison& c);

/// What each configuration that failed printed last.
std::vector<std::string> failure_lines(const Comparison& c);

}  // namespace numapin
