#include "os/launcher.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
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
#include <map>

#include "base/text.h"
#include "os/fd.h"
#include "os/guard.h"
#include "os/line_splitter.h"
#include "os/program.h"
#include "os/rank_start.h"
#include "os/sink.h"

namespace numapin {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kLastLines = 10, kLastLineBytes = 500;
// After the last rank has ended, a process it left behind may hold the pipes: wait this long for their end.
constexpr auto kDrain = milliseconds(500);
constexpr auto kTick = std::chrono::seconds(1);
// Looking at the ranks may take at most this part of one CPU's time.
constexpr int kLookPart = 100;
// Unfinished lines of all ranks together take at most about this much memory.
constexpr std::size_t kUnfinishedBytes = 4 * 1024 * 1024, kShortestCut = 4096;

/// Signals that the launcher takes from a descriptor; the ranks get the mask back as it was.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGPIPE}) sigaddset(&set, s);
  return set;
}

struct Stream {
  Fd fd;  // our end of the pipe
  LineSplitter lines;
};

struct Rank {
  pid_t pid = 0;
  bool running = false, told = false;
  std::array<Stream, 2> streams;  // by OutputStream
  std::deque<std::string> last;
  Clock::time_point began;
  RankReport report;
};

// What an event of epoll is about, as its number: the first few are ours, the others two a rank.
enum Source : std::uint64_t { kSignals, kSinkOut, kSinkErr, kLook, kFirstStream };

/// The environment of a rank: ours, with its own variables instead of those of the same names.
class Environment {
 public:
  explicit Environment(const std::vector<Action>& actions) {
    for (const auto& action : actions)
      if (const auto* set = std::get_if<SetEnv>(&action)) set_[set->name] = set->name + '=' + set->value;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      if (!set_.contains(text.substr(0, text.find('=')))) pointers_.push_back(*entry);
    }
    for (auto& [name, entry] : set_) pointers_.push_back(entry.data());
    pointers_.push_back(nullptr);
  }
  char* const* get() const { return pointers_.data(); }

 private:
  std::map<std::string, std::string, std::less<>> set_;
  std::vector<char*> pointers_;
};

std::vector<Action> without_variables(std::vector<Action> actions) {
  std::erase_if(actions, [](const Action& a) { return std::holds_alternative<SetEnv>(a); });
  return actions;
}

Unexpected cannot_start(int number, std::string_view what, std::string hint) {
  return fail(Error::Kind::kSystem, fmt::format("start rank {}: {}: {}", number, what, std::strerror(errno)), std::move(hint));
}

class Launcher {
 public:
  Launcher(const LaunchSpec& spec, const LaunchEvents& events)
      : spec_(spec), events_(events), shell_(shell_words(spec.file, spec.words)), argv_(exec_pointers(spec.words)),
        shell_argv_(exec_pointers(shell_)), board_(spec.ranks.size()), sinks_{Sink(spec.out_fd), Sink(spec.err_fd)} {}
  Result<LaunchReport> run();

 private:
  // Starting.
  Result<void> prepare();
  Result<void> start_all();
  Result<void> start(int number);
  Result<Pipe> output_for(int number, OutputStream stream) const;
  void take_news();
  // One turn: what there is to read, to write and to wait for.
  bool turn(milliseconds at_most);
  void take(std::uint64_t source);
  void watch(int fd, std::uint64_t source, std::uint32_t events = EPOLLIN);
  void unwatch(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }
  // Output.
  void read_stream(std::size_t rank, OutputStream which);
  void take_line(std::size_t rank, OutputStream which, std::string_view line);
  void write_out(OutputStream which);
  // Signals and ends.
  void take_signals();
  void reap();
  void note_end(Rank& rank, int wait_status, const rusage& usage);
  void end_all(int signal_number);
  void signal_all(int signal_number);
  // Time.
  milliseconds until_something() const;
  void keep_time();
  void look();
  void read_look();
  // The end.
  void loop();
  void drain();
  void finish_output();
  LaunchReport take_report();

