#include "cli/session.h"

#include <string_view>

#include "cli/command.h"

namespace numapin::cli {
namespace {

constexpr std::string_view kRed = "\033[1;31m", kYellow = "\033[1;33m", kPlain = "\033[0m";

/// One write for a whole message: lines of several processes on one terminal must not mix.
void put(const Session& s, std::string_view color, std::string_view line, std::string_view hint = {}) {
  std::string text;
  if (s.color_err && !color.empty()) text += color;
  text += "numapin:";
  if (s.color_err && !color.empty()) text += kPlain;
  text += ' ';
  text += line;
  text += '\n';
  if (!hint.empty()) {
    text += "  hint: ";
    text += hint;
    text += '\n';
  }
  s.err << text << std::flush;
}

}  // namespace

int exit_status(const Error& error) {
  switch (error.kind) {
    case Error::Kind::kBadInput: return kUsage;
    case Error::Kind::kUnsupported: return kUnsupported;
    default: return kFailed;
  }
}

int Session::report(const Error& error) const {
  put(*this, kRed, error.message, error.hint);
  return exit_status(error);
}

void Session::say(std::string_view line) const { put(*this, {}, line); }
void Session::warn(std::string_view line) const { put(*this, kYellow, line); }

}  // namespace numapin::cli
