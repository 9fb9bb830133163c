#include "cli/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "os/fd.h"

namespace numapin::cli {
namespace {

Unexpected failed(const std::string& file, int error, const FileDemands& d) {
  if (error == ELOOP && d.own) return bad_input(fmt::format("read {}: it is a symbolic link", file), "name the file itself, or --force if you trust it");
  if (!d.regular) return bad_input(fmt::format("read {}: {}", file, std::strerror(error)), d.hint);  // a word of the command line
  const auto kind = error == ENOENT ? Error::Kind::kNotFound : error == EACCES || error == EPERM ? Error::Kind::kDenied : Error::Kind::kSystem;
  return fail(kind, fmt::format("read {}: {}", file, std::strerror(error)), d.hint);
}

Result<void> meets(const std::string& file, int fd, const FileDemands& d) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return failed(file, errno, d);
  if (d.regular && !S_ISREG(info.st_mode)) return bad_input(fmt::format("read {}: not a regular file", file), d.hint);
  if (d.own && info.st_uid != ::geteuid())
    return fail(Error::Kind::kDenied, fmt::format("read {}: the file belongs to another user ({})", file, info.st_uid),
                "do it as that user, or --force if you trust what it says");
  return {};
}

}  // namespace

Result<std::string> read_text_file(const std::string& file, const FileDemands& d) {
  const int flags = O_RDONLY | O_CLOEXEC | (d.regular ? O_NONBLOCK : 0) | (d.own ? O_NOFOLLOW : 0);
  const Fd fd(::open(file.c_str(), flags));
  if (fd.get() < 0) return failed(file, errno, d);
  if (const auto ok = meets(file, fd.get(), d); !ok) return Unexpected(ok.error());
  std::string text;
  std::array<char, 1 << 16> part;
  for (ssize_t n; (n = ::read(fd.get(), part.data(), part.size())) != 0;) {
    if (n < 0 && errno != EINTR) return failed(file, errno, d);
    if (n > 0) text.append(part.data(), static_cast<std::size_t>(n));
    if (text.size() > d.most_bytes) return bad_input(fmt::format("read {}: more than {} MiB", file, d.most_bytes >> 20), d.hint);
  }
  return text;
}

}  // namespace numapin::cli
