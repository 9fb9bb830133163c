// numapin watch: where GPU processes run and have their memory, live.
#include "cli/watch.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <fstream>
#include <thread>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "files/held_tree.h"
#include "os/ask_pages.h"
#include "os/side_job.h"
#include "render/watch.h"
#include "sources/memory_estimate.h"
#include "sources/watch_sampler.h"

namespace numapin::cli {
namespace {

struct Options {
  double interval_s = 1;
  bool once = false, json = false;
  int count = 0;  // lines of --json; 0: no end
  std::string sort = "place", replay, machine;
};

constexpr const char* kExamples =
    "  numapin watch                            # q quits, ? helps\n"
    "  numapin watch --once                     # the table once, as text\n"
    "  numapin watch --json --interval 10 > log # a line every ten seconds, to read or to replay\n"
    "  numapin watch --replay log               # the screen of that time again\n"
    "\n"
    "Keys: arrows choose, t threads, s sort, b rebind (asks first), + - interval, p pause.\n";

double steady_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double unix_s() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

double cpu_s() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::string clock_text(double unix_time) {
  const auto seconds = static_cast<std::time_t>(unix_time);
  std::tm parts{};
  char text[16];
  if (localtime_r(&seconds, &parts) == nullptr || std::strftime(text, sizeof text, "%H:%M:%S", &parts) == 0) return "";
  return text;
}

/// How many files this process may hold open: as many as the hard limit allows, some left for everything else.
std::size_t raise_file_limit() {
  constexpr rlim_t kEnough = 16384, kForOthers = 64;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(kEnough, limit.rlim_max));
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > kForOthers ? static_cast<std::size_t>(std::min(limit.rlim_cur, kEnough) - kForOthers) : 0;
}

/// Each time another sample: an error does not stand.
auto estimate_own(const FileTree& live) {
  return [&live, seed = std::uint64_t{0}](int pid) mutable -> std::optional<NodeBytes> {
    const auto memory = sources::estimate_memory(live, pid, kSamplePages, ++seed, ask_pages_of(pid));
    if (!memory) return std::nullopt;
    return memory->own();
  };
}

// ---- where frames come from -------------------------------------------------------------------------------------------

class Frames {
 public:
  virtual ~Frames() = default;
  virtual const WatchFrame& next() = 0;
  virtual bool at_end() const { return false; }
  /// Empty: processes can be rebound; else why not.
  virtual std::string no_rebind() const { return ""; }
  virtual void look_closely_at(int) {}
};

class LiveFrames final : public Frames {
 public:
  LiveFrames(const Session& session, Machine machine, bool other_machine)
      : machine_(std::move(machine)),
        other_machine_(other_machine),
        held_(raise_file_limit()),
        sampler_(machine_, {session.live, held_, session.nvml(), steady_s, cpu_s, estimate_own(session.live)}),
        ticks_per_s_(static_cast<double>(sysconf(_SC_CLK_TCK))) {}

  const WatchFrame& next() override {
    auto now = sampler_.look();
    held_.sweep();
    frame_ = make_frame(machine_, before_ ? &*before_ : nullptr, now, ticks_per_s_);
    frame_.unix_time = unix_s();
    before_ = std::move(now);
    return frame_;
  }
  std::string no_rebind() const override { return other_machine_ ? "rebind works on the machine that this is, not on --machine" : ""; }
  void look_closely_at(int pid) override { sampler_.look_closely_at(pid); }

 private:
  Machine machine_;
  bool other_machine_;
  HeldTree held_;
  WatchSampler sampler_;
  double ticks_per_s_;
  std::optional<WatchLook> before_;
  WatchFrame frame_;
};

class ReplayedFrames final : public Frames {
 public:
  static Result<std::unique_ptr<Frames>> open(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(Error::Kind::kNotFound, fmt::format("read {}: cannot be read", path), "give a file that numapin watch --json wrote");
    auto frames = std::make_unique<ReplayedFrames>();
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      if (trim(line).empty()) continue;
      NUMAPIN_TRY(auto frame, parse_watch_line(line, fmt::format("{} line {}", path, number)));
      frames->frames_.push_back(std::move(frame));
    }
    if (frames->frames_.empty()) return bad_input(fmt::format("read {}: there is no line in it", path), "numapin watch --json > FILE writes such a file");
    return std::unique_ptr<Frames>(std::move(frames));
  }
  const WatchFrame& next() override { return frames_[at_ < frames_.size() ? at_++ : frames_.size() - 1]; }
  bool at_end() const override { return at_ == frames_.size(); }
  std::string no_rebind() const override { return "a replay: there is no process to rebind"; }

