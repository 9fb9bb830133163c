#include "os/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

#include "base/text.h"
#include "base/numbers.h"
#include "os/guard.h"
#include "os/kernel.h"
#include "os/line_splitter.h"
#include "os/program.h"

namespace numapin {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kLastLines = 10;
// After the last rank has ended, a process it left behind may hold the pipes: wait this long for their end.
constexpr auto kDrain = std::chrono::milliseconds(500);

/// A file descriptor, closed with the object.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read, write;
};

std::optional<Pipe> make_pipe() {
  std::array<int, 2> fds{};
  if (pipe2(fds.data(), O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{Fd(fds[0]), Fd(fds[1])};
}

/// Signals that the launcher takes from a descriptor; the ranks get the mask back as it was.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT}) sigaddset(&set, s);
  return set;
}

struct Rank {
  int number = 0;
  pid_t pid = 0;
  bool running = false, told = false;
  Fd out, err, news;  // news: what the child says of its start
  LineSplitter out_lines, err_lines;
  std::string news_text;
  std::deque<std::string> last;
  Clock::time_point began;
  RankReport report;
};

/// The child's words to us, one a line: "loss KIND MESSAGE \t HINT" or "dead STATUS KIND MESSAGE \t HINT".
std::string news_line(std::string_view word, int status, const Error& e) {
  auto flat = [](std::string s) {
    std::replace_if(s.begin(), s.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    return s;
  };
  return fmt::format("{}\t{}\t{}\t{}\t{}\n", word, status, static_cast<int>(e.kind), flat(e.message), flat(e.hint));
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

struct Inherited {  // what the ranks get back as it was
  sigset_t mask;
  rlimit files;
};

// ---- in the child ---------------------------------------------------------------------------------------------------

[[noreturn]] void die(int news, int status, const Error& e) {
  write_all(news, news_line("dead", status, e));
  _exit(status);
}

[[noreturn]] void become_rank(const LaunchSpec& spec, const RankSpec& rank, bool first, int out, int err, int news,
                              pid_t parent, const Inherited& inherited) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  if (!first || isatty(STDIN_FILENO) == 1) {
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, STDIN_FILENO);
  }
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  RealKernel kernel;
  const auto outcome = perform(rank.actions, kernel, spec.strict);
  if (!outcome) die(news, 1, outcome.error());
  for (const auto& loss : outcome->losses) write_all(news, news_line("loss", 0, loss));
  signal(SIGTTOU, SIG_DFL);
  setrlimit(RLIMIT_NOFILE, &inherited.files);
  sigprocmask(SIG_SETMASK, &inherited.mask, nullptr);
  const Error e = become(spec.file, spec.words);
  die(news, e.kind == Error::Kind::kNotFound ? 127 : 126, e);
}

// ---- in the launcher ------------------------------------------------------------------------------------------------

class Launcher {
 public:
  Launcher(const LaunchSpec& spec, const LaunchEvents& events) : spec_(spec), events_(events) {}
  Result<LaunchReport> run();

 private:
  Result<void> prepare();
  Result<void> start(int number);
  Result<Pipe> output_for(const Rank& rank, std::string_view stream) const;
  void loop();
  void wait_for_something(int timeout_ms);
  void read_stream(Rank& rank, Fd& fd, LineSplitter& lines, OutputStream stream);
  void read_news(Rank& rank);
  void take_news(Rank& rank, std::string_view line);
  void take_line(Rank& rank, OutputStream stream, std::string_view line);
  void take_signals();
  void reap();
  void note_end(Rank& rank, int wait_status, const rusage& usage);
  void end_all(int signal_number);
  void signal_all(int signal_number);
  bool anyone_running() const;
  void drain();

  const LaunchSpec& spec_;
  const LaunchEvents& events_;
  Inherited inherited_{};
  Fd signals_;
  std::deque<Rank> ranks_;  // a deque: pointers into it stay valid
  LaunchReport report_;
  std::optional<Clock::time_point> kill_at_;
  Clock::time_point next_tick_ = Clock::now() + std::chrono::seconds(1);
};

Result<void> Launcher::prepare() {
  const sigset_t set = handled_signals();
  sigprocmask(SIG_BLOCK, &set, &inherited_.mask);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.open()) return fail(Error::Kind::kSystem, std::string("launch: signalfd: ") + std::strerror(errno));
  // Three descriptors a rank stay open here.
  getrlimit(RLIMIT_NOFILE, &inherited_.files);
  rlimit more = inherited_.files;
  more.rlim_cur = more.rlim_max;
  setrlimit(RLIMIT_NOFILE, &more);
  return {};
}

