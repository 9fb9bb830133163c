#include "os/filler.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "os/kernel.h"

namespace numapin {
namespace {

/// One step (some MiB of page faults and reclaim) takes milliseconds; a child that needs longer is stuck in writeback.
constexpr int kStepTimeoutMs = 2000;

bool read_all(int fd, std::uint64_t& value) {
  ssize_t got = 0;
  do got = read(fd, &value, sizeof value);
  while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof value);
}

bool write_all(int fd, std::uint64_t value) {
  // MSG_NOSIGNAL: a child that was killed must not kill us by SIGPIPE.
  return send(fd, &value, sizeof value, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof value);
}

bool be_the_first_to_be_killed() {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = write(fd, "1000", 4) == 4;
  close(fd);
  return done;
}

bool touch(std::uint64_t bytes) {
  // Without MAP_NORESERVE: where overcommit is forbidden the kernel refuses here, before anything is taken.
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (std::uint64_t at = 0; at < bytes; at += page) static_cast<volatile char*>(memory)[at] = 1;
  return true;
}

/// The child: one number in, memory taken, the number back. Its memory goes when it ends.
[[noreturn]] void fill(int socket, NodeId node, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  RealKernel kernel;
  const bool ready = getppid() == parent && be_the_first_to_be_killed() &&
                     kernel.set_memory_policy({MemoryMode::kBind, NodeSet::of(node)}) == 0;
  std::uint64_t bytes = 0;
  while (ready && read_all(socket, bytes)) {
    if (!touch(bytes) || !write_all(socket, bytes)) break;
  }
  _exit(0);
}

}  // namespace

Filler::Filler(NodeId node) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  const pid_t parent = getpid();
  // clone(2) with no signal to send at the child's end; the zero arguments make its order the same on every machine.
  child_ = static_cast<pid_t>(syscall(SYS_clone, 0, 0, 0, 0, 0));
  if (child_ == 0) {
    close(ends[0]);
    fill(ends[1], node, parent);
  }
  close(ends[1]);
  socket_ = ends[0];
}

Filler::~Filler() {
  if (socket_ >= 0) close(socket_);
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  while (waitpid(child_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

bool Filler::take(std::uint64_t bytes) {
  if (child_ <= 0 || !write_all(socket_, bytes)) return false;
  pollfd ready{socket_, POLLIN, 0};
  int answer = 0;
  do answer = poll(&ready, 1, kStepTimeoutMs);
  while (answer < 0 && errno == EINTR);
  std::uint64_t taken = 0;
  return answer == 1 && read_all(socket_, taken) && taken == bytes;
}

}  // namespace numapin
