// Numbers from text: the whole field or nothing.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace numapin {

/// Without leading and trailing white space (also the final newline of a sysfs file).
constexpr std::string_view trim(std::string_view s) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const auto first = s.find_first_not_of(kBlank);
  if (first == s.npos) return {};
  return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

/// The whole of `text` as a number in `base`; nothing when any character is left over or the value does not fit.
template <class Int>
std::optional<Int> parse_number(std::string_view text, int base = 10) {
  Int value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (ec != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

/// As parse_number, in hexadecimal with or without "0x".
template <class Int>
std::optional<Int> parse_hex(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  return parse_number<Int>(text, 16);
}

}  // namespace numapin
