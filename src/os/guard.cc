#include "os/guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

constexpr std::array kForwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT};

pid_t guard_parent = 0;
// Children from before run_guarded(): `helper & exec numapin launch ...` in an entry script makes the helper one of ours.
std::vector<pid_t> not_ours;

/// What was ignored when we started stays ignored: SIGHUP under nohup, SIGINT behind a script's `&`.
bool is_ignored(int number) {
  struct sigaction now {};
  return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

sigset_t forwarded_set() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : kForwarded)
    if (!is_ignored(s)) sigaddset(&set, s);
  sigaddset(&set, SIGCHLD);
  return set;
}

std::string read_small_file(const char* path) {
  std::string out;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return out;
  std::array<char, 4096> part;
  for (ssize_t n; (n = read(fd, part.data(), part.size())) > 0;) out.append(part.data(), static_cast<std::size_t>(n));
  close(fd);
  return out;
}

/// Without CONFIG_PROC_CHILDREN: who names us as the parent?
std::vector<pid_t> children_by_scan() {
  std::vector<pid_t> out;
  DIR* dir = opendir("/proc");
  if (dir == nullptr) return out;
  const std::string self = std::to_string(getpid());
  while (const dirent* entry = readdir(dir)) {
    const auto pid = parse_number<int>(entry->d_name);
    if (!pid) continue;
    const auto stat = read_small_file(("/proc/" + std::to_string(*pid) + "/stat").c_str());
    const auto close_paren = stat.rfind(')');
    if (close_paren == std::string::npos) continue;
    const auto words = split_words(std::string_view(stat).substr(close_paren + 1));
    if (words.size() > 1 && words[1] == self) out.push_back(*pid);
  }
  closedir(dir);
  return out;
}

std::vector<pid_t> children() {
  const auto path = "/proc/self/task/" + std::to_string(getpid()) + "/children";
  if (access(path.c_str(), R_OK) != 0) return children_by_scan();
  std::vector<pid_t> out;
  const auto text = read_small_file(path.c_str());
  for (auto word : split_words(text))
    if (auto pid = parse_number<int>(word)) out.push_back(*pid);
  return out;
}

std::vector<pid_t> children_of_ours() {
  auto out = children();
  std::erase_if(out, [](pid_t pid) { return std::find(not_ours.begin(), not_ours.end(), pid) != not_ours.end(); });
  return out;
}

/// The child's first steps; never returns.
[[noreturn]] void become_body(const std::function<int()>& body, const sigset_t& old_mask) {
  setpgid(0, 0);  // the terminal's signals reach the parent alone, which hands each on once
  prctl(PR_SET_PDEATHSIG, SIGHUP);
  if (getppid() != guard_parent) _exit(1);  // it died before prctl
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  not_ours.clear();
  signal(SIGTTOU, SIG_IGN);  // writing to the terminal from here must not stop us
  sigprocmask(SIG_SETMASK, &old_mask, nullptr);
  const int status = body();
  std::fflush(nullptr);
  _exit(status);
}

int status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/// Hands signals on until the child is gone; its wait status.
int forward_until_gone(pid_t child, const sigset_t& set) {
  while (true) {
    int status = 0;
    const pid_t gone = waitpid(child, &status, WNOHANG);
    if (gone == child) return status;
    if (gone < 0 && errno == EINTR) continue;
    int number = 0;
    if (sigwait(&set, &number) != 0) continue;
    if (number == SIGCHLD) continue;
    kill(child, number);
    if (number == SIGTSTP) raise(SIGSTOP);
  }
}

}  // namespace

bool parent_is_gone() { return getppid() != guard_parent; }

void kill_children(int number) {
  for (pid_t pid : children_of_ours()) kill(pid, number);
}

bool has_children() {
  siginfo_t info{};
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

void end_all_children() {
  if (!has_children()) return;  // the usual case: /proc need not be asked
  for (auto ours = children_of_ours(); !ours.empty(); ours = children_of_ours()) {
    for (pid_t pid : ours) kill(pid, SIGKILL);
    for (pid_t pid : ours) waitpid(pid, nullptr, 0);
  }
}

Result<int> run_guarded(const std::function<int()>& body) {
  const sigset_t set = forwarded_set();
  sigset_t old;
  sigprocmask(SIG_BLOCK, &set, &old);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  guard_parent = getpid();
  not_ours = children();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    sigprocmask(SIG_SETMASK, &old, nullptr);
    return fail(Error::Kind::kSystem, std::string("start the supervisor: fork: ") + std::strerror(error),
                "the limit of processes (ulimit -u) or memory is reached");
  }
  if (child == 0) become_body(body, old);
  setpgid(child, child);
  const int status = forward_until_gone(child, set);
  end_all_children();
  sigprocmask(SIG_SETMASK, &old, nullptr);
  return status_of(status);
}

}  // namespace numapin
