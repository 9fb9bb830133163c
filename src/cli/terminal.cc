#include "cli/terminal.h"

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

// Last: it defines macros with names of everyday life.
#define NCURSES_NOMACROS 1
#include <curses.h>
#include <term.h>

namespace numapin::cli {
namespace {

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// What a crash needs, laid ready: nothing may be allocated or looked up then.
termios g_before{};
char g_restore[256];
std::size_t g_restore_bytes = 0;

void add_restore(const char* capability) {
  const char* text = tigetstr(capability);
  if (text == nullptr || text == reinterpret_cast<const char*>(-1)) return;
  const auto length = std::strlen(text);
  if (g_restore_bytes + length > sizeof g_restore) return;
  std::memcpy(g_restore + g_restore_bytes, text, length);
  g_restore_bytes += length;
}

void on_crash(int signal) {
  (void)!write(STDOUT_FILENO, g_restore, g_restore_bytes);
  tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
  raise(signal);  // SA_RESETHAND: the default action now
}

void prepare_for_crashes() {
  for (const char* capability : {"sgr0", "rmkx", "cnorm", "rmcup"}) add_restore(capability);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
  for (const int signal : kCrashes) sigaction(signal, &action, nullptr);
}

enum Pair : short { kRedPair = 1, kYellowPair, kGreenPair };

int key_of(int code) {
  switch (code) {
    case KEY_UP: return kKeyUp;
    case KEY_DOWN: return kKeyDown;
    case KEY_PPAGE: return kKeyPageUp;
    case KEY_NPAGE: return kKeyPageDown;
    case KEY_HOME: return kKeyHome;
    case KEY_END: return kKeyEnd;
    case KEY_ENTER: case '\n': case '\r': return kKeyEnter;
    default: return code;
  }
}

}  // namespace

struct Terminal::State {
  SCREEN* screen = nullptr;
  bool color = false, unicode = false;
  int signals = -1;
  sigset_t mask_before{};

  chtype style_of(const ScreenLine& line) const {
    const chtype selected = line.selected ? A_REVERSE : A_NORMAL;
    switch (line.look) {
      case Look::kTitle: return A_REVERSE;
      case Look::kHead: return A_BOLD;
      case Look::kWrong: return (color ? COLOR_PAIR(kRedPair) : 0) | A_BOLD | selected;
      case Look::kLoose: return (color ? COLOR_PAIR(kYellowPair) : 0) | selected;
      case Look::kGood: return (color ? COLOR_PAIR(kGreenPair) : 0) | selected;
      case Look::kFaint: return A_DIM;
      case Look::kPlain: break;
    }
    return selected;
  }
};

Result<std::unique_ptr<Terminal>> Terminal::open(bool color) {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)
    return bad_input("watch: standard input and output must be a terminal", "--once prints the table, --json a line each interval");
  const bool known_locale = std::setlocale(LC_CTYPE, "") != nullptr;
  tcgetattr(STDIN_FILENO, &g_before);
  std::unique_ptr<Terminal> t(new Terminal);
  t->state_ = std::make_unique<State>();
  auto& s = *t->state_;
  s.screen = newterm(nullptr, stdout, stdin);
  if (s.screen == nullptr) {
    const char* name = std::getenv("TERM");
    return fail(Error::Kind::kUnsupported, std::string("watch: the terminal '") + (name != nullptr ? name : "") + "' is not known",
                "set TERM to a kind that is, as xterm; or use --once");
  }
  prepare_for_crashes();
  set_term(s.screen);
  cbreak();
  noecho();
  nonl();
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  set_escdelay(25);
  curs_set(0);
  s.unicode = known_locale && MB_CUR_MAX > 1;
  s.color = color && has_colors();
  if (s.color) {
    start_color();
    use_default_colors();
    init_pair(kRedPair, COLOR_RED, -1);
    init_pair(kYellowPair, COLOR_YELLOW, -1);
    init_pair(kGreenPair, COLOR_GREEN, -1);
  }
  sigset_t ending;
  sigemptyset(&ending);
  for (const int signal : kEnding) sigaddset(&ending, signal);
  sigprocmask(SIG_BLOCK, &ending, &s.mask_before);
  s.signals = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
  if (s.signals < 0) {  // blocked and unheard, they would end nothing
    const int error = errno;
    t.reset();
    return fail(Error::Kind::kSystem, std::string("watch: wait for signals: ") + std::strerror(error), "--once prints the table, --json a line each interval");
  }
  return t;
}

Terminal::~Terminal() {
  if (!state_ || state_->screen == nullptr) return;
  endwin();
  delscreen(state_->screen);
  // ncurses caught these for its own clean-up
  for (const int signal : {SIGINT, SIGTERM, SIGTSTP, SIGWINCH}) std::signal(signal, SIG_DFL);
  for (const int signal : kCrashes) std::signal(signal, SIG_DFL);
  if (state_->signals >= 0) close(state_->signals);
  sigprocmask(SIG_SETMASK, &state_->mask_before, nullptr);
}

int Terminal::width() const { return COLS; }
int Terminal::height() const { return LINES; }
bool Terminal::unicode() const { return state_->unicode; }

void Terminal::draw(const std::vector<ScreenLine>& screen) {
  werase(stdscr);
  int y = 0;
  for (const auto& line : screen) {
    const auto style = state_->style_of(line);
    wattrset(stdscr, static_cast<int>(style));
    wmove(stdscr, y, 0);
    // the last cell of the last line cannot be written without scrolling
    waddnstr(stdscr, line.text.c_str(), static_cast<int>(line.text.size()));
    if (line.selected || line.look == Look::kTitle) mvwchgat(stdscr, y, 0, -1, style & ~A_COLOR, line.look == Look::kWrong && state_->color ? kRedPair : line.look == Look::kLoose && state_->color ? kYellowPair : 0, nullptr);
    ++y;
  }
  wattrset(stdscr, A_NORMAL);
  wrefresh(stdscr);
}

Terminal::Event Terminal::wait(double seconds, int other_fd) {
  using Kind = Event::Kind;
  const auto key = [&]() -> std::optional<Event> {
    const int code = wgetch(stdscr);
    if (code == ERR) return std::nullopt;
    if (code == KEY_RESIZE) return Event{Kind::kResize, 0};
    return Event{Kind::kKey, key_of(code)};
  };
  if (const auto waiting = key()) return *waiting;
  pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {state_->signals, POLLIN, 0}, {other_fd, POLLIN, 0}};
  const int ready = poll(fds, 3, seconds <= 0 ? 0 : static_cast<int>(seconds * 1000) + 1);
  if (ready < 0) return key().value_or(Event{Kind::kResize, 0});  // SIGWINCH, or back from a stop: draw anew
  if ((fds[1].revents & POLLIN) != 0) {
    signalfd_siginfo info{};
    if (read(state_->signals, &info, sizeof info) == sizeof info) return {Kind::kSignal, static_cast<int>(info.ssi_signo)};
  }
  if ((fds[0].revents & POLLIN) != 0)
    if (const auto pressed = key()) return *pressed;
  if ((fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return {Kind::kClosed, 0};
  if (fds[2].revents != 0) return {Kind::kOther, 0};
  return {Kind::kTime, 0};
}

}  // namespace numapin::cli
