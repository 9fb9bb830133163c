// Frees clean page cache of a node before a job starts there. What and how much: plan/room.h decides.
#pragma once

#include <string>

#include "numapin/file_tree.h"
#include "plan/room.h"

namespace numapin {

/// What was done, for one line to the user.
struct RoomReport {
  std::string done;      ///< "node 0: 128 MiB free, 84 MiB of page cache freed (filler, 12 ms)"; "" where nothing was done
  std::string shortage;  ///< why it may not be enough; "" where it is
};

/// Looks at the node and frees cache as `wish` says: until 3 s after `start` with auto, which several nodes share.
/// `tree` is the live "/". Never an error: a node that cannot be read is left alone.
RoomReport make_room(NodeId node, const RoomWish& wish, const FileTree& tree,
                     std::chrono::steady_clock::time_point start);

/// What the system allows, read from `tree` (cgroup limits, swap, panic_on_oom) and tried (is the file writable).
RoomMeans read_room_means(NodeId node, const FileTree& tree);

}  // namespace numapin
