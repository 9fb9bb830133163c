// numapin: the door. Builds the Session of the real world and hands over to run_program.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/fd_stream.h"
#include "cli/oci_runtime.h"
#include "cli/session.h"
#include "gpu/nvml.h"

namespace {

using namespace numapin;
using namespace numapin::cli;

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (const auto equals = text.find('='); equals != text.npos) env.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return env;
}

std::string get(const std::map<std::string, std::string>& env, const char* name) {
  const auto found = env.find(name);
  return found == env.end() ? std::string() : found->second;
}

/// From the variables that setlocale(3) reads, in its order; loading the locale itself would cost more than all else.
bool is_utf8(const std::map<std::string, std::string>& env) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const auto value = to_lower(get(env, name));
    if (!value.empty()) return value.find("utf-8") != value.npos || value.find("utf8") != value.npos;
  }
  return false;
}

int columns(const std::map<std::string, std::string>& env) {
  constexpr int kFewest = 20;
  if (const auto named = parse_number<int>(get(env, "COLUMNS")); named && *named >= kFewest) return *named;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= kFewest) return size.ws_col;
  return 80;
}

/// No driver is a fact of the machine; one that does not answer is worth a line.
std::shared_ptr<const NvmlApi> load_driver(const Session& s) {
  auto loaded = load_nvml();
  if (loaded) return std::move(*loaded);
  if (loaded.error().kind != Error::Kind::kNotFound) s.warn(loaded.error().message + "; going on without it");
  return nullptr;
}

/// A result that could not be written is a failure, except to a reader that has seen enough (`| head`).
int finish(Session& s, const FdBuffer& out, int status) {
  s.err.flush();
  s.out.flush();
  if (out.error() == 0) return status;
  if (out.error() == EPIPE) return status == kDone ? kFailed : status;
  return s.report(Error{Error::Kind::kSystem, std::string("write standard output: ") + std::strerror(out.error()), {}});
}

}  // namespace

int main(int argc, char** argv) {
  FdBuffer out_buffer(STDOUT_FILENO), err_buffer(STDERR_FILENO);
  std::ostream out(&out_buffer), err(&err_buffer);
  auto env = environment();
  const bool color = get(env, "NO_COLOR").empty() && get(env, "TERM") != "dumb";
  const bool out_is_terminal = isatty(STDOUT_FILENO) == 1;
  const auto live = make_dir_tree("/");
  Session session{.out = out,
                  .err = err,
                  .color_out = color && out_is_terminal,
                  .color_err = color && isatty(STDERR_FILENO) == 1,
                  .unicode_out = out_is_terminal && is_utf8(env),
                  .width = columns(env),
                  .live = *live,
                  .env = std::move(env),
                  .nvml = {}};
  session.nvml = [&session, nvml = std::shared_ptr<const NvmlApi>(), tried = false]() mutable {
    if (!tried) nvml = load_driver(session);
    tried = true;
    return nvml.get();
  };
  try {
    std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);  // argc may be 0, says execve(2)
    if (argc > 0 && is_runtime_name(argv[0])) args.insert(args.begin(), "oci-runtime");
    const int status = run_program(session, std::move(args));
    return finish(session, out_buffer, status);
  } catch (const std::exception& e) {  // out of memory, or a mistake of ours: say so instead of aborting
    return session.report(Error{Error::Kind::kSystem, std::string("internal error: ") + e.what(),
                                "please report this, with the file that 'numapin snapshot FILE' writes"});
  }
}
