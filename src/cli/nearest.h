// "did you mean": the known word nearest to one that was mistyped.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace numapin::cli {

/// Fewest single-letter insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
int edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known` if it is near enough to be what was meant (a third of the letters wrong at most, or `word`
/// is the beginning of just one); "" otherwise.
std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace numapin::cli
