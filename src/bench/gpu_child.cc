#include "bench/gpu_child.h"

#include <fmt/format.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <thread>

namespace numapin {
namespace {

// ---- frames: a letter, a length, so many bytes ----------------------------------------------------------------------------

enum class Frame : char { kStep = 'S', kMeasurement = 'M', kNote = 'N', kError = 'E', kDone = 'D' };

struct Header {
  Frame frame;
  std::uint32_t bytes;
};

bool write_all(int fd, const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(fd, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
  return true;
}

void send(int fd, Frame frame, std::string_view text) {
  const Header header{frame, static_cast<std::uint32_t>(text.size())};
  // Nobody listens any more: then nobody needs us.
  if (!write_all(fd, &header, sizeof header) || !write_all(fd, text.data(), text.size())) _exit(1);
}

std::string error_text(const Error& e) {
  return fmt::format("{}\n{}\n{}", static_cast<int>(e.kind), e.message, e.hint);
}
Error parse_error(const std::string& text) {
  const auto first = text.find('\n'), second = text.find('\n', first + 1);
  return {static_cast<Error::Kind>(text[0] - '0'), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
}

// ---- child ----------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<GpuRuntime>> load(const GpuLibraries& libraries, CallNote* note) {
  auto cuda = load_cuda(note, libraries.cuda);
  if (cuda || cuda.error().kind != Error::Kind::kNotFound) return cuda;
  auto hip = load_hip(note, libraries.hip);
  if (hip || hip.error().kind != Error::Kind::kNotFound) return hip;
  return fail(Error::Kind::kUnsupported, fmt::format("measure GPUs: no driver here ({})", cuda.error().message),
              "in a container: docker run --gpus all, or the devices and libraries of ROCm");
}

Result<void> measure(int fd, const System& s, const GpuBench& options, const GpuLibraries& libraries, CallNote* note,
                     const LookAgain& look_again) {
  NUMAPIN_TRY(const auto runtime, load(libraries, note));
  const BenchProgress progress = [fd](double part, std::string_view step) { send(fd, Frame::kStep, fmt::format("{} {}", part, step)); };
  const TakeMeasurement take = [fd](Measurement m) {
    Measured one;
    one.measurements.push_back(std::move(m));
    send(fd, Frame::kMeasurement, to_json(one));
  };
  if (const auto caveat = runtime->caveat(); !caveat.empty()) send(fd, Frame::kNote, caveat);
  auto done = bench_gpu(s, *runtime, options, look_again, progress, take);
  if (const auto kept = runtime->not_given_back(); done && !kept.empty()) send(fd, Frame::kNote, kept);
  return done;
}

// ---- parent ---------------------------------------------------------------------------------------------------------------

/// The memory that both processes see.
struct SharedNote {
  CallNote* note = nullptr;
  SharedNote() {
    void* memory = mmap(nullptr, sizeof(CallNote), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) note = new (memory) CallNote;
  }
  SharedNote(const SharedNote&) = delete;
  SharedNote& operator=(const SharedNote&) = delete;
  ~SharedNote() {
    if (note) munmap(note, sizeof *note);
  }
  std::string call() const {
    const auto name = note ? note->read() : "";
    return name.empty() ? "its work" : name;
  }
};

struct Child {
  pid_t pid;
  int fd;
  bool reaped = false;
  int status = 0;
  ~Child() {
    close(fd);
    end(std::chrono::seconds(2));
  }
  /// A process inside a hanging driver may not die at once, or ever: it is not waited for longer than this.
  void end(std::chrono::milliseconds wait) {
    if (reaped) return;
    kill(pid, SIGKILL);
    reap(wait);
  }
  bool reap(std::chrono::milliseconds wait) {
    const auto until = std::chrono::steady_clock::now() + wait;
    while (!reaped) {
      const pid_t got = waitpid(pid, &status, WNOHANG);
      if (got == pid || (got < 0 && errno != EINTR)) return reaped = true;
      if (std::chrono::steady_clock::now() >= until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
};

enum class Heard { kBytes, kEnd, kSilence };

/// Reads exactly `bytes`.
Heard hear(int fd, void* data, std::size_t bytes, std::chrono::milliseconds patience) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    pollfd p{fd, POLLIN, 0};
    const int ready = poll(&p, 1, static_cast<int>(patience.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return Heard::kSilence;
    const ssize_t got = read(fd, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Heard::kEnd;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return Heard::kBytes;
}

/// Takes frames until the end; an Error is what ended it early.
Result<void> listen(Child& child, const SharedNote& note, std::chrono::seconds patience, const BenchProgress& progress,
                    GpuReport& report) {
  for (;;) {
    Header header{};
    std::string text;
    auto heard = hear(child.fd, &header, sizeof header, patience);
    if (heard == Heard::kBytes) {
      text.resize(header.bytes);
      heard = hear(child.fd, text.data(), text.size(), patience);
    }
    if (heard == Heard::kSilence)
      return fail(Error::Kind::kSystem,
                  fmt::format("measure GPUs: the driver has not come back from {} for {} s", note.call(), patience.count()),
                  "dmesg may say why (Xid); a slow start of many GPUs: give --gpu-timeout more");
    if (heard == Heard::kEnd) {
      child.reap(std::chrono::seconds(2));
      const auto how = child.reaped && WIFSIGNALED(child.status) ? fmt::format(": {}", strsignal(WTERMSIG(child.status))) : "";
      return fail(Error::Kind::kSystem, fmt::format("measure GPUs: the process that uses the driver ended in {}{}", note.call(), how));
    }
    switch (header.frame) {
      case Frame::kStep: {
        const auto blank = text.find(' ');
        progress(std::strtod(text.c_str(), nullptr), std::string_view(text).substr(blank + 1));
        break;
      }
      case Frame::kMeasurement: {
        NUMAPIN_TRY(auto one, measured_from_json(text));
        report.measurements.push_back(std::move(one.measurements.front()));
        break;
      }
      case Frame::kNote: report.notes.push_back(text); break;
      case Frame::kError: return Unexpected(parse_error(text));
      case Frame::kDone: child.reap(std::chrono::seconds(5)); return {};
    }
  }
}

}  // namespace

Result<GpuReport> bench_gpu_in_child(const System& s, const GpuBench& options, const GpuLibraries& libraries,
                                     std::chrono::seconds patience, const LookAgain& look_again, const BenchProgress& progress) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(Error::Kind::kSystem, fmt::format("make a pipe: {}", std::strerror(errno)));
  const SharedNote note;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return fail(Error::Kind::kSystem, fmt::format("start a process: {}", std::strerror(errno)));
  }
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGPIPE, SIG_IGN);
    if (getppid() != parent) _exit(1);
    close(ends[0]);
    const auto done = measure(ends[1], s, options, libraries, note.note, look_again);
    send(ends[1], done ? Frame::kDone : Frame::kError, done ? "" : error_text(done.error()));
    _exit(0);
  }
  close(ends[1]);
  Child child{pid, ends[0]};
  GpuReport report;
  auto done = listen(child, note, patience, progress, report);
  if (done) return report;
  if (report.measurements.empty()) return Unexpected(done.error());
  report.notes.push_back(done.error().message + "; what follows was not measured");
  return report;
}

}  // namespace numapin
