// One line of the kernel's "NAME VALUE" files: a node's numastat.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {

/// The value of `name`: "numa_hit 123". Nothing where there is no such line, or it holds anything else.
inline std::optional<std::uint64_t> counter(std::string_view text, std::string_view name) {
  for (const auto line : split_lines(text)) {
    const auto words = split_words(line);
    if (words.size() == 2 && words[0] == name) return parse_number<std::uint64_t>(words[1]);
  }
  return std::nullopt;
}

}  // namespace numapin
