#include "os/side_job.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace numapin {

Result<SideJob> SideJob::start(const std::vector<std::string>& words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(Error::Kind::kSystem, std::string("make a pipe: ") + std::strerror(errno));
  std::vector<std::string> all = {"numapin"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (auto& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, "/proc/self/exe", &files, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (error == 0) {
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return SideJob(pid, ends[0]);
  }
  close(ends[0]);
  return fail(Error::Kind::kSystem, std::string("start numapin once more: ") + std::strerror(error));
}

SideJob::SideJob(SideJob&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), fd_(std::exchange(other.fd_, -1)), output_(std::move(other.output_)) {}

SideJob& SideJob::operator=(SideJob&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(fd_, other.fd_);
  std::swap(output_, other.output_);
  return *this;
}

SideJob::~SideJob() {
  if (fd_ >= 0) close(fd_);
}

std::optional<int> SideJob::collect() {
  char part[4096];
  while (true) {
    const auto n = ::read(fd_, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return std::nullopt;
    if (n <= 0) break;
    output_.append(part, static_cast<std::size_t>(n));
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR) return 128;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace numapin
