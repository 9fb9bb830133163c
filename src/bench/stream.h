// Loops that move memory as fast as one thread can: read, write, copy, triad, for each instruction set.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "numapin/measured.h"

namespace numapin {

/// All pointers are aligned to 64 bytes and `bytes` (of each array) is a multiple of kStreamStep.
constexpr std::size_t kStreamStep = 1024;
using StreamLoop = void (*)(char* a, const char* b, const char* c, std::size_t bytes);

struct StreamKernel {
  const char* instructions;  ///< "avx2"
  bool non_temporal;         ///< stores go around the caches
  StreamLoop read, write, copy, triad;  ///< sum of a; a = x; a = b; a = b + x * c (doubles)
  StreamLoop loop(Metric metric) const;
  /// "avx2, non-temporal stores"; of kRead without the stores
  std::string name(Metric metric) const;
};

/// Those that this processor runs, narrowest first. Never empty.
std::span<const StreamKernel> stream_kernels();
/// Arrays that the loop walks through at once: 1, 1, 2, 3.
int arrays_of(Metric metric);

}  // namespace numapin
