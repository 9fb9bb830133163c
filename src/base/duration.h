// Spans of time in words people type and read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace numapin {

/// Seconds in "90", "90s", "10m", "1.5h"; nothing for another text, and for less than 0.
std::optional<double> parse_seconds(std::string_view text);
/// "0.42 s", "42 s", "3m10s", "2h05m"
std::string seconds_text(double seconds);

}  // namespace numapin
