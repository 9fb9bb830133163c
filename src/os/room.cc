#include "os/room.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "base/numbers.h"
#include "base/text.h"
#include "os/filler.h"

namespace numapin {
namespace {

using Clock = std::chrono::steady_clock;

/// Small enough to stop in time, large enough that reading the counters between two steps costs nothing.
constexpr std::uint64_t kFillStep = 32 << 20, kReclaimStep = 256 << 20;

std::string node_file(NodeId node, std::string_view name) {
  return fmt::format("/sys/devices/system/node/node{}/{}", number(node), name);
}

std::optional<NodeMemory> read_memory(NodeId node, const FileTree& tree) {
  const auto text = tree.read(node_file(node, "meminfo"));
  if (!text) return std::nullopt;
  const auto memory = parse_node_memory(*text);
  return memory ? std::optional(*memory) : std::nullopt;
}

/// "NAME VALUE" lines, as in /proc/vmstat and, with a colon, /proc/meminfo.
std::optional<std::uint64_t> read_counter(const FileTree& tree, std::string_view path, std::string_view name) {
  const auto text = tree.read(path);
  if (!text) return std::nullopt;
  for (const auto line : split_lines(*text)) {
    const auto words = split_words(line);
    if (words.size() >= 2 && words[0] == name) return parse_number<std::uint64_t>(words[1]);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> read_value(const FileTree& tree, const std::string& path) {
  const auto text = tree.read(path);
  return text ? parse_number<std::uint64_t>(trim(*text)) : std::nullopt;  // "max" is no number: no limit
}

std::uint64_t swapped_out(const FileTree& tree) { return read_counter(tree, "/proc/vmstat", "pswpout").value_or(0); }

struct CgroupFiles {
  std::string_view root;
  std::vector<std::string_view> limits;
  std::string_view usage;
};
const CgroupFiles kVersion2{"/sys/fs/cgroup", {"memory.max", "memory.high"}, "memory.current"};
const CgroupFiles kVersion1{"/sys/fs/cgroup/memory", {"memory.limit_in_bytes"}, "memory.usage_in_bytes"};

void narrow(std::optional<std::uint64_t>& headroom, const FileTree& tree, const CgroupFiles& files, std::string path) {
  while (true) {
    const auto directory = std::string(files.root) + path;
    const auto used = read_value(tree, fmt::format("{}/{}", directory, files.usage));
    for (const auto limit_file : files.limits) {
      const auto limit = read_value(tree, fmt::format("{}/{}", directory, limit_file));
      if (!used || !limit) continue;
      const auto rest = *limit > *used ? *limit - *used : 0;
      headroom = std::min(headroom.value_or(rest), rest);
    }
    if (path.empty()) return;
    path.resize(path.rfind('/'));
  }
}

/// The narrowest limit on the way from our cgroup to the root. Inside a container the path may be of another
/// namespace; the container's own root is then the only level that exists.
std::optional<std::uint64_t> cgroup_headroom(const FileTree& tree) {
  std::optional<std::uint64_t> headroom;
  const auto text = tree.read("/proc/self/cgroup");
  if (!text) return headroom;
  for (const auto line : split_lines(*text)) {  // 0::/user.slice or 5:memory:/docker/1234
    const auto fields = split(line, ':');
    if (fields.size() < 3) continue;
    std::string path(line.substr(fields[0].size() + fields[1].size() + 2));
    if (path == "/" || path.find("/..") != path.npos) path.clear();
    if (fields[1].empty()) narrow(headroom, tree, kVersion2, path);
    if (fields[1].find("memory") != fields[1].npos) narrow(headroom, tree, kVersion1, path);
  }
  return headroom;
}

/// One write frees one step; the kernel answers EAGAIN when it could free only a part.
class ReclaimFile {
 public:
  explicit ReclaimFile(NodeId node) : fd_(open(node_file(node, "reclaim").c_str(), O_WRONLY | O_CLOEXEC)) {}
  ~ReclaimFile() {
    if (fd_ >= 0) close(fd_);
  }
  ReclaimFile(const ReclaimFile&) = delete;
  ReclaimFile& operator=(const ReclaimFile&) = delete;
  bool step(std::uint64_t bytes) const {
    // swappiness=0: page cache only. Documentation/admin-guide/cgroup-v2.rst, memory.reclaim; the node's file is alike.
    const auto text = fmt::format("{} swappiness=0", bytes);
    return fd_ >= 0 && write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }

 private:
  int fd_;
};

struct Work {
  NodeId node;
  const RoomWish& wish;
  const FileTree& tree;
  const RoomDecision& decision;
  Clock::time_point start;
  RoomProgress progress;
  std::optional<RoomStop> stopped = {};

  std::optional<RoomStop> look() {
    progress.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    progress.swapped_out_now = swapped_out(tree);
    if (const auto now = read_memory(node, tree)) progress.now = *now;
    return room_stop(progress, decision, wish);
  }

  void go() {
    if (decision.method == RoomMethod::kReclaimFile) {
      const ReclaimFile file(node);
      run(decision.reclaim, kReclaimStep, [&](std::uint64_t bytes) { return file.step(bytes); });
    } else {
      // What is free is taken first; only then does the kernel reclaim.
      Filler filler(node);
      run(decision.wanted_free, kFillStep, [&](std::uint64_t bytes) { return filler.take(bytes); });
    }
    look();
  }

  void run(std::uint64_t bytes, std::uint64_t step, const std::function<bool(std::uint64_t)>& take) {
    while (bytes > 0 && !(stopped = look())) {
      const auto now = std::min(bytes, step);
      if (!take(now)) return;
      bytes -= now;
    }
  }
};

std::string why_too_little(const Work& work) {
  if (!work.stopped) return "the kernel freed no more";
  switch (*work.stopped) {
    case RoomStop::kTime: return "the time for it was up";
    case RoomStop::kSwapping: return "programs' memory began to be swapped out";
    case RoomStop::kHalfOfCache: return "half of the clean cache was taken";
    case RoomStop::kEnough: break;
  }
  return {};
}

RoomReport report_on(const Work& work) {
  const NodeMemory &before = work.progress.before, &now = work.progress.now;
  const auto freed = now.free > before.free ? now.free - before.free : 0;
  RoomReport report{fmt::format("node {}: {} free, {} of page cache freed ({}, {} ms)", number(work.node),
                                size_words(now.free), size_words(freed),
                                work.decision.method == RoomMethod::kReclaimFile ? "reclaim file" : "filler",
                                work.progress.elapsed.count()),
                    work.decision.shortage};
  // Others allocate and free meanwhile: nine tenths are what was wanted.
  const bool too_little = now.free < work.decision.wanted_free / 10 * 9;
  if (too_little && report.shortage.empty()) {
    report.shortage = fmt::format("node {}: {} were wanted free: {}", number(work.node),
                                  size_words(work.decision.wanted_free), why_too_little(work));
  }
  return report;
}

}  // namespace

RoomMeans read_room_means(NodeId node, const FileTree& tree) {
  RoomMeans means;
  means.reclaim_file = access(node_file(node, "reclaim").c_str(), W_OK) == 0;
  if (means.reclaim_file) return means;
  means.cgroup_headroom = cgroup_headroom(tree);
  means.swap_on = read_counter(tree, "/proc/meminfo", "SwapTotal:").value_or(0) > 0;
  means.panic_on_oom = read_value(tree, "/proc/sys/vm/panic_on_oom") == 2;
  return means;
}

RoomReport make_room(NodeId node, const RoomWish& wish, const FileTree& tree,
                     std::chrono::steady_clock::time_point start) {
  if (wish.mode == RoomWish::Mode::kOff) return {};
  const auto before = read_memory(node, tree);
  if (!before) return {};
  // The usual case, a node with free memory, ends here: nothing else is read.
  if (decide_room(node, *before, wish, {}).wanted_free <= before->free) return {};
  const auto decision = decide_room(node, *before, wish, read_room_means(node, tree));
  if (decision.method == RoomMethod::kNone) return {{}, decision.shortage};
  const auto swapped = swapped_out(tree);
  Work work{node, wish, tree, decision, start, {*before, *before, swapped, swapped, {}}};
  work.go();
  return report_on(work);
}

}  // namespace numapin
