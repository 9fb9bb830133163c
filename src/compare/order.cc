#include <algorithm>
#include <numeric>
#include <random>

#include "numapin/compare.h"

namespace numapin {
namespace {

// Williams, "Experimental designs balanced for the estimation of residual effects of treatments" (1949): the row
// 0, 1, n-1, 2, n-2, ... and its shifts; for odd n the mirrored rows too.
std::vector<std::vector<int>> williams_rows(int n) {
  std::vector<int> first;
  for (int i = 0, low = 0, high = n; i < n; ++i) first.push_back(i % 2 == 1 ? ++low : (i == 0 ? 0 : --high));
  std::vector<std::vector<int>> rows;
  for (int shift = 0; shift < n; ++shift) {
    std::vector<int> row(first);
    for (int& x : row) x = (x + shift) % n;
    rows.push_back(row);
  }
  if (n % 2 == 1) {
    for (int shift = 0; shift < n; ++shift) {
      auto row = rows[static_cast<std::size_t>(shift)];
      std::reverse(row.begin(), row.end());
      rows.push_back(row);
    }
  }
  return rows;
}

/// std::shuffle differs between libraries; a seed must give one order everywhere.
template <class T>
void shuffle(std::vector<T>& v, std::mt19937& random) {
  for (std::size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[random() % i]);
}

}  // namespace

std::vector<std::vector<int>> balanced_order(int configs, int rounds, unsigned seed) {
  if (configs <= 0) return {};
  std::mt19937 random(seed);
  // Which configuration plays which letter of the square is drawn too.
  std::vector<int> names(static_cast<std::size_t>(configs));
  std::iota(names.begin(), names.end(), 0);
  shuffle(names, random);
  std::vector<std::vector<int>> out;
  auto rows = williams_rows(configs);
  for (std::size_t next = rows.size(); static_cast<int>(out.size()) < rounds; ++next) {
    if (next >= rows.size()) {
      shuffle(rows, random);
      next = 0;
    }
    auto row = rows[next];
    for (int& x : row) x = names[static_cast<std::size_t>(x)];
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace numapin
