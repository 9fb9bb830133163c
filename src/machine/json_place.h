// Reading a JSON document into values; internal to this folder, and included by few: nlohmann/json.hpp is heavy.
#pragma once

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "numapin/result.h"

namespace numapin {

/// What is being read ("machine") and the first thing that is wrong in it.
struct JsonReading {
  std::string_view what;
  std::optional<Error> error;
};

/// A place in the document. The first thing that is wrong anywhere is kept in `reading`; after that reading goes on with
/// unknown values, so that the code below needs no error paths.
class Place {
 public:
  Place(const nlohmann::json* at, std::string path, JsonReading& reading)
      : at_(at), path_(std::move(path)), reading_(&reading) {}

  Place operator[](std::string_view key) const {
    if (is_unknown()) return {nullptr, path_ + "/" + std::string(key), *reading_};
    if (!at_->is_object()) {
      complain("not an object");
      return {nullptr, path_, *reading_};
    }
    const auto found = at_->find(key);
    return {found == at_->end() ? nullptr : &*found, path_ + "/" + std::string(key), *reading_};
  }

  bool is_unknown() const { return !at_ || at_->is_null(); }
  void complain(std::string_view what) const {
    if (reading_->error) return;
    const auto where = path_.empty() ? "document" : path_;
    reading_->error = Error{Error::Kind::kBadInput, fmt::format("read {} JSON: {}: {}", reading_->what, where, what), ""};
  }
  void demand() const {
    if (is_unknown()) complain("is missing");
  }

  std::optional<std::string> text() const {
    if (is_unknown()) return std::nullopt;
    if (at_->is_string()) return at_->get<std::string>();
    complain("not a text");
    return std::nullopt;
  }
  std::optional<bool> boolean() const {
    if (is_unknown()) return std::nullopt;
    if (at_->is_boolean()) return at_->get<bool>();
    complain("neither true nor false");
    return std::nullopt;
  }
  std::optional<std::uint64_t> size() const {
    if (is_unknown()) return std::nullopt;
    if (at_->is_number_unsigned()) return at_->get<std::uint64_t>();
    complain("not a whole number from 0 to 18446744073709551615");
    return std::nullopt;
  }
  std::optional<int> integer(int least = 0, int most = std::numeric_limits<int>::max()) const {
    if (is_unknown()) return std::nullopt;
    // Compared before any conversion: 4294967296 must not become 0.
    if (at_->is_number_unsigned() && at_->get<std::uint64_t>() <= static_cast<std::uint64_t>(most) &&
        static_cast<int>(at_->get<std::uint64_t>()) >= least)
      return at_->get<int>();
    if (at_->is_number_integer() && !at_->is_number_unsigned() && at_->get<std::int64_t>() >= least) return at_->get<int>();
    complain(fmt::format("not a whole number from {} to {}", least, most));
    return std::nullopt;
  }
  std::optional<double> positive() const {
    if (is_unknown()) return std::nullopt;
    if (at_->is_number() && at_->get<double>() > 0) return at_->get<double>();
    complain("not a number above 0");
    return std::nullopt;
  }
  std::optional<double> number() const {
    if (is_unknown()) return std::nullopt;
    if (at_->is_number()) return at_->get<double>();
    complain("not a number");
    return std::nullopt;
  }

  /// Calls read(Place) for each element; an absent array has none.
  template <class Read>
  void each(Read read) const {
    if (is_unknown()) return;
    if (!at_->is_array()) return complain("not an array");
    for (std::size_t i = 0; i < at_->size(); ++i) read(Place(&(*at_)[i], fmt::format("{}/{}", path_, i), *reading_));
  }
  /// Calls read(key, Place) for each member of an object.
  template <class Read>
  void each_member(Read read) const {
    if (is_unknown()) return;
    if (!at_->is_object()) return complain("not an object");
    for (const auto& [key, value] : at_->items()) read(key, Place(&value, path_ + "/" + key, *reading_));
  }

 private:
  const nlohmann::json* at_;
  std::string path_;
  JsonReading* reading_;
};

/// One of the enumerators from 0 to `last`, by its name.
template <class Enum>
std::optional<Enum> enumerator(const Place& p, Enum last) {
  const auto name = p.text();
  if (!name) return std::nullopt;
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (to_string(static_cast<Enum>(i)) == *name) return static_cast<Enum>(i);
  p.complain(fmt::format("\"{}\" is none of the known words", *name));
  return std::nullopt;
}

/// The document's "schema" must be this one.
inline void check_schema(const Place& p, std::string_view wanted) {
  const auto schema = p.text();
  if (schema && *schema != wanted)
    p.complain(fmt::format("\"{}\" is not a schema this version reads ({})", *schema, wanted));
  p.demand();
}

inline Result<nlohmann::json> parse_json(std::string_view text, std::string_view what) {
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& e) {
    std::string_view said = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    if (const auto end = said.find("] "); end != said.npos) said.remove_prefix(end + 2);
    return bad_input(fmt::format("read {} JSON: {}", what, said));
  }
}

}  // namespace numapin
