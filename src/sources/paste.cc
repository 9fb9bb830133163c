#include "sources/paste.h"

#include <fmt/format.h>

#include <algorithm>

namespace numapin {
namespace {

/// Length of a terminal code at the start of `s` after its introducer: parameters and one final letter; 0 if none.
std::size_t code_length(std::string_view s) {
  const auto end = s.find_first_not_of("0123456789;?");
  return end != s.npos && ((s[end] >= 'A' && s[end] <= 'Z') || (s[end] >= 'a' && s[end] <= 'z')) ? end + 1 : 0;
}

}  // namespace

std::string clean_paste(std::string_view text) {
  constexpr std::string_view kIntroducers[] = {"\x1b[", "^[[", "\\x1b[", "\\033[", "\\e[", "\xe2\x90\x9b["};
  constexpr std::string_view kNoBreakSpace = "\xc2\xa0", kByteOrderMark = "\xef\xbb\xbf";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto plain = std::min(text.find_first_of("\x1b^\\[\xc2\xe2\xef"), text.size());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    std::size_t skip = 0;
    for (auto intro : kIntroducers)
      if (text.starts_with(intro))
        if (const auto n = code_length(text.substr(intro.size())); n > 0) skip = intro.size() + n;
    if (skip == 0 && text.starts_with(kByteOrderMark)) skip = kByteOrderMark.size();
    // The escape character itself is often lost on the way through a web form: "[4mGPU0", "[0m".
    if (skip == 0 && text.starts_with('[')) {
      const auto n = code_length(text.substr(1));
      if (n >= 2 && text[n] == 'm') skip = 1 + n;
    }
    if (skip == 0 && text.starts_with(kNoBreakSpace)) {
      out += ' ';
      skip = kNoBreakSpace.size();
    } else if (skip == 0) {
      out += text.front();
      skip = 1;
    }
    text.remove_prefix(skip);
  }
  return out;
}

std::string_view unquote(std::string_view line) {
  const auto at = line.find_first_not_of(" \t>#|*/");
  return at == line.npos ? std::string_view{} : line.substr(at);
}

bool ends_in_a_line(std::string_view text) { return !text.empty() && !text.ends_with('\n'); }

Unexpected bad_text(std::string_view what, int line, int column, std::string_view reason, std::string hint) {
  return bad_input(fmt::format("parse {}: line {}, column {}: {}", what, line, column, reason), std::move(hint));
}

}  // namespace numapin
