// CPU policies: one file each (policy_NAME.cc). Input: the ground and who wants a place; output: CPUs for each process.
#pragma once

#include <string>
#include <vector>

#include "plan/ground.h"

namespace numapin {

/// Who competes for cores: every GPU of the machine whose node is known, chosen or not; or, in a job without GPUs, its
/// processes.
struct Seat {
  int gpu = -1;          ///< Gpu::index; -1: a process without GPU
  Locality where;
  int processes = 0;     ///< of this job that sit here; 0: a GPU that was not chosen
};

/// A process to place: the seats of its GPUs, and which of the processes on that seat it is.
struct Process {
  std::vector<int> gpus;         ///< Gpu::index
  std::vector<std::size_t> seats;
  std::vector<int> slots;        ///< beside `seats`
  bool unknown = false;          ///< a GPU of it is at an unknown place
};

struct Demand {
  std::vector<Seat> seats;
  std::vector<Process> processes;
  bool one_process_per_gpu = false;
};

struct Share {
  CpuSet cpus;
  std::string because;
  std::vector<std::string> warnings;
};

// Each returns one share a process. Processes at an unknown place get an empty one.
std::vector<Share> place_node(const Ground& g, const Demand& d);
std::vector<Share> place_socket(const Ground& g, const Demand& d);
std::vector<Share> place_l3(const Ground& g, const Demand& d);
std::vector<Share> place_exclusive(const Ground& g, const Demand& d);
std::vector<Share> place_spread(const Ground& g, const Demand& d);

// ---- shared by the policies (seat_groups.cc) ---------------------------------------------------------------------

/// Seats that share the same nodes. No node is in two groups.
struct SeatGroup {
  NodeSet nodes;
  std::vector<std::size_t> seats;  ///< ascending
};
std::vector<SeatGroup> group_seats(const Ground& g, const std::vector<Seat>& seats);
/// Nodes of the seats, dealt out so that a seat with several nodes keeps few of them and all are used alike. A job with
/// one process keeps all nodes of its GPUs. One set a seat; empty: unknown place.
std::vector<NodeSet> home_nodes(const Ground& g, const Demand& d);
/// Union over the seats of a process.
NodeSet nodes_of(const Process& p, const std::vector<NodeSet>& homes);
/// The processes' own reasons, joined: "node 0 of GPU 0 (sysfs)"
std::string reasons_of(const Demand& d, const Process& p);

/// Sizes of `parts` contiguous parts of `cores`, equal to within one; where a part may be one larger, it is so that
/// parts end where an L3 group ends as often as possible. parts > cores: the first ones get one core each.
std::vector<int> balanced_sizes(const std::vector<UsableCore>& cores, int parts);

}  // namespace numapin
