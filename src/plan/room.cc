#include "plan/room.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"

namespace numapin {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
/// auto: a job's first allocations, not its whole working set; the rest is what --make-room SIZE is for.
constexpr std::uint64_t kAutoAtMost = 16 * kGiB;
constexpr std::uint64_t kAutoPartOfNode = 8;
/// Pages the filler needs besides: its page tables, the kernel's own use while it reclaims.
constexpr std::uint64_t kCgroupSlack = 64 * kMiB;
constexpr std::chrono::milliseconds kAutoTime{3000}, kSizeTime{60000};

/// Without going below 0: the counters are read one after the other and may contradict each other.
std::uint64_t minus(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

std::uint64_t* field(NodeMemory& m, std::string_view name) {
  if (name == "MemTotal:") return &m.total;
  if (name == "MemFree:") return &m.free;
  if (name == "AnonPages:") return &m.anonymous;
  if (name == "Active(file):") return &m.file_active;
  if (name == "Inactive(file):") return &m.file_inactive;
  if (name == "Dirty:") return &m.dirty;
  if (name == "Writeback:") return &m.writeback;
  if (name == "Mapped:") return &m.mapped;
  return nullptr;
}

std::string shortage(NodeId node, const NodeMemory& m, std::uint64_t wanted, std::string_view reason) {
  return fmt::format("node {} is short of memory: {} free of the {} wanted, {} used, {} reclaimable; {}", number(node),
                     size_words(m.free), size_words(wanted), size_words(minus(m.total, m.free)), size_words(m.clean()),
                     reason);
}

/// The most cache a method may take; 0 with a reason where it may not be used at all.
struct Limit {
  std::uint64_t bytes = 0;
  std::string reason;
};

Limit limit_of(RoomMethod method, const NodeMemory& m, std::uint64_t wanted, const RoomMeans& means) {
  if (method == RoomMethod::kReclaimFile) return {m.clean() / 2, {}};
  if (means.panic_on_oom) {
    return {0, "vm.panic_on_oom=2 forbids trying; --memory bind makes the kernel reclaim by itself"};
  }
  if (means.swap_on) {
    return {0, "with swap on, cache cannot be freed without risk to programs' memory on this kernel; --memory bind "
               "makes the kernel reclaim by itself"};
  }
  if (means.cgroup_headroom && *means.cgroup_headroom < wanted + kCgroupSlack) {
    return {0, fmt::format("the cgroup's memory limit leaves {}: raise it, or give a smaller --make-room",
                           size_words(*means.cgroup_headroom))};
  }
  return {m.clean_inactive() / 2, {}};
}

}  // namespace

std::uint64_t NodeMemory::clean() const { return minus(file_active + file_inactive, dirty + writeback + mapped); }
std::uint64_t NodeMemory::clean_inactive() const { return minus(file_inactive, dirty + writeback); }

Result<NodeMemory> parse_node_memory(std::string_view text) {
  NodeMemory m;
  for (const auto line : split_lines(text)) {
    const auto words = split_words(line);  // Node 0 MemFree: 123 kB
    if (words.size() < 4 || words[0] != "Node") continue;
    auto* to = field(m, words[2]);
    if (to == nullptr) continue;
    const auto kib = parse_number<std::uint64_t>(words[3]);
    if (!kib) return bad_input(fmt::format("parse node meminfo: {} is not a number", words[3]));
    *to = *kib * 1024;
  }
  if (m.total == 0 || m.total < m.free) return bad_input("parse node meminfo: MemTotal is missing or below MemFree");
  return m;
}

Result<RoomWish> parse_room_wish(std::string_view text) {
  if (text == "auto") return RoomWish{};
  if (text == "off") return RoomWish{RoomWish::Mode::kOff, 0};
  constexpr std::string_view kUnits = "kmgt";
  auto digits = text;
  int shift = 0;
  if (!digits.empty()) {
    const auto unit = kUnits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(digits.back()))));
    if (unit != kUnits.npos) {
      shift = 10 * static_cast<int>(unit + 1);
      digits.remove_suffix(1);
    }
  }
  const auto value = parse_number<std::uint64_t>(digits);
  if (!value || *value == 0 || *value > (~std::uint64_t{0} >> shift)) {
    return bad_input(fmt::format("--make-room {}: not a size", text), "write 8G, 512M, auto or off");
  }
  return RoomWish{RoomWish::Mode::kSize, *value << shift};
}

RoomDecision decide_room(NodeId node, const NodeMemory& m, const RoomWish& wish, const RoomMeans& means) {
  RoomDecision d;
  if (wish.mode == RoomWish::Mode::kOff) return d;
  const bool is_auto = wish.mode == RoomWish::Mode::kAuto;
  d.wanted_free = is_auto ? std::min(kAutoAtMost, m.total / kAutoPartOfNode) : wish.bytes;
  if (m.free >= d.wanted_free) return d;
  const std::uint64_t missing = d.wanted_free - m.free;
  if (d.wanted_free > m.total || m.clean() < (is_auto ? 2 * missing : 1)) {
    d.shortage = shortage(node, m, d.wanted_free, "what does not fit will come from other nodes: end what uses node "
                                                  "memory, or take less");
    return d;
  }
  const auto method = means.reclaim_file ? RoomMethod::kReclaimFile : RoomMethod::kFiller;
  const auto limit = limit_of(method, m, d.wanted_free, means);
  if (limit.bytes == 0) {
    d.shortage = shortage(node, m, d.wanted_free,
                          limit.reason.empty() ? "its cache is dirty or in use: write it back (sync), or wait"
                                               : limit.reason);
    return d;
  }
  d.method = method;
  d.reclaim = std::min(missing, limit.bytes);
  if (d.reclaim < missing) {
    d.shortage = shortage(node, m, d.wanted_free, "no more than half of the clean cache is taken");
    d.wanted_free = m.free + d.reclaim;
  }
  return d;
}

std::optional<RoomStop> room_stop(const RoomProgress& p, const RoomDecision& d, const RoomWish& wish) {
  if (p.swapped_out_now > p.swapped_out_before) return RoomStop::kSwapping;
  if (d.method == RoomMethod::kReclaimFile && p.now.free >= d.wanted_free) return RoomStop::kEnough;
  const auto taken = minus(p.before.clean(), p.now.clean());
  const auto most = d.method == RoomMethod::kReclaimFile ? p.before.clean() / 2 : p.before.clean_inactive() / 2;
  if (taken >= most) return RoomStop::kHalfOfCache;
  if (p.elapsed >= (wish.mode == RoomWish::Mode::kAuto ? kAutoTime : kSizeTime)) return RoomStop::kTime;
  return std::nullopt;
}

std::string size_words(std::uint64_t bytes) {
  if (bytes < kGiB) return fmt::format("{} MiB", bytes / kMiB);
  const double gib = static_cast<double>(bytes) / static_cast<double>(kGiB);
  return gib < 10 ? fmt::format("{:.1f} GiB", gib) : fmt::format("{:.0f} GiB", gib);
}

}  // namespace numapin
