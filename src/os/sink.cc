#include "os/sink.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace numapin {

Sink::Sink(int fd) : fd_(fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return;
  if (S_ISSOCK(st.st_mode)) kind_ = Kind::kSocket;
  if (!S_ISFIFO(st.st_mode) && !(S_ISCHR(st.st_mode) && isatty(fd) == 1)) return;
  const auto path = "/proc/self/fd/" + std::to_string(fd);
  own_ = Fd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  kind_ = own_.open() ? Kind::kOwn : Kind::kShared;
}

ssize_t Sink::write_some(std::string_view text) {
  switch (kind_) {
    case Kind::kFile: return write(fd_, text.data(), text.size());
    case Kind::kSocket: return send(fd_, text.data(), text.size(), MSG_DONTWAIT);
    case Kind::kOwn: return write(own_.get(), text.data(), text.size());
    case Kind::kShared: break;
  }
  pollfd room{fd_, POLLOUT, 0};
  if (poll(&room, 1, 0) == 0) return errno = EAGAIN, -1;
  return write(fd_, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));  // pipe(7): room for that much
}

void Sink::flush() {
  std::string_view rest = text_;
  while (!rest.empty() && error_ == 0) {
    const ssize_t n = write_some(rest);
    if (n >= 0) rest.remove_prefix(static_cast<std::size_t>(n));
    else if (errno == EAGAIN) break;
    else if (errno != EINTR) error_ = errno;
  }
  if (error_ != 0) rest = {};
  text_.erase(0, text_.size() - rest.size());
}

}  // namespace numapin
