#include "cli/write_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace numapin::cli {
namespace {

Unexpected failed(int error, const std::string& path) {
  if (error == EEXIST)
    return bad_input(fmt::format("write {}: the file exists", path), "choose another name, or replace it with --force");
  const auto kind = error == ENOENT ? Error::Kind::kNotFound : error == EACCES ? Error::Kind::kDenied : Error::Kind::kSystem;
  return fail(kind, fmt::format("write {}: {}", path, std::strerror(error)));
}

// errno, or 0
int write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;  // a pipe or a device has nothing to sync
}

int give_name(const std::string& temporary, const std::string& path, bool replace) {
  if (!replace) {
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;  // file systems and kernels without the flag
    if (::access(path.c_str(), F_OK) == 0) return EEXIST;
  }
  return ::rename(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
}

/// A device or a pipe ("/dev/null", "/dev/stdout"): written to, never replaced. Renaming a file over it as root would
/// take it away from everybody.
bool is_special(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

Result<void> write_into(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed(errno, path);
  int error = write_whole(fd, text);
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error != 0) return failed(error, path);
  return {};
}

}  // namespace

Result<void> write_file(const std::string& path, std::string_view text, bool replace) {
  if (is_special(path)) return write_into(path, text);
  const auto temporary = fmt::format("{}.tmp-{}", path, ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return failed(errno, path);
  if (struct stat old {}; replace && ::stat(path.c_str(), &old) == 0) {  // the new file is whose the old one was
    (void)::fchmod(fd, old.st_mode & 07777);
    if (old.st_uid != ::geteuid() || old.st_gid != ::getegid()) { [[maybe_unused]] const int refused = ::fchown(fd, old.st_uid, old.st_gid); }
  }
  int error = write_whole(fd, text);
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error == 0) error = give_name(temporary, path, replace);
  if (error == 0) return {};
  ::unlink(temporary.c_str());
  return failed(error, path);
}

}  // namespace numapin::cli