  const LaunchSpec& spec_;
  const LaunchEvents& events_;
  const std::vector<std::string> shell_;
  const std::vector<char*> argv_, shell_argv_;
  NewsBoard board_;
  sigset_t old_mask_{};
  rlimit old_files_{};
  bool more_files_ = false;
  Fd signals_, epoll_, null_;
  bool null_for_first_ = false;
  std::array<Sink, 2> sinks_;            // by OutputStream
  std::array<bool, 2> sink_watched_{};   // waits for room
  std::array<std::vector<std::size_t>, 2> paused_;  // ranks whose stream is not read until the sink has room
  std::vector<Rank> ranks_;
  int running_ = 0, open_streams_ = 0;
  LaunchReport report_;
  std::optional<Clock::time_point> kill_at_;
  std::optional<Clock::time_point> give_up_at_;  // on a reader that takes nothing, once we were told to end
  Clock::time_point next_tick_ = Clock::now() + kTick;
  struct Look {
    Fd pipe;
    std::string text;
    Clock::time_point began, next = Clock::now() + kTick;
  } look_;
};

// ---- starting -------------------------------------------------------------------------------------------------------

Result<void> Launcher::prepare() {
  if (!board_.works()) return fail(Error::Kind::kSystem, std::string("launch: mmap: ") + std::strerror(errno));
  const sigset_t set = handled_signals();
  sigprocmask(SIG_BLOCK, &set, &old_mask_);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!signals_.open() || !epoll_.open())
    return fail(Error::Kind::kSystem, std::string("launch: signalfd, epoll_create1: ") + std::strerror(errno));
  watch(signals_.get(), kSignals);
  null_ = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  null_for_first_ = isatty(STDIN_FILENO) == 1;
  // Two descriptors a rank stay open here.
  getrlimit(RLIMIT_NOFILE, &old_files_);
  more_files_ = old_files_.rlim_cur < old_files_.rlim_max;
  const rlimit more{old_files_.rlim_max, old_files_.rlim_max};
  if (more_files_) setrlimit(RLIMIT_NOFILE, &more);
  return {};
}

Result<Pipe> Launcher::output_for(int number, OutputStream stream) const {
  if (spec_.log_dir.empty()) {
    auto made = make_pipe();
    if (!made) return cannot_start(number, "pipe", "the limit of open files (ulimit -n) is too low for so many ranks");
    return std::move(*made);
  }
  const auto path = fmt::format("{}/rank-{}.{}", spec_.log_dir, number, stream == OutputStream::kOut ? "out" : "err");
  Pipe file;
  file.write = Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  if (!file.write.open())
    return fail(Error::Kind::kSystem, fmt::format("write {}: {}", path, std::strerror(errno)), "is --log-dir a writable directory?");
  return file;
}

Result<void> Launcher::start_all() {
  ranks_.reserve(spec_.ranks.size());
  for (int number = 0; number < static_cast<int>(spec_.ranks.size()); ++number) NUMAPIN_CHECK_OK(start(number));
  return {};
}

Result<void> Launcher::start(int number) {
  NUMAPIN_TRY(auto out, output_for(number, OutputStream::kOut));
  NUMAPIN_TRY(auto err, output_for(number, OutputStream::kErr));
  const auto& wanted = spec_.ranks[static_cast<std::size_t>(number)].actions;
  const auto bindings = without_variables(wanted);
  const Environment environment(wanted);
  RankStart s;
  s.file = &spec_.file;
  s.argv = argv_.data();
  s.shell_argv = shell_argv_.data();
  s.environment = environment.get();
  s.actions = bindings;
  s.strict = spec_.strict;
  if (number > 0 || null_for_first_) s.in = null_.get();
  s.out = out.write.get();
  s.err = err.write.get();
  s.mask = old_mask_;
  if (more_files_) s.open_files = old_files_;

  auto& rank = ranks_.emplace_back();
  rank.began = Clock::now();
  rank.pid = start_rank(s, board_, static_cast<std::size_t>(number));
  if (rank.pid < 0) {
    ranks_.pop_back();
    return cannot_start(number, "fork", "the limit of processes (ulimit -u) or memory is reached");
  }
  rank.running = true;
  ++running_;
  const auto longest = std::clamp(kUnfinishedBytes / (2 * spec_.ranks.size()), kShortestCut, LineSplitter::kMaxLine);
  rank.streams = {Stream{std::move(out.read), LineSplitter(longest)}, Stream{std::move(err.read), LineSplitter(longest)}};
  for (std::size_t i = 0; i < 2; ++i) {
    if (!rank.streams[i].fd.open()) continue;
    watch(rank.streams[i].fd.get(), kFirstStream + 2 * static_cast<std::uint64_t>(number) + i);
    ++open_streams_;
  }
  rank.report.pid = rank.pid;
  return {};
}

