// A text as JSON writes it, which is YAML too.
#pragma once

#include <string>
#include <string_view>

namespace numapin {

/// In double quotes, with the escapes that JSON asks for.
std::string json_string(std::string_view text);

}  // namespace numapin
