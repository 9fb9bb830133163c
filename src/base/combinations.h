// Subsets of a size, in lexicographic order.
#pragma once

#include <cstddef>
#include <numeric>
#include <vector>

namespace numapin {

/// {0, 1, ..., count - 1}: the first.
inline std::vector<std::size_t> first_combination(std::size_t count) {
  std::vector<std::size_t> s(count);
  std::iota(s.begin(), s.end(), 0);
  return s;
}

/// The next subset of {0, ..., of - 1}: raises the last position that can be raised. False after the last one.
inline bool next_combination(std::vector<std::size_t>& s, std::size_t of) {
  auto i = s.size();
  while (i > 0 && s[i - 1] == of - s.size() + i - 1) --i;
  if (i == 0) return false;
  std::iota(s.begin() + static_cast<std::ptrdiff_t>(i) - 1, s.end(), s[i - 1] + 1);
  return true;
}

}  // namespace numapin
