// Small helpers for line-oriented text. Views point into the caller's text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace numapin {

/// Lines without their "\n" or "\r\n"; no empty line after a final newline.
std::vector<std::string_view> split_lines(std::string_view text);
/// Fields between single characters; "a,,b" has an empty one.
std::vector<std::string_view> split(std::string_view text, char separator);
/// Words between runs of blanks and tabs.
std::vector<std::string_view> split_words(std::string_view text);
std::string to_lower(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace numapin
