#include "os/sink.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace numapin {
namespace {

/// Reads what is there; fills `to`.
void read_some(int fd, std::string& to) {
  std::array<char, 65536> part;
  const ssize_t n = read(fd, part.data(), part.size());
  if (n > 0) to.append(part.data(), static_cast<std::size_t>(n));
}

/// More than any pipe holds goes in without waiting, and comes out whole when somebody reads.
void passes_everything_on(int to, int from) {
  Sink sink(to);
  std::string sent, got;
  for (int i = 0; i < 30000; ++i) sent += "line " + std::to_string(i) + "\n";
  sink.text() += sent;
  sink.flush();
  EXPECT_TRUE(sink.full());
  EXPECT_EQ(fcntl(to, F_GETFL) & O_NONBLOCK, 0) << "others have that descriptor too";
  while (got.size() < sent.size()) {
    read_some(from, got);
    sink.flush();
  }
  EXPECT_EQ(got, sent);
  EXPECT_TRUE(sink.empty());
  EXPECT_EQ(sink.error(), 0);
}

TEST(Sink, DoesNotWaitForAPipe) {
  auto pipe = make_pipe();
  passes_everything_on(pipe->write.get(), pipe->read.get());
}

TEST(Sink, DoesNotWaitForASocket) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const Fd a(fds[0]), b(fds[1]);
  passes_everything_on(a.get(), b.get());
}

TEST(Sink, DropsEverythingOnceTheReaderHasGone) {
  const auto before = signal(SIGPIPE, SIG_IGN);
  auto pipe = make_pipe();
  Sink sink(pipe->write.get());
  pipe->read.reset();
  sink.text() += "line\n";
  sink.flush();
  EXPECT_EQ(sink.error(), EPIPE);
  EXPECT_TRUE(sink.empty());
  signal(SIGPIPE, before);
}

TEST(Sink, RemembersAFullDisk) {
  const Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.open());
  Sink sink(full.get());
  sink.text() += "line\n";
  sink.flush();
  EXPECT_EQ(sink.error(), ENOSPC);
}

}  // namespace
}  // namespace numapin
