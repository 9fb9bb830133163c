#include "console_blocks.h"

#include "base/numbers.h"
#include "base/text.h"

namespace numapin::test {
namespace {

using Lines = std::vector<std::string_view>;

bool match_from(const Lines& shown, std::size_t s, const Lines& output, std::size_t o) {
  for (; s < shown.size(); ++s, ++o) {
    if (trim(shown[s]) == "...") {
      for (auto skip = o; skip <= output.size(); ++skip) {
        if (match_from(shown, s + 1, output, skip)) return true;
      }
      return false;
    }
    if (o >= output.size() || shown[s] != output[o]) return false;
  }
  return o == output.size();
}

}  // namespace

std::vector<ConsoleCommand> console_commands(std::string_view page) {
  std::vector<ConsoleCommand> commands;
  bool inside = false, going_on = false;
  int number = 0;
  for (const auto line : split_lines(page)) {
    ++number;
    if (!inside) {
      inside = line.starts_with("```console");
      going_on = false;
    } else if (line.starts_with("```")) {
      inside = false;
    } else if (going_on || line.starts_with("$ ")) {
      if (!going_on) commands.push_back({number, "", ""});
      auto typed = going_on ? line : line.substr(2);
      going_on = typed.ends_with('\\');
      if (going_on) typed.remove_suffix(1);
      commands.back().typed += typed;
    } else if (!commands.empty()) {
      commands.back().expected += std::string(line) + '\n';
    }
  }
  return commands;
}

bool matches(std::string_view shown, std::string_view output) {
  return match_from(split_lines(shown), 0, split_lines(output), 0);
}

}  // namespace numapin::test
