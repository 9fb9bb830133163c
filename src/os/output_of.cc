#include "os/output_of.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/numbers.h"
#include "base/text.h"
#include "os/fd.h"
#include "os/program.h"

namespace numapin {
namespace {

using Clock = std::chrono::steady_clock;

int spawn(const std::string& file, const std::vector<std::string>& words, int out, ErrorOutput errors, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (errors == ErrorOutput::kJoined) posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
  else posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  const int error = posix_spawnp(&pid, file.c_str(), &files, nullptr, exec_pointers(words).data(), environ);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

/// Reads to the end; false where that does not come in time, or too much.
bool read_to_end(int fd, Clock::time_point end, std::size_t limit, std::string& text) {
  char part[4096];
  while (text.size() <= limit) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    const int answer = left > 0 ? poll(&ready, 1, static_cast<int>(left)) : 0;
    if (answer < 0 && errno == EINTR) continue;
    if (answer <= 0) return false;
    const auto n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    text.append(part, static_cast<std::size_t>(n));
  }
  return false;
}

std::string first_line(const std::string& text) {
  for (const auto line : split_lines(text))
    if (!trim(line).empty()) return std::string(trim(line));
  return "it failed";
}

}  // namespace

Result<std::string> output_of(const std::string& file, const std::vector<std::string>& words, std::chrono::milliseconds time,
                              std::size_t limit_bytes, ErrorOutput errors) {
  auto ends = make_pipe();
  if (!ends) return fail(Error::Kind::kSystem, fmt::format("make a pipe: {}", std::strerror(errno)));
  pid_t pid = -1;
  if (const int error = spawn(file, words, ends->write.get(), errors, pid)) return Unexpected(start_error(file, error));
  ends->write.reset();
  std::string text;
  const bool whole = read_to_end(ends->read.get(), Clock::now() + time, limit_bytes, text);
  if (!whole) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return fail(Error::Kind::kSystem, fmt::format("run {}: not done in {} ms", join(words, " "), time.count()));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(Error::Kind::kSystem, fmt::format("run {}: {}", join(words, " "), errors == ErrorOutput::kJoined ? first_line(text) : "it failed"));
  return text;
}

}  // namespace numapin
