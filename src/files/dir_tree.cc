#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "files/failed.h"
#include "files/follow_links.h"
#include "numapin/file_tree.h"

namespace numapin {
namespace {

using files::failed;

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;  // numa_maps of a million mappings with long names
constexpr std::size_t kPage = 4096;
// O_NONBLOCK: a FIFO opens and reads at once; O_NOCTTY: a terminal stays nobody's.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// An attribute of sysfs comes whole in its first read, up to a page; other kernel files may stop anywhere before their
// end (seq_file stops where the next record does not fit), so that only an empty read ends them.
bool is_sysfs_attribute(std::string_view path) {
  return path.starts_with("/sys/devices/") || path.starts_with("/sys/bus/") || path.starts_with("/sys/class/");
}

// sysfs claims 4096 bytes for every file and procfs 0: only reading tells.
Result<std::string> read_all(int fd, std::string_view path, bool whole_in_one) {
  char page[kPage];
  std::string out;
  while (true) {
    const auto n = ::read(fd, page, sizeof page);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno, "read", path);
    out.append(page, static_cast<std::size_t>(n));
    if (n == 0 || (whole_in_one && static_cast<std::size_t>(n) < kPage)) return out;
    if (out.size() > kMaxFileBytes)
      return fail(Error::Kind::kSystem, fmt::format("read {}: larger than {} MiB", path, kMaxFileBytes >> 20));
  }
}

Result<std::vector<std::string>> list_all(Fd dir, std::string_view path) {
  DIR* stream = ::fdopendir(dir.get());
  if (stream == nullptr) return failed(errno, "list", path);
  dir.release();  // the stream's now
  std::vector<std::string> names;
  errno = 0;
  while (const auto* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return failed(error, "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

// Where an open file is, as this process sees it; "" where /proc does not tell.
std::string path_of(int fd) {
  char target[4096];
  const auto n = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), target, sizeof target);
  if (n <= 0 || static_cast<std::size_t>(n) == sizeof target || target[0] != '/') return {};
  return {target, static_cast<std::size_t>(n)};
}

/// "/proc/4242/fd/3": the kernel itself says where such a link leads, without links in it, and "socket:[7]" for what has
/// no path.
bool is_descriptor_link(std::string_view path) {
  return path.starts_with("/proc/") && path.rfind("/fd/") == path.rfind('/') - 3;
}

Result<std::string> link_target(const std::string& path) {
  char target[4096];
  const auto n = ::readlink(path.c_str(), target, sizeof target);
  if (n < 0) return failed(errno, "resolve", path);
  return std::string(target, static_cast<std::size_t>(n));
}

/// "/": the kernel follows the links.
class LiveTree final : public FileTree {
 public:
  Result<std::string> read(std::string_view path) const override {
    const Fd file(::open(std::string(path).c_str(), kReadFlags));
    if (file.get() < 0) return failed(errno, "read", path);
    return read_all(file.get(), path, is_sysfs_attribute(path));
  }

  Result<std::vector<std::string>> list(std::string_view path) const override {
    Fd dir(::open(std::string(path).c_str(), kReadFlags | O_DIRECTORY));
    if (dir.get() < 0) return failed(errno, "list", path);
    return list_all(std::move(dir), path);
  }

  // One open and one readlink; realpath(3) asks for every directory on the way.
  Result<std::string> resolve(std::string_view path) const override {
    const std::string name(path);
    if (is_descriptor_link(path)) return link_target(name);
    const Fd place(::open(name.c_str(), O_PATH | O_CLOEXEC));
    if (place.get() < 0) return failed(errno, "resolve", path);
    if (auto real = path_of(place.get()); !real.empty()) return real;
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(name.c_str(), nullptr), ::free);
    if (real == nullptr) return failed(errno, "resolve", path);
    return std::string(real.get());
  }
};

/// A directory that plays "/": links are followed inside it, by the kernel (openat2, since Linux 5.6) or by us.
class RootedTree final : public FileTree {
 public:
  explicit RootedTree(const std::filesystem::path& root)
      : name_(root.string()), root_(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), error_(errno) {
    while (name_.ends_with('/')) name_.pop_back();
  }

  Result<std::string> read(std::string_view path) const override {
    NUMAPIN_TRY(const auto file, open(path, kReadFlags, "read"));
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return failed(errno, "read", shown(path));
    if (S_ISDIR(status.st_mode)) return failed(EISDIR, "read", shown(path));
    if (!S_ISREG(status.st_mode))
      return fail(Error::Kind::kSystem, fmt::format("read {}: not a regular file", shown(path)));
    return read_all(file.get(), shown(path), false);
  }

  Result<std::vector<std::string>> list(std::string_view path) const override {
    NUMAPIN_TRY(auto dir, open(path, kReadFlags | O_DIRECTORY, "list"));
    return list_all(std::move(dir), shown(path));
  }

  Result<std::string> resolve(std::string_view path) const override {
    NUMAPIN_TRY(const auto place, open(path, O_PATH | O_CLOEXEC, "resolve"));
    const auto root = path_of(root_.get());
    const auto real = path_of(place.get());
    if (!root.empty() && real == root) return "/";
    if (!root.empty() && real.starts_with(root + "/")) return real.substr(root.size());
    return follow(path, "resolve");
  }

 private:
  std::string shown(std::string_view path) const { return name_ + std::string(path); }

  Result<Fd> open(std::string_view path, int flags, std::string_view verb) const {
    if (root_.get() < 0) return failed(error_, verb, name_);
    const std::string name(path);
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags);
    how.resolve = RESOLVE_IN_ROOT;
    Fd file(static_cast<int>(::syscall(SYS_openat2, root_.get(), name.c_str(), &how, sizeof how)));
    if (file.get() >= 0) return file;
    // Older kernels say ENOSYS, seccomp profiles older than the call EPERM; EAGAIN: a rename somewhere during a "..".
    if (errno == ENOSYS || errno == EPERM || errno == EAGAIN) return open_by_steps(path, flags, verb);
    return failed(errno, verb, shown(path));
  }

  Result<Fd> open_by_steps(std::string_view path, int flags, std::string_view verb) const {
    NUMAPIN_TRY(const auto real, follow(path, verb));
    const auto below_root = real == "/" ? std::string(".") : real.substr(1);
    Fd file(::openat(root_.get(), below_root.c_str(), flags | O_NOFOLLOW));
    if (file.get() < 0) return failed(errno, verb, shown(path));
    return file;
  }

  Result<std::string> follow(std::string_view path, std::string_view verb) const {
    return follow_links(path, verb, [&](const std::string& step) -> Result<std::optional<std::string>> {
      char target[4096];
      const auto n = ::readlinkat(root_.get(), step.c_str() + 1, target, sizeof target);
      if (n >= 0) return std::string(target, static_cast<std::size_t>(n));
      if (errno == EINVAL) return std::nullopt;  // no link
      return failed(errno, verb, shown(path));
    });
  }

  std::string name_;
  Fd root_;
  int error_;
};

}  // namespace

std::unique_ptr<FileTree> make_dir_tree(const std::filesystem::path& root) {
  if (root == "/") return std::make_unique<LiveTree>();
  return std::make_unique<RootedTree>(root);
}

}  // namespace numapin