Result<Pipe> Launcher::output_for(const Rank& rank, std::string_view stream) const {
  if (spec_.log_dir.empty()) {
    auto made = make_pipe();
    if (!made) return fail(Error::Kind::kSystem, fmt::format("start rank {}: pipe: {}", rank.number, std::strerror(errno)),
                           "the limit of open files (ulimit -n) is too low for so many ranks");
    return std::move(*made);
  }
  const auto path = fmt::format("{}/rank-{}.{}", spec_.log_dir, rank.number, stream);
  Pipe file;
  file.write = Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  if (!file.write.open())
    return fail(Error::Kind::kSystem, fmt::format("write {}: {}", path, std::strerror(errno)), "is --log-dir a writable directory?");
  return file;
}

Result<void> Launcher::start(int number) {
  Rank rank;
  rank.number = number;
  NUMAPIN_TRY(auto out, output_for(rank, "out"));
  NUMAPIN_TRY(auto err, output_for(rank, "err"));
  auto news = make_pipe();
  if (!news) return fail(Error::Kind::kSystem, fmt::format("start rank {}: pipe: {}", number, std::strerror(errno)));
  const pid_t parent = getpid();
  rank.began = Clock::now();
  rank.pid = fork();
  if (rank.pid < 0)
    return fail(Error::Kind::kSystem, fmt::format("start rank {}: fork: {}", number, std::strerror(errno)),
                "the limit of processes (ulimit -u) or memory is reached");
  if (rank.pid == 0)
    become_rank(spec_, spec_.ranks[static_cast<std::size_t>(number)], number == 0, out.write.get(), err.write.get(),
                news->write.get(), parent, inherited_);
  setpgid(rank.pid, rank.pid);  // both sides, whoever comes first
  rank.running = true;
  rank.report.pid = rank.pid;
  rank.out = std::move(out.read);
  rank.err = std::move(err.read);
  rank.news = std::move(news->read);
  ranks_.push_back(std::move(rank));
  if (events_.started) events_.started(number, ranks_.back().pid);
  return {};
}

void Launcher::take_line(Rank& rank, OutputStream stream, std::string_view line) {
  rank.last.emplace_back(line);
  if (rank.last.size() > kLastLines) rank.last.pop_front();
  if (events_.line) events_.line(rank.number, stream, line);
}

void Launcher::read_stream(Rank& rank, Fd& fd, LineSplitter& lines, OutputStream stream) {
  std::array<char, 16384> part;
  const ssize_t n = read(fd.get(), part.data(), part.size());
  const auto take = [&](std::string_view line) { take_line(rank, stream, line); };
  if (n > 0) return lines.feed({part.data(), static_cast<std::size_t>(n)}, take);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  lines.finish(take);
  fd.reset();
}

void Launcher::take_news(Rank& rank, std::string_view line) {
  const auto fields = split(line, '\t');
  if (fields.size() != 5) return;
  const Error e{static_cast<Error::Kind>(parse_number<int>(fields[2]).value_or(0)), std::string(fields[3]), std::string(fields[4])};
  if (fields[0] == "dead") rank.report.start_error = e;
  else if (events_.loss) events_.loss(rank.number, e);
}

void Launcher::read_news(Rank& rank) {
  std::array<char, 4096> part;
  const ssize_t n = read(rank.news.get(), part.data(), part.size());
  if (n > 0) {
    rank.news_text.append(part.data(), static_cast<std::size_t>(n));
    return;
  }
  if (n < 0 && errno == EINTR) return;
  for (auto line : split_lines(rank.news_text)) take_news(rank, line);
  rank.news.reset();  // closed by exec: it runs
}

void Launcher::signal_all(int number) {
  for (auto& rank : ranks_)
    if (rank.running) kill(-rank.pid, number);
}

void Launcher::end_all(int number) {
  for (auto& rank : ranks_) rank.told = rank.told || rank.running;
  signal_all(number);
  signal_all(SIGCONT);  // a stopped one must hear it
  if (!kill_at_) kill_at_ = Clock::now() + spec_.grace;
}

