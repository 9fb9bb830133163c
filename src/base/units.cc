#include "base/units.h"

#include <fmt/format.h>

namespace numapin {

std::string size_text(std::uint64_t bytes) {
  constexpr double kMiB = 1 << 20, kGiB = kMiB * 1024, kTiB = kGiB * 1024;
  const auto b = static_cast<double>(bytes);
  if (bytes == 0) return "0";
  if (b < kMiB) return fmt::format("{} KiB", bytes >> 10);
  if (b < kGiB) return fmt::format("{:.0f} MiB", b / kMiB);
  if (b < 10 * kGiB) return fmt::format("{:.1f} GiB", b / kGiB);
  if (b < 2 * kTiB) return fmt::format("{:.0f} GiB", b / kGiB);
  return fmt::format("{:.1f} TiB", b / kTiB);
}

}  // namespace numapin
