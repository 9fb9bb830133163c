#include "files/held_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "files/failed.h"

namespace numapin {
namespace {

Result<std::string> read_from_start(int fd, std::string_view path) {
  char page[4096];
  std::string out;
  while (true) {
    const auto n = ::pread(fd, page, sizeof page, static_cast<off_t>(out.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return files::failed(errno, "read", path);
    if (n == 0) return out;
    out.append(page, static_cast<std::size_t>(n));
  }
}

}  // namespace

HeldTree::HeldTree(std::size_t most_files) : live_(make_dir_tree("/")), most_files_(most_files) {}

HeldTree::~HeldTree() {
  for (const auto& [path, file] : files_) ::close(file.fd);
}

Result<std::string> HeldTree::read(std::string_view path) const {
  auto at = files_.find(std::string(path));
  if (at == files_.end()) {
    if (files_.size() >= most_files_) return live_->read(path);
    const int fd = ::open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return files::failed(errno, "read", path);
    at = files_.emplace(path, File{fd, now_}).first;
  }
  auto text = read_from_start(at->second.fd, path);
  at->second.last_read = now_;
  if (!text) {  // it has ended; whoever comes after it is opened anew
    ::close(at->second.fd);
    files_.erase(at);
  }
  return text;
}

void HeldTree::sweep() {
  std::erase_if(files_, [&](const auto& entry) {
    const bool old = now_ - entry.second.last_read > 1;
    if (old) ::close(entry.second.fd);
    return old;
  });
  ++now_;
}

}  // namespace numapin
