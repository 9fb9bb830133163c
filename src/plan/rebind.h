// What changes when a running process goes to another place: a new mask for each thread, and pages from node to node.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"
#include "numapin/process.h"
#include "numapin/result.h"

namespace numapin {

/// Where a process goes.
struct RebindTarget {
  CpuSet cpus;         ///< empty: leave the masks alone
  NodeSet nodes;       ///< where its pages go; empty: leave them where they are
  bool named = false;  ///< these very CPUs were asked for: a mask that already lies inside is widened to them
  bool force = false;  ///< every thread gets all of `cpus`, also those with a mask of their own
  bool operator==(const RebindTarget&) const = default;
};

struct ThreadChange {
  int tid = 0;
  CpuSet before, after;    ///< equal: nothing to do
  bool own_shape = false;  ///< it had a mask of its own, which was carried over
  bool operator==(const ThreadChange&) const = default;
};

struct PageMove {
  int from = 0, to = 0;
  std::uint64_t bytes = 0;  ///< on `from`, without the page cache of files
  bool operator==(const PageMove&) const = default;
};

struct ProcessChange {
  int pid = 0;
  std::uint64_t start_ticks = 0;  ///< with the pid it names the process for good
  std::string name;
  std::vector<ThreadChange> threads;
  std::vector<PageMove> moves;
  std::vector<std::string> warnings;
  bool operator==(const ProcessChange&) const = default;
};

/// All CPUs that any thread of these processes may use: the job's mask. A thread with less has a mask of its own.
CpuSet whole_mask(std::span<const ProcessInfo> processes);

/// The mask of a thread after the move. A mask of its own (less than `whole`, and not simply all CPUs of some nodes)
/// keeps its shape: core for core and sibling for sibling, counted within the node, folded where the target is smaller.
ThreadChange change_thread(const Machine& m, const ThreadInfo& thread, const CpuSet& whole, const RebindTarget& target);

/// Everything that changes of one process. Pages move only from nodes outside the target, each node to one of the
/// target's: with several on both sides they are paired in order.
ProcessChange change_process(const Machine& m, const ProcessInfo& p, const CpuSet& whole, const RebindTarget& target);

bool changes_anything(const ProcessChange& change);

/// What `rebind --undo` needs, as a file (schema "numapin/rebind-state/1").
struct RebindState {
  std::string boot_id;  ///< process numbers and start times mean nothing after a reboot
  std::vector<ProcessChange> processes;  ///< masks only; moves and warnings are not kept
};
std::string to_json(const RebindState& state);
/// Errors: kBadInput, naming what is wrong.
Result<RebindState> parse_rebind_state(std::string_view text, const std::string& name);

/// The changes that take `processes`, as they are now, back. Threads that are not in the state were created since: they
/// have their maker's new mask and get its old one. Processes of the state that ended, or whose number is another
/// process's by now, are left out.
std::vector<ProcessChange> undo_changes(const RebindState& state, std::span<const ProcessInfo> processes);

}  // namespace numapin
