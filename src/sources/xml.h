// What the XML sources share. pugixml stays in .cc files that include this.
#pragma once

#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "base/numbers.h"
#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

/// Elements inside elements; a real topology has about 20.
constexpr int kMaxXmlDepth = 256;

/// Parses the text. Document type and entities of one's own are not expanded. Error: line, column and reason.
Result<void> load_xml(pugi::xml_document& document, std::string_view text, std::string_view what);

/// The text with its last, unfinished tag dropped and every open element closed; empty when no tag is whole.
std::string close_open_elements(std::string_view text);

inline std::string_view attribute(pugi::xml_node node, const char* name) { return node.attribute(name).value(); }

/// The attribute as a number of 0 or more; nothing when it is absent, malformed or negative.
template <class Int>
std::optional<Int> number_attribute(pugi::xml_node node, const char* name) {
  const auto value = parse_number<Int>(attribute(node, name));
  return value && *value >= 0 ? value : std::nullopt;
}

}  // namespace numapin
