// The words of a comparison, the same on a terminal and on a page.
#pragma once

#include <string>
#include <vector>

#include "numapin/compare.h"

namespace numapin {

/// Four digits that count: "0.04213", "12.34", "1234"
std::string metric_figure(double value);

struct CompareWords {
  std::string median, p99, relative, interval, verdict;
};
/// `first`: the configuration that the others are compared with.
CompareWords compare_words(const ConfigResult& r, bool first);

/// What each configuration that failed printed last.
std::vector<std::string> failure_lines(const Comparison& c);

}  // namespace numapin