/// Looked for at every turn: an end, a line or a second passing makes one.
void Launcher::take_news() {
  for (std::size_t number = 0; number < ranks_.size(); ++number) {
    auto [losses, error] = board_.take(number);
    if (error) ranks_[number].report.start_error = std::move(error);
    if (!events_.loss) continue;
    for (const auto& loss : losses) events_.loss(static_cast<int>(number), loss, sinks_[1].text());
  }
}

// ---- one turn -------------------------------------------------------------------------------------------------------

void Launcher::watch(int fd, std::uint64_t source, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = source;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

/// False: nothing happened.
bool Launcher::turn(milliseconds at_most) {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(at_most.count()));
  take_news();
  for (int i = 0; i < count; ++i) take(events[static_cast<std::size_t>(i)].data.u64);
  for (auto which : {OutputStream::kOut, OutputStream::kErr}) write_out(which);
  return count > 0;
}

void Launcher::take(std::uint64_t source) {
  switch (source) {
    case kSignals: return take_signals();
    case kSinkOut:
    case kSinkErr: return;  // written at the end of the turn
    case kLook: return read_look();
    default: break;
  }
  const auto stream = source - kFirstStream;
  read_stream(stream / 2, stream % 2 == 0 ? OutputStream::kOut : OutputStream::kErr);
}

// ---- output ---------------------------------------------------------------------------------------------------------

void Launcher::take_line(std::size_t number, OutputStream which, std::string_view line) {
  auto& last = ranks_[number].last;
  last.emplace_back(line.substr(0, kLastLineBytes));
  if (last.size() > kLastLines) last.pop_front();
  if (events_.line) events_.line(static_cast<int>(number), which, line, sinks_[static_cast<std::size_t>(which)].text());
}

void Launcher::read_stream(std::size_t number, OutputStream which) {
  const auto w = static_cast<std::size_t>(which);
  auto& [fd, lines] = ranks_[number].streams[w];
  if (sinks_[w].full()) {  // epoll tells of a hang-up even when not asked: the descriptor must go
    unwatch(fd.get());
    paused_[w].push_back(number);
    return;
  }
  std::array<char, 16384> part;
  const ssize_t n = read(fd.get(), part.data(), part.size());
  const auto take = [&](std::string_view line) { take_line(number, which, line); };
  if (n > 0) return lines.feed({part.data(), static_cast<std::size_t>(n)}, take);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  lines.finish(take);
  unwatch(fd.get());  // a look() in progress has a copy, so close alone would not end the watching
  fd.reset();
  --open_streams_;
}

void Launcher::write_out(OutputStream which) {
  const auto w = static_cast<std::size_t>(which);
  auto& sink = sinks_[w];
  sink.flush();
  if (sink.error() != 0 && sink.error() != EPIPE && !report_.output_error)
    report_.output_error = Error{Error::Kind::kSystem, fmt::format("write standard {}: {}", w == 0 ? "output" : "error", std::strerror(sink.error())), {}};
  if (sink.empty() == sink_watched_[w]) {
    if (sink.empty()) unwatch(sink.fd());
    else watch(sink.fd(), kSinkOut + w, EPOLLOUT);
    sink_watched_[w] = !sink.empty();
  }
  if (!sink.empty()) return;
  for (auto number : std::exchange(paused_[w], {})) watch(ranks_[number].streams[w].fd.get(), kFirstStream + 2 * number + w);
}

// ---- signals and ends -----------------------------------------------------------------------------------------------

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
        if (report_.told_to_end_by != 0 && number != SIGPIPE) kill_at_ = give_up_at_ = Clock::now();
        if (report_.told_to_end_by == 0) report_.told_to_end_by = number;
        if (!give_up_at_) give_up_at_ = Clock::now() + spec_.grace;
        end_all(number == SIGPIPE ? SIGTERM : number);
    }
  }
}

void Launcher::note_end(Rank& rank, int wait_status, const rusage& usage) {
  const auto seconds = [](const timeval& t) {
    return std::chrono::duration<double>(static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6);
  };
  auto& r = rank.report;
  rank.running = false;
  --running_;
  r.wall = Clock::now() - rank.began;
  r.user = seconds(usage.ru_utime);
  r.system = seconds(usage.ru_stime);
  r.max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  r.voluntary_switches = static_cast<std::uint64_t>(usage.ru_nvcsw);
  r.involuntary_switches = static_cast<std::uint64_t>(usage.ru_nivcsw);
  r.ended_by_us = rank.told;
  r.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  r.status = r.signal != 0 ? 128 + r.signal : WEXITSTATUS(wait_status);
  if (r.status == 0 || rank.told) return;
  if (!report_.first_failed) report_.first_failed = static_cast<int>(&rank - ranks_.data());
  end_all(SIGTERM);
}

