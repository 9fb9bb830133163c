// Text that is safe inside XML and HTML.
#pragma once

#include <string>
#include <string_view>

namespace numapin {

/// Escaped for text and for attributes in double quotes. Characters that XML forbids become '?', bytes that are no
/// UTF-8 become U+FFFD: names of processes and devices may hold anything.
std::string xml_text(std::string_view text);

}  // namespace numapin
