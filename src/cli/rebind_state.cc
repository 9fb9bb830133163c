#include "cli/rebind_state.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/numbers.h"
#include "cli/session.h"
#include "cli/text_file.h"
#include "cli/variable.h"

namespace numapin::cli {
namespace {

namespace fs = std::filesystem;

Result<fs::path> made_state_directory(const std::string& state_home, const std::string& home) {
  fs::path dir = state_home;
  if (!dir.is_absolute()) {  // the XDG specification: relative paths are to be ignored
    if (home.empty()) return fail(Error::Kind::kNotFound, "keep the old masks: HOME is not set", "name the file: --state FILE");
    dir = fs::path(home) / ".local/state";
  }
  dir /= "numapin";
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return fail(Error::Kind::kDenied, fmt::format("make {}: {}", dir.string(), error.message()), "name the file: --state FILE");
  return dir;
}

bool is_own(const fs::path& dir) {
  struct stat info {};
  return ::stat(dir.c_str(), &info) == 0 && info.st_uid == ::geteuid();
}

}  // namespace

Result<std::string> state_path(const std::string& named, int pid, const Session& session) {
  if (!named.empty()) return named;
  NUMAPIN_TRY(auto dir, made_state_directory(variable(session, "XDG_STATE_HOME").value_or(""), variable(session, "HOME").value_or("")));
  if (!is_own(dir)) {  // sudo may keep HOME: another user's directory is no place for root's files
    const passwd* me = ::getpwuid(::geteuid());
    NUMAPIN_TRY(dir, made_state_directory("", me == nullptr ? "" : me->pw_dir));
  }
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return (dir / fmt::format("rebind-{}-{}.json", pid > 0 ? std::to_string(pid) : "all-gpu", now.count())).string();
}

std::string boot_id(const Session& session) {
  const auto text = session.live.read("/proc/sys/kernel/random/boot_id");
  return text ? std::string(trim(*text)) : "";
}

Result<RebindState> read_state(const std::string& path, bool trusted, const Session& session) {
  // Whoever may write it says which masks are set, with the rights of this process. A thread takes 100 bytes.
  NUMAPIN_TRY(const auto text, read_text_file(path, {.regular = true, .own = !trusted, .hint = "give the file that rebind named"}));
  NUMAPIN_TRY(auto state, parse_rebind_state(text, path));
  if (state.boot_id != boot_id(session))
    return bad_input(fmt::format("undo {}: it was written before the last boot", path), "those processes are gone: remove the file");
  return state;
}

}  // namespace numapin::cli
