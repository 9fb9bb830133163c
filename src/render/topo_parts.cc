#include "render/topo_parts.h"

#include <fmt/format.h>

#include "base/text.h"
#include "render/layout.h"

namespace numapin::drawing {

constexpr std::string_view kPlain = "\033[0m";

std::string painted(std::string_view color, std::string text, const TextStyle& style) {
  return style.color ? std::string(color) + text + std::string(kPlain) : text;
}

std::string plural(std::size_t n, std::string_view noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

std::string number_list(const std::vector<int>& numbers) {
  CpuSet set;
  for (const int n : numbers) set.insert(CpuId{n});
  return set.to_list();
}

std::vector<std::string> words_of(std::string_view sentence) {
  std::vector<std::string> words;
  for (const auto word : split_words(sentence)) words.emplace_back(word);
  return words;
}

std::string paragraph(std::string_view first, std::string_view rest, std::string_view sentence, const TextStyle& style) {
  return flow(first, rest, words_of(sentence), " ", static_cast<std::size_t>(style.width));
}

}  // namespace numapin::drawing