void Launcher::take_signals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int number = static_cast<int>(info.ssi_signo);
    switch (number) {
      case SIGCHLD: break;
      case SIGUSR1:
      case SIGUSR2:
      case SIGTSTP:
      case SIGCONT: signal_all(number); break;
      default:
        if (parent_is_gone()) return end_all_children(), _exit(128 + SIGKILL);
        // The second time people press ^C they mean it.
        if (report_.told_to_end_by != 0) kill_at_ = Clock::now();
        else report_.told_to_end_by = number;
        end_all(number);
    }
  }
}

void Launcher::note_end(Rank& rank, int wait_status, const rusage& usage) {
  const auto seconds = [](const timeval& t) {
    return std::chrono::duration<double>(static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6);
  };
  auto& r = rank.report;
  rank.running = false;
  r.wall = Clock::now() - rank.began;
  r.user = seconds(usage.ru_utime);
  r.system = seconds(usage.ru_stime);
  r.max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  r.ended_by_us = rank.told;
  r.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  r.status = r.signal != 0 ? 128 + r.signal : WEXITSTATUS(wait_status);
  if (r.status == 0 || rank.told) return;
  if (!report_.first_failed) report_.first_failed = rank.number;
  end_all(SIGTERM);
}

void Launcher::reap() {
  int status = 0;
  rusage usage{};
  for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;)
    for (auto& rank : ranks_)
      if (rank.pid == pid && rank.running) note_end(rank, status, usage);
}

bool Launcher::anyone_running() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& r) { return r.running; });
}

void Launcher::wait_for_something(int timeout_ms) {
  std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}};
  std::vector<std::function<void()>> actions;
  const auto watch = [&](Fd& fd, std::function<void()> action) {
    if (!fd.open()) return;
    fds.push_back({fd.get(), POLLIN, 0});
    actions.push_back(std::move(action));
  };
  for (auto& rank : ranks_) {
    watch(rank.news, [this, &rank] { read_news(rank); });
    watch(rank.out, [this, &rank] { read_stream(rank, rank.out, rank.out_lines, OutputStream::kOut); });
    watch(rank.err, [this, &rank] { read_stream(rank, rank.err, rank.err_lines, OutputStream::kErr); });
  }
  if (poll(fds.data(), fds.size(), timeout_ms) <= 0) return;
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (fds[i + 1].revents != 0) actions[i]();
  if (fds[0].revents != 0) take_signals();
}

void Launcher::loop() {
  while (anyone_running()) {
    wait_for_something(200);
    reap();
    const auto now = Clock::now();
    if (kill_at_ && now >= *kill_at_) signal_all(SIGKILL);
    if (now < next_tick_) continue;
    next_tick_ = now + std::chrono::seconds(1);
    if (parent_is_gone()) end_all_children(), _exit(128 + SIGKILL);
    if (!events_.tick) continue;
    std::vector<int> pids;
    for (const auto& rank : ranks_) pids.push_back(rank.running ? rank.pid : 0);
    events_.tick(pids);
  }
}

void Launcher::drain() {
  const auto until = Clock::now() + kDrain;
  const auto open = [](const Rank& r) { return r.out.open() || r.err.open() || r.news.open(); };
  kill_children(SIGTERM);  // what ranks left behind has fallen to us
  while (std::any_of(ranks_.begin(), ranks_.end(), open) && Clock::now() < until) wait_for_something(20);
  end_all_children();
}

Result<LaunchReport> Launcher::run() {
  NUMAPIN_CHECK_OK(prepare());
  for (int number = 0; number < static_cast<int>(spec_.ranks.size()); ++number) {
    if (auto started = start(number); !started) {
      end_all_children();
      return Unexpected(started.error());
    }
  }
  loop();
  drain();
  for (auto& rank : ranks_) {
    rank.report.last_lines.assign(rank.last.begin(), rank.last.end());
    report_.ranks.push_back(std::move(rank.report));
  }
  signals_.reset();
  sigprocmask(SIG_SETMASK, &inherited_.mask, nullptr);
  setrlimit(RLIMIT_NOFILE, &inherited_.files);
  return std::move(report_);
}

}  // namespace

int LaunchReport::status() const {
  if (first_failed) return ranks[static_cast<std::size_t>(*first_failed)].status;
  if (told_to_end_by != 0) return 128 + told_to_end_by;
  for (const auto& r : ranks)
    if (r.status != 0) return r.status;
  return 0;
}

Result<LaunchReport> launch(const LaunchSpec& spec, const LaunchEvents& events) { return Launcher(spec, events).run(); }

}  // namespace numapin