 private:
  std::vector<WatchFrame> frames_;
  std::size_t at_ = 0;
};

Result<std::unique_ptr<Frames>> open_frames(const Options& o, const Session& session) {
  if (!o.replay.empty()) return ReplayedFrames::open(o.replay);
  NUMAPIN_TRY(auto system, session.system(o.machine));
  std::unique_ptr<Frames> frames = std::make_unique<LiveFrames>(session, std::move(system.machine), !o.machine.empty());
  return frames;
}

// ---- printed --------------------------------------------------------------------------------------------------------------

void sleep_s(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

int print(const Options& o, const Session& session, Frames& frames) {
  const bool live = o.replay.empty();
  double due = steady_s();
  if (live) (void)frames.next();  // rates need two looks
  const int count = o.once ? 1 : o.count;
  for (int line = 0; (count == 0 || line < count) && !(frames.at_end()); ++line) {
    due += o.interval_s;
    if (live) sleep_s(due - steady_s());
    const auto& frame = frames.next();
    WatchView view;
    view.sort = *parse_watch_sort(o.sort);
    if (o.json) session.out << to_json_line(frame);
    else session.out << watch_text(frame, view, {session.width, session.unicode_out, session.color_out});
    if (!session.out.flush()) return kFailed;  // who reads it has gone
  }
  return kDone;
}

// ---- on the screen -----------------------------------------------------------------------------------------------------------

/// The lines of a rebind's output, without what is said to those who typed it.
std::vector<std::string> lines_of(const std::string& output) {
  std::vector<std::string> lines;
  for (const auto line : split_lines(output))
    if (!line.empty() && !line.starts_with("undo:")) lines.emplace_back(line);
  return lines;
}

class Watcher {
 public:
  Watcher(const Options& o, const Session& session, Frames& frames, Terminal& terminal)
      : session_(session), frames_(frames), terminal_(terminal) {
    view_.sort = *parse_watch_sort(o.sort);
    view_.interval_s = o.interval_s;
  }
  /// Until q, or a signal: its number.
  int run();

 private:
  void show();
  bool handle(const Terminal::Event& event);  // false: the end
  void act(WatchWish wish);
  void start_job(std::vector<std::string> words, bool plan);
  void job_moves_on();
  void ask(const std::vector<std::string>& plan);

  const Session& session_;
  Frames& frames_;
  Terminal& terminal_;
  WatchView view_;
  WatchFrame frame_;
  std::optional<SideJob> job_;
  bool job_plans_ = false;
  int job_pid_ = 0;
  int signal_ = 0;
};

void Watcher::show() {
  view_.clock = clock_text(frame_.unix_time) + (frames_.at_end() ? " (end)" : "");
  const TextStyle style{terminal_.width(), session_.unicode_out && terminal_.unicode(), false};
  terminal_.draw(watch_screen(frame_, view_, style, terminal_.height()));
}

void Watcher::start_job(std::vector<std::string> words, bool plan) {
  auto job = SideJob::start(words);
  if (!job) {
    view_.message = job.error().message;
    return;
  }
  job_.emplace(std::move(*job));
  job_plans_ = plan;
}

void Watcher::act(WatchWish wish) {
  if (wish == WatchWish::kPlanRebind) {
    if (job_) view_.message = "wait: the last rebind has not ended";
    else if (const auto why = frames_.no_rebind(); !why.empty()) view_.message = why;
    else {
      job_pid_ = view_.selected.second;
      view_.message = fmt::format("process {}: what would be moved?", job_pid_);
      start_job({"rebind", std::to_string(job_pid_), "--dry-run"}, true);
    }
  }
  if (wish == WatchWish::kRebind) {
    view_.message = fmt::format("rebinding process {} ...", view_.asked);
    start_job({"rebind", std::to_string(std::exchange(view_.asked, 0))}, false);
  }
}

void Watcher::ask(const std::vector<std::string>& plan) {
  constexpr std::size_t kMostLines = 5;
  view_.asked = job_pid_;
  view_.question = plan;
  if (plan.size() > kMostLines) {
    view_.question.resize(kMostLines - 1);
    view_.question.push_back(fmt::format("... and {} lines more: numapin rebind {} --dry-run", plan.size() - kMostLines + 1, job_pid_));
  }
  view_.question.push_back(fmt::format("Rebind process {}? y: yes, any other key: no", job_pid_));
}

void Watcher::job_moves_on() {
  const auto status = job_->collect();
  if (!status) return;
  const auto lines = lines_of(job_->output());
  job_.reset();
  view_.message = lines.empty() ? fmt::format("rebind ended with status {}", *status) : lines.front();
  frames_.look_closely_at(job_pid_);
  const bool something = std::any_of(lines.begin(), lines.end(), [](const auto& l) { return l.find("would move") != l.npos; });
  if (job_plans_ && *status == kDone && something) {
    view_.message.clear();
    ask(lines);
  }
}

bool Watcher::handle(const Terminal::Event& event) {
  using Kind = Terminal::Event::Kind;
  if (event.kind == Kind::kSignal) signal_ = event.value;
  if (event.kind == Kind::kSignal || event.kind == Kind::kClosed) return false;
  if (event.kind == Kind::kOther) job_moves_on();
  if (event.kind == Kind::kKey) {
    const auto wish = press(view_, frame_, event.value);
    if (wish == WatchWish::kQuit) return false;
    act(wish);
  }
  return true;
}

int Watcher::run() {
  frame_ = frames_.next();
  double last = steady_s();
  constexpr double kFirst_s = 0.3;  // rates soon
  double wait = std::min(kFirst_s, view_.interval_s);
  while (true) {
    show();
    const auto event = terminal_.wait(view_.paused ? 3600 : last + wait - steady_s(), job_ ? job_->fd() : -1);
    if (!handle(event)) return signal_;
    if (view_.paused || steady_s() < last + wait) continue;
    frame_ = frames_.next();
    last = steady_s();
    wait = view_.interval_s;
  }
}

int watch_on_screen(const Options& o, Session& session, Frames& frames) {
  int signal = 0;
  {
    auto terminal = Terminal::open(session.color_out);
    if (!terminal) return session.report(terminal.error());
    signal = Watcher(o, session, frames, **terminal).run();
  }
  if (signal != 0) raise(signal);  // as it would have ended us
  return kDone;
}

int run(const Options& o, Session& session) {
  if (!parse_watch_sort(o.sort))
    return session.report({Error::Kind::kBadInput, fmt::format("--sort '{}': no such choice", o.sort), "place, cpu, remote, memory, migrations or pid"});
  if (!(o.interval_s >= 0.1 && o.interval_s <= 3600))
    return session.report({Error::Kind::kBadInput, fmt::format("--interval {:g}: must be from 0.1 to 3600 seconds", o.interval_s), "1 is a second"});
  auto frames = open_frames(o, session);
  if (!frames) return session.report(frames.error());
  if (o.once || o.json) return print(o, session, **frames);
  return watch_on_screen(o, session, **frames);
}

}  // namespace

Runner add_watch(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--interval", o->interval_s, "Seconds between two looks (1)")->type_name("S");
  auto* once = app.add_flag("--once", o->once, "Print the table once, of one interval, and end");
  auto* json = app.add_flag("--json", o->json, "Print a line of JSON each interval (docs/json.md)");
  app.add_option("--count", o->count, "End after so many lines of --json")->type_name("N")->needs(json)->excludes(once)->check(number_from(1));
  app.add_option("--sort", o->sort, "place (default: the worst first), cpu, remote, memory, migrations or pid")->type_name("BY");
  auto* replay = app.add_option("--replay", o->replay, "Show what --json wrote instead of this machine")->type_name("FILE");
  app.add_option("--machine", o->machine, "Judge against this recorded machine instead of the live one")->type_name("FILE|NAME")->excludes(replay);
  set_examples(app, kExamples);
  return [o](Session& session) { return run(*o, session); };
}

}  // namespace numapin::cli
