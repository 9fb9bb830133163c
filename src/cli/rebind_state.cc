#include "cli/rebind_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/numbers.h"
#include "cli/session.h"
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

constexpr std::size_t kMostBytes = 256 << 20;  // a thread takes 100

/// A regular file of this user, not reached through a symbolic link: whoever may write it says which masks are set, with
/// the rights of this process. `trusted`: anybody's.
Result<std::string> read_own_file(const std::string& path, bool trusted) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (trusted ? 0 : O_NOFOLLOW);  // not to wait for a pipe's writer
  const int fd = ::open(path.c_str(), flags);
  if (fd < 0 && errno == ELOOP)
    return bad_input(fmt::format("read {}: it is a symbolic link", path), "name the file itself, or --force if you trust it");
  if (fd < 0)
    return fail(errno == ENOENT ? Error::Kind::kNotFound : Error::Kind::kDenied, fmt::format("read {}: {}", path, std::strerror(errno)),
                "give the file that rebind named");
  const auto close_at_end = std::unique_ptr<const int, void (*)(const int*)>(&fd, [](const int* f) { ::close(*f); });
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return bad_input(fmt::format("read {}: not a regular file", path), "give the file that rebind named");
  if (!trusted && info.st_uid != ::geteuid())
    return fail(Error::Kind::kDenied, fmt::format("undo {}: the file belongs to another user ({})", path, info.st_uid),
                "undo as that user, or --force if you trust what it says");
  std::string text;
  std::array<char, 1 << 16> part;
  for (ssize_t n; (n = ::read(fd, part.data(), part.size())) != 0;) {
    if (n < 0 && errno != EINTR) return fail(Error::Kind::kSystem, fmt::format("read {}: {}", path, std::strerror(errno)));
    if (n > 0) text.append(part.data(), static_cast<std::size_t>(n));
    if (text.size() > kMostBytes) return bad_input(fmt::format("read {}: more than 256 MiB", path), "give the file that rebind named");
  }
  return text;
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
  NUMAPIN_TRY(const auto text, read_own_file(path, trusted));
  NUMAPIN_TRY(auto state, parse_rebind_state(text, path));
  if (state.boot_id != boot_id(session))
    return bad_input(fmt::format("undo {}: it was written before the last boot", path), "those processes are gone: remove the file");
  return state;
}

}  // namespace numapin::cli