void Launcher::reap() {
  int status = 0;
  rusage usage{};
  for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;)
    for (auto& rank : ranks_)
      if (rank.pid == pid && rank.running) note_end(rank, status, usage);
}

// ---- time -----------------------------------------------------------------------------------------------------------

milliseconds Launcher::until_something() const {
  auto next = next_tick_;
  if (kill_at_) next = std::min(next, std::max(*kill_at_, Clock::now() + milliseconds(20)));
  return std::chrono::ceil<milliseconds>(std::max(next - Clock::now(), Clock::duration(0)));
}

void Launcher::keep_time() {
  const auto now = Clock::now();
  if (kill_at_ && now >= *kill_at_) signal_all(SIGKILL);
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  if (parent_is_gone()) end_all_children(), _exit(128 + SIGKILL);
  if (events_.look && !look_.pipe.open() && now >= look_.next) look();
}

void Launcher::look() {
  auto pipe = make_pipe();
  if (!pipe) return;
  std::vector<int> pids;
  for (const auto& rank : ranks_) pids.push_back(rank.running ? rank.pid : 0);
  const pid_t child = fork();
  if (child < 0) return;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    setpriority(PRIO_PROCESS, 0, 19);
    const auto text = events_.look(pids);
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t n = write(pipe->write.get(), text.data() + at, text.size() - at);
      if (n <= 0) break;
      at += static_cast<std::size_t>(n);
    }
    _exit(0);
  }
  look_.began = Clock::now();
  look_.pipe = std::move(pipe->read);
  watch(look_.pipe.get(), kLook);
}

void Launcher::read_look() {
  std::array<char, 4096> part;
  const ssize_t n = read(look_.pipe.get(), part.data(), part.size());
  if (n > 0) return void(look_.text.append(part.data(), static_cast<std::size_t>(n)));
  if (n < 0 && errno == EINTR) return;
  unwatch(look_.pipe.get());
  look_.pipe.reset();
  const auto now = Clock::now();
  look_.next = now + kLookPart * (now - look_.began);
  if (events_.seen) events_.seen(std::exchange(look_.text, {}));
}

// ---- the end --------------------------------------------------------------------------------------------------------

void Launcher::loop() {
  while (running_ > 0) {
    turn(until_something());
    reap();
    keep_time();
  }
}

/// The ranks have ended. What they left behind has fallen to us: it may still write, for a moment.
void Launcher::drain() {
  if (has_children()) kill_children(SIGTERM);
  for (const auto until = Clock::now() + kDrain; has_children() && Clock::now() < until; reap()) turn(milliseconds(20));
  end_all_children();
  finish_output();
}

/// Now the pipes hold all that there will be, unless somebody else has an end of them. A reader that is slow is waited
/// for, as `seq 1000000 | less` waits, but not by one who was told to end.
void Launcher::finish_output() {
  const auto waits = [&] { return sink_watched_[0] || sink_watched_[1]; };
  while (open_streams_ > 0 || waits()) {
    const bool happened = turn(waits() ? milliseconds(100) : milliseconds(0));
    if (!happened && !waits()) return;  // somebody else holds the pipe
    if (parent_is_gone()) _exit(128 + SIGKILL);
    if (give_up_at_ && Clock::now() >= *give_up_at_) return;
  }
}

LaunchReport Launcher::take_report() {
  for (auto& rank : ranks_) {
    rank.report.last_lines.assign(rank.last.begin(), rank.last.end());
    report_.ranks.push_back(std::move(rank.report));
  }
  return std::move(report_);
}

Result<LaunchReport> Launcher::run() {
  NUMAPIN_CHECK_OK(prepare());
  const auto started = start_all();
  if (started) {
    loop();
    drain();
  } else {
    end_all_children();
  }
  take_signals();  // SIGPIPE of the last write
  signals_.reset();
  sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  if (more_files_) setrlimit(RLIMIT_NOFILE, &old_files_);
  if (!started) return Unexpected(started.error());
  return take_report();
}

}  // namespace

int LaunchReport::status() const {
  if (first_failed) return ranks[static_cast<std::size_t>(*first_failed)].status;
  if (told_to_end_by != 0) return 128 + told_to_end_by;
  for (const auto& r : ranks)
    if (r.status != 0) return r.status;
  return output_error ? 1 : 0;
}

Result<LaunchReport> launch(const LaunchSpec& spec, const LaunchEvents& events) { return Launcher(spec, events).run(); }

}  // namespace numapin
