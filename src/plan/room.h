// How much clean page cache of a node to free before a job starts there, and when to stop. Numbers in, decision out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "numapin/id_set.h"
#include "numapin/result.h"

namespace numapin {

/// One node's memory, from /sys/devices/system/node/nodeN/meminfo, in bytes.
struct NodeMemory {
  std::uint64_t total = 0, free = 0;
  std::uint64_t anonymous = 0;                    ///< AnonPages: what must never be pushed out
  std::uint64_t file_active = 0, file_inactive = 0;
  std::uint64_t dirty = 0, writeback = 0;
  std::uint64_t mapped = 0;                       ///< files that running programs have mapped: their code, for one
  /// Page cache that can go without a write: no more than this, as dirty and mapped pages may be in both lists.
  std::uint64_t clean() const;
  std::uint64_t clean_inactive() const;
};
/// Lines "Node 0 MemFree:   123 kB"; kBadInput where MemTotal or MemFree is missing.
Result<NodeMemory> parse_node_memory(std::string_view text);

/// --make-room
struct RoomWish {
  enum class Mode { kOff, kAuto, kSize } mode = Mode::kAuto;
  std::uint64_t bytes = 0;  ///< kSize: free memory wanted
};
/// "off", "auto", "8G", "512M", "1073741824"; powers of 1024. kBadInput otherwise.
Result<RoomWish> parse_room_wish(std::string_view text);

/// What the system lets us do.
struct RoomMeans {
  bool reclaim_file = false;                        ///< the node's reclaim file exists and is writable
  std::optional<std::uint64_t> cgroup_headroom;     ///< below memory.max and memory.high, over all levels; none: no limit
  /// Reclaim may push programs' memory out to swap. The reclaim file can be told not to (swappiness=0), the filler not.
  bool swap_on = false;
  bool panic_on_oom = false;                        ///< vm.panic_on_oom is 2: any out-of-memory stops the machine
};

enum class RoomMethod {
  kNone,
  kReclaimFile,  ///< write to nodeN/reclaim
  kFiller,       ///< a child that takes memory of the node and gives it back
};
struct RoomDecision {
  RoomMethod method = RoomMethod::kNone;
  std::uint64_t wanted_free = 0;  ///< free memory that is enough
  std::uint64_t reclaim = 0;      ///< cache to free
  std::string shortage;           ///< what the user should know where it will not be enough; "" otherwise
};
RoomDecision decide_room(NodeId node, const NodeMemory& memory, const RoomWish& wish, const RoomMeans& means);

/// Why the work must end before the next step; nothing: go on.
struct RoomProgress {
  NodeMemory before, now;
  std::uint64_t swapped_out_before = 0, swapped_out_now = 0;  ///< pages, pswpout of /proc/vmstat
  std::chrono::milliseconds elapsed{};
};
enum class RoomStop { kEnough, kHalfOfCache, kSwapping, kTime };
std::optional<RoomStop> room_stop(const RoomProgress& progress, const RoomDecision& decision, const RoomWish& wish);

/// "1.5 GiB", "44 MiB"
std::string size_words(std::uint64_t bytes);

}  // namespace numapin
