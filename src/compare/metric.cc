#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/numbers.h"
#include "base/text.h"
#include "numapin/compare.h"

namespace numapin {
namespace {

constexpr std::string_view kJsonPrefix = "json:";
constexpr const char* kHint = "as in --metric 'higher:speed: ([0-9.]+)', json:KEY or wall";

std::optional<double> number_in(const std::string& text) {
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    if (trim(std::string_view(text).substr(used)).empty() && std::isfinite(value)) return value;
  } catch (const std::exception&) {  // stod's only way to say that this is no number
  }
  return std::nullopt;
}

std::optional<double> number_at(std::string_view line, const std::vector<std::string>& keys) {
  if (!trim(line).starts_with('{')) return std::nullopt;
  const auto document = nlohmann::json::parse(line, nullptr, false);
  const auto* at = &document;
  for (const auto& key : keys) {
    if (!at->is_object() || !at->contains(key)) return std::nullopt;
    at = &(*at)[key];
  }
  if (!at->is_number()) return std::nullopt;
  return at->get<double>();
}

}  // namespace

Result<MetricSpec> parse_metric(std::string_view text, bool higher_is_better) {
  MetricSpec spec;
  if (text == "wall") return spec;
  spec.higher_is_better = higher_is_better;
  for (const std::string_view word : {"higher:", "lower:"}) {
    if (!text.starts_with(word)) continue;
    spec.higher_is_better = word == "higher:";
    text.remove_prefix(word.size());
    break;
  }
  if (text.starts_with(kJsonPrefix)) {
    spec.kind = MetricSpec::Kind::kJson;
    spec.text = text.substr(kJsonPrefix.size());
    if (spec.text.empty()) return bad_input("parse --metric 'json:': no key", kHint);
    return spec;
  }
  spec.kind = MetricSpec::Kind::kRegex;
  spec.text = text;
  try {
    if (std::regex(spec.text).mark_count() == 0)
      return bad_input(fmt::format("parse --metric '{}': no group in parentheses says which part is the number", text), kHint);
  } catch (const std::regex_error& error) {
    return bad_input(fmt::format("parse --metric '{}': {}", text, error.what()), kHint);
  }
  return spec;
}

std::string to_string(const MetricSpec& metric) {
  if (metric.kind == MetricSpec::Kind::kWall) return "wall time (s)";
  return metric.kind == MetricSpec::Kind::kJson ? std::string(kJsonPrefix) + metric.text : metric.text;
}

struct MetricReader::Pattern {
  MetricSpec::Kind kind;
  std::regex regex;
  std::vector<std::string> keys;
};

MetricReader::MetricReader(const std::vector<MetricSpec>& specs) : values_(specs.size()) {
  for (const auto& spec : specs) {
    Pattern p{spec.kind, {}, {}};
    if (spec.kind == MetricSpec::Kind::kRegex) p.regex = std::regex(spec.text, std::regex::ECMAScript | std::regex::optimize);
    if (spec.kind == MetricSpec::Kind::kJson)
      for (const auto key : split(spec.text, '.')) p.keys.emplace_back(key);
    patterns_.push_back(std::move(p));
  }
}
MetricReader::~MetricReader() = default;
MetricReader::MetricReader(MetricReader&&) noexcept = default;

void MetricReader::line(std::string_view text) {
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    const auto& pattern = patterns_[i];
    if (pattern.kind == MetricSpec::Kind::kJson) {
      if (const auto value = number_at(text, pattern.keys)) values_[i].push_back(*value);
    } else if (pattern.kind == MetricSpec::Kind::kRegex) {
      const std::string line(text.substr(0, 4096));  // std::regex recurses once a character
      for (std::sregex_iterator match(line.begin(), line.end(), pattern.regex), end; match != end; ++match)
        if (const auto value = number_in((*match)[1].str())) values_[i].push_back(*value);
    }
  }
}

}  // namespace numapin
