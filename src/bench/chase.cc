#include "bench/chase.h"

#include <numeric>
#include <utility>
#include <vector>

#include "bench/team.h"

namespace numapin {
namespace {

/// splitmix64: fast, and the order only has to be one that no prefetcher guesses.
struct Random {
  std::uint64_t state;
  std::uint64_t below(std::uint64_t limit) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return (z >> 32) * limit >> 32;  // limit < 2^32
  }
};

}  // namespace

void* make_chase(char* data, std::uint64_t bytes, std::uint64_t seed) {
  const auto lines = static_cast<std::uint32_t>(bytes / kLine);
  std::vector<std::uint32_t> next(lines);
  std::iota(next.begin(), next.end(), 0U);
  Random random{seed};
  // Sattolo: one cycle through all. Fisher and Yates would leave short ones that fit into the caches.
  for (std::uint32_t i = lines; i-- > 1;) std::swap(next[i], next[random.below(i)]);
  for (std::uint32_t i = 0; i < lines; ++i)
    *reinterpret_cast<void**>(data + std::size_t{i} * kLine) = data + std::size_t{next[i]} * kLine;
  return data;
}

void* chase(void* from, std::uint64_t loads, double& ns_a_load) {
  const std::uint64_t turns = (loads + 63) / 64;
  void* p = from;
  const double start = now_seconds();
  for (std::uint64_t t = 0; t < turns; ++t) {
#define NUMAPIN_LOAD p = *static_cast<void* volatile*>(p);
#define NUMAPIN_LOAD8 NUMAPIN_LOAD NUMAPIN_LOAD NUMAPIN_LOAD NUMAPIN_LOAD NUMAPIN_LOAD NUMAPIN_LOAD NUMAPIN_LOAD NUMAPIN_LOAD
    NUMAPIN_LOAD8 NUMAPIN_LOAD8 NUMAPIN_LOAD8 NUMAPIN_LOAD8 NUMAPIN_LOAD8 NUMAPIN_LOAD8 NUMAPIN_LOAD8 NUMAPIN_LOAD8
#undef NUMAPIN_LOAD8
#undef NUMAPIN_LOAD
  }
  ns_a_load = (now_seconds() - start) * 1e9 / static_cast<double>(turns * 64);
  return p;
}

}  // namespace numapin
