#include "cli/session.h"

#include <string_view>

#include "cli/command.h"

namespace numapin::cli {
namespace {

constexpr std::string_view kRed = "\033[1;31m", kYellow = "\033[1;33m", kPlain = "\033[0m";

std::string message(const Session& s, std::string_view color, std::string_view line, std::string_view hint = {}) {
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
  return text;
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
  err << message(*this, kRed, error.message, error.hint) << std::flush;  // one write: lines of several processes must not mix
  return exit_status(error);
}

void Session::say(std::string_view line) const { err << message(*this, {}, line) << std::flush; }
void Session::warn(std::string_view line) const { err << warning(line) << std::flush; }
std::string Session::warning(std::string_view line) const { return message(*this, kYellow, line); }

}  // namespace numapin::cli
