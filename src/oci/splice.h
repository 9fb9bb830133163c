// Changes one member of a JSON text and leaves every other byte as it is: numbers of any size, order and spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace numapin::oci {

/// `text` with the member at `path` having the value `json`; objects on the way are made where they are missing or
/// null. `text` must be a valid JSON object. Nothing where the way leads through something else than objects, where a name
/// on it stands twice in its object (runtimes differ in which one they take), or beside names with escapes.
std::optional<std::string> with_member(std::string_view text, const std::vector<std::string>& path, std::string_view json);

}  // namespace numapin::oci
