// Help for text that people paste: terminal codes, quote marks, line ends, and where in it something is wrong.
#pragma once

#include <string>
#include <string_view>

#include "numapin/result.h"

namespace numapin {

/// Texts larger than this are refused: the largest real one we know, a 24-node hwloc XML, has 2 MB.
constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;

/// Without terminal codes, whether real ("\x1b[4m"), shown as a caret ("^[[4m"), or stripped of their escape
/// character at the start of a word ("[4mGPU0"); no-break spaces become spaces.
std::string clean_paste(std::string_view text);

/// Without blanks and quote or comment marks ("> ", "# ", "// ", "| ") at the start.
std::string_view unquote(std::string_view line);

/// Whether the text's last line lacks its line end, so that its last field may be cut.
bool ends_in_a_line(std::string_view text);

/// "parse WHAT: line L, column C: REASON"
Unexpected bad_text(std::string_view what, int line, int column, std::string_view reason, std::string hint);

}  // namespace numapin
