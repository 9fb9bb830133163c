#include "os/rank_start.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "base/numbers.h"
#include "base/text.h"
#include "os/kernel.h"
#include "os/program.h"

namespace numapin {

struct NewsBoard::Slot {
  std::atomic<std::uint32_t> used;  // bytes of text that are complete
  std::array<char, 4092> text;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "two processes use it");

// ---- in the child ---------------------------------------------------------------------------------------------------

namespace {

[[noreturn]] void die(NewsBoard& board, std::size_t rank, int status, const Error& e) {
  board.post(rank, true, e);
  _exit(status);
}

void redirect(const RankStart& start) {
  if (start.in >= 0) dup2(start.in, STDIN_FILENO);
  if (start.out >= 0) dup2(start.out, STDOUT_FILENO);
  if (start.err >= 0) dup2(start.err, STDERR_FILENO);
}

[[noreturn]] void become_rank(const RankStart& start, NewsBoard& board, std::size_t rank, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before prctl
  redirect(start);
  RealKernel kernel;
  const auto outcome = perform(start.actions, kernel, start.strict);
  if (!outcome) die(board, rank, 1, outcome.error());
  for (const auto& loss : outcome->losses) board.post(rank, false, loss);
  signal(SIGTTOU, SIG_DFL);
  if (start.open_files) setrlimit(RLIMIT_NOFILE, &*start.open_files);
  sigprocmask(SIG_SETMASK, &start.mask, nullptr);
  execve(start.file->c_str(), start.argv, start.environment);
  if (errno == ENOEXEC) execve(start.shell_argv[0], start.shell_argv, start.environment);
  const Error e = start_error(start.argv[0], errno);
  die(board, rank, e.kind == Error::Kind::kNotFound ? 127 : 126, e);
}

std::string flat(std::string s) {
  std::replace_if(s.begin(), s.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return s;
}

}  // namespace

void NewsBoard::post(std::size_t rank, bool fatal, const Error& e) {
  auto& [used, text] = slot(rank);
  const auto at = used.load(std::memory_order_relaxed);
  const auto line = fmt::format("{}\t{}\t{}\t{}\n", fatal ? "dead" : "loss", static_cast<int>(e.kind), flat(e.message), flat(e.hint));
  if (line.size() > text.size() - at) return;
  std::copy(line.begin(), line.end(), text.begin() + at);
  used.store(at + static_cast<std::uint32_t>(line.size()), std::memory_order_release);
}

// ---- in the launcher ------------------------------------------------------------------------------------------------

NewsBoard::NewsBoard(std::size_t ranks) : bytes_(ranks * sizeof(Slot)), read_(ranks) {
  base_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base_ == MAP_FAILED) base_ = nullptr;
}

NewsBoard::~NewsBoard() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

NewsBoard::Slot& NewsBoard::slot(std::size_t rank) const { return static_cast<Slot*>(base_)[rank]; }

StartNews NewsBoard::take(std::size_t rank) {
  StartNews news;
  const auto& [used, text] = slot(rank);
  const std::size_t end = used.load(std::memory_order_acquire), begin = std::exchange(read_[rank], end);
  for (auto line : split_lines(std::string_view(text.data() + begin, end - begin))) {
    const auto fields = split(line, '\t');
    if (fields.size() != 4) continue;
    Error e{static_cast<Error::Kind>(parse_number<int>(fields[1]).value_or(0)), std::string(fields[2]), std::string(fields[3])};
    if (fields[0] == "dead") news.error = std::move(e);
    else news.losses.push_back(std::move(e));
  }
  return news;
}

pid_t start_rank(const RankStart& start, NewsBoard& board, std::size_t rank) {
  const pid_t parent = getpid(), child = fork();
  if (child == 0) become_rank(start, board, rank, parent);
  if (child > 0) setpgid(child, child);  // both sides, whoever comes first
  return child;
}

}  // namespace numapin
