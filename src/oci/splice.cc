#include "oci/splice.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_text.h"

namespace numapin::oci {
namespace {

/// From `first` up to, not including, `last`.
struct Span {
  std::size_t first = 0, last = 0;
};

constexpr std::string_view kBlank = " \t\r\n";

std::size_t skip_blank(std::string_view text, std::size_t at) { return std::min(text.find_first_not_of(kBlank, at), text.size()); }

/// Behind the string that begins at `at`.
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return std::min(at + 1, text.size());
}

/// Behind the value that begins at `at`. Counts brackets instead of calling itself: depth is the text's choice.
std::size_t skip_value(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
    } else if (c == '{' || c == '[') {
      ++depth, ++at;
    } else if (c == '}' || c == ']') {
      --depth, ++at;
    } else if (depth > 0) {
      at = std::min(text.find_first_of("\"{}[]", at), text.size());
      continue;
    } else {
      return std::min(text.find_first_of(" \t\r\n,]}", at), text.size());
    }
    if (depth == 0) return at;
  }
  return at;
}

/// The member's value in the object that begins at `at`; empty where it has none. `doubtful` is set where it has two, or
/// where a name is written with escapes and so may be this one.
Span find_member(std::string_view text, std::size_t at, std::string_view name, bool& doubtful) {
  Span found;
  at = skip_blank(text, at + 1);
  while (at < text.size() && text[at] == '"') {
    const auto key_end = skip_string(text, at);
    const auto key = text.substr(at + 1, key_end - at - 2);
    const auto value = skip_blank(text, skip_blank(text, key_end) + 1);  // ":" between
    const auto value_end = skip_value(text, value);
    doubtful = doubtful || key.find('\\') != key.npos;
    if (key == name) {
      doubtful = doubtful || found.last != 0;
      found = {value, value_end};
    }
    at = skip_blank(text, value_end);
    if (at < text.size() && text[at] == ',') at = skip_blank(text, at + 1);
  }
  return found;
}

/// `path` from `from` on as nested objects around `json`.
std::string nested(const std::vector<std::string>& path, std::size_t from, std::string_view json) {
  std::string out;
  for (auto i = from; i < path.size(); ++i) out += (i > from ? "{" : "") + json_string(path[i]) + ":";
  out += json;
  return out + std::string(path.size() - from - 1, '}');
}

std::string replaced(std::string_view text, Span span, std::string_view with) {
  return fmt::format("{}{}{}", text.substr(0, span.first), with, text.substr(span.last));
}

}  // namespace

std::optional<std::string> with_member(std::string_view text, const std::vector<std::string>& path, std::string_view json) {
  auto object = skip_blank(text, 0);
  for (std::size_t i = 0; i < path.size(); ++i) {
    bool doubtful = false;
    const auto value = find_member(text, object, path[i], doubtful);
    if (doubtful) return std::nullopt;
    if (value.last == 0) {
      const bool empty = text[skip_blank(text, object + 1)] == '}';
      return replaced(text, {object + 1, object + 1}, nested(path, i, json) + (empty ? "" : ","));
    }
    if (i + 1 == path.size()) return replaced(text, value, json);
    if (text.substr(value.first, value.last - value.first) == "null")
      return replaced(text, value, "{" + nested(path, i + 1, json) + "}");
    if (text[value.first] != '{') return std::nullopt;
    object = value.first;
  }
  return std::nullopt;
}

}  // namespace numapin::oci
