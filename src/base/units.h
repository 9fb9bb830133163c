// Sizes in words people read.
#pragma once

#include <cstdint>
#include <string>

namespace numapin {

/// "36 MiB", "4.7 GiB", "126 GiB", "2.3 TiB"
std::string size_text(std::uint64_t bytes);

}  // namespace numapin
