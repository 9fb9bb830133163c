// Unknown is null in every JSON document; included by *json.cc only.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace numapin {

template <class T>
nlohmann::ordered_json or_null(const std::optional<T>& v) {
  return v ? nlohmann::ordered_json(*v) : nlohmann::ordered_json(nullptr);
}
/// Texts of which "" means unknown.
inline nlohmann::ordered_json text_or_null(std::string_view text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
}

}  // namespace numapin
