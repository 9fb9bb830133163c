// What `watch` shows: two looks at the counters of nodes, GPUs and processes, turned into rates. Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "numapin/findings.h"
#include "numapin/machine.h"
#include "numapin/process.h"

namespace numapin {

// ---- a look: counters as they stand -----------------------------------------------------------------------------

struct NodeCounters {
  NodeId id{};  ///< key
  std::optional<std::uint64_t> free_bytes;
  /// Pages since boot (Documentation/admin-guide/numastat.rst): `hit` were wanted from this node and came from it,
  /// `miss` came from it though another was wanted, `foreign` were wanted from it and came from another.
  std::optional<std::uint64_t> hit_pages, miss_pages, foreign_pages;
  bool operator==(const NodeCounters&) const = default;
};

struct GpuCounters {
  int index = 0;  ///< key: Gpu::index
  std::optional<int> busy_percent;
  std::optional<double> rx_bytes_per_s, tx_bytes_per_s;  ///< PCIe, seen from the GPU
  bool operator==(const GpuCounters&) const = default;
};

struct ThreadCounters {
  int tid = 0;                    ///< key, with start_ticks
  std::uint64_t start_ticks = 0;  ///< since boot
  std::string name;
  std::uint64_t cpu_ticks = 0;    ///< user + system
  int last_cpu = 0;
  std::optional<std::uint64_t> migrations;
  bool operator==(const ThreadCounters&) const = default;
};

/// Where a process's memory was when it was last counted, which is not at every look.
struct MemoryPlace {
  NodeBytes own;         ///< without the page cache of files
  double time_s = 0;     ///< on the clock of WatchLook::time_s
  bool sampled = false;  ///< estimated from a sample of its pages
  bool operator==(const MemoryPlace&) const = default;
};

struct ProcessCounters {
  int pid = 0;                    ///< key, with start_ticks
  int user = 0;                   ///< the process that uses the GPU: itself, or the one it descends from
  std::uint64_t start_ticks = 0;
  std::string name, command;
  std::vector<int> gpus;          ///< Gpu::index
  std::uint64_t cpu_ticks = 0;    ///< of all threads, also of those that ended
  std::vector<ThreadCounters> threads;
  std::optional<MemoryPlace> memory;
  PlacementVerdict verdict;
  bool operator==(const ProcessCounters&) const = default;
};

struct WatchLook {
  double time_s = 0;  ///< steady clock
  std::vector<NodeCounters> nodes;
  std::vector<GpuCounters> gpus;
  std::vector<ProcessCounters> processes;
  std::vector<std::string> notes;
};

// ---- a frame: what the screen and a line of --json say ---------------------------------------------------------------

struct NodeRow {
  int id = 0;
  std::string cpulist;
  std::optional<std::uint64_t> total_bytes, free_bytes;
  std::optional<double> hit_per_s, miss_per_s, foreign_per_s;  ///< pages
  bool operator==(const NodeRow&) const = default;
};

struct GpuRow {
  int index = 0;
  std::string address, model;  ///< "" unknown
  std::string nodes;           ///< the nodes it is near to, "0-1"; "" unknown
  std::optional<int> busy_percent;
  std::optional<double> rx_bytes_per_s, tx_bytes_per_s;
  bool operator==(const GpuRow&) const = default;
};

struct ThreadRow {
  int tid = 0;
  std::string name;
  int last_cpu = 0;
  std::optional<bool> local;  ///< its last CPU is near the GPU; unknown where the GPU's node is
  std::optional<double> cpu_percent, migrations_per_s;
  bool operator==(const ThreadRow&) const = default;
};

struct ProcessRow {
  int pid = 0;
  int user = 0;  ///< see ProcessCounters
  std::string name, command;
  std::vector<int> gpus;
  /// 100 is one CPU. Of threads by the node they were last seen on; one that changed sides counts half to each.
  std::optional<double> cpu_local_percent, cpu_remote_percent;
  /// The rest: of threads that ended meanwhile; everything, where the GPU's node is unknown.
  std::optional<double> cpu_unplaced_percent;
  std::optional<std::uint64_t> memory_local_bytes, memory_remote_bytes;
  std::optional<double> memory_age_s;
  bool memory_sampled = false;
  std::optional<double> migrations_per_s;
  std::string state, verdict, mend;  ///< state: PlacementState's word
  std::vector<ThreadRow> threads;    ///< the busiest first
  bool operator==(const ProcessRow&) const = default;
};

struct WatchFrame {
  double unix_time = 0;
  double seconds = 0;  ///< between the two looks; 0: there was only one, and no rate is known
  std::string hostname;
  std::vector<NodeRow> nodes;
  std::vector<GpuRow> gpus;
  std::vector<ProcessRow> processes;  ///< by pid
  std::vector<std::string> notes;
  bool operator==(const WatchFrame&) const = default;
};

/// The frame of `now`; rates are those since `before` (null: the first look). `ticks_per_s` is the unit of CPU ticks.
WatchFrame make_frame(const Machine& m, const WatchLook* before, const WatchLook& now, double ticks_per_s);

}  // namespace numapin
