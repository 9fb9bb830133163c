// exclusive: the cores near each GPU, divided among all GPUs that are near them, chosen or not, so that a second job on
// the machine finds its own. Cores are never split; a GPU's processes divide its share further.
#include <fmt/format.h>

#include <algorithm>

#include "plan/policy.h"

namespace numapin {
namespace {

using Cores = std::vector<UsableCore>;

CpuSet cpus_in(const Cores& cores, std::size_t from, std::size_t count) {
  CpuSet cpus;
  for (auto i = from; i < from + count && i < cores.size(); ++i) cpus |= cores[i].cpus;
  return cpus;
}

/// `parts` parts of the cores, disjoint where there are enough of them; else one core each, in turn.
std::vector<Cores> divide(const Cores& cores, int parts) {
  std::vector<Cores> shares;
  if (static_cast<int>(cores.size()) < parts) {
    for (int i = 0; i < parts && !cores.empty(); ++i)
      shares.push_back({cores[static_cast<std::size_t>(i) * cores.size() / static_cast<std::size_t>(parts)]});
    return shares;
  }
  auto from = cores.begin();
  for (const int size : balanced_sizes(cores, parts)) {
    shares.emplace_back(from, from + size);
    from += size;
  }
  return shares;
}

/// What each seat has, and how it is told.
struct SeatShare {
  Cores cores;
  std::string because;
  std::vector<std::string> warnings;
};

std::string who(const std::vector<Seat>& seats, const std::vector<std::size_t>& members) {
  if (seats[members[0]].gpu < 0) return fmt::format("{} processes", members.size());
  NodeSet indices;  // only for its printing
  for (const auto i : members) indices.insert(NodeId{seats[i].gpu});
  return fmt::format("{} {}", members.size() == 1 ? "GPU" : "GPUs", indices.to_list());
}

/// A mask that was squeezed before we came is the usual reason: a launcher's binding, a job's or container's cpuset.
std::string how_to_mend(const Ground& g, const NodeSet& nodes) {
  const auto left_out = (cpus_of(g.m, nodes) & online_cpus(g.m)) - g.allowed;
  if (left_out.empty()) return "Start fewer";
  return fmt::format("This process may not use CPUs {} there: allow them (Slurm: --cpus-per-task, or srun --cpu-bind=none; "
                     "Open MPI: --bind-to none; containers: --cpuset-cpus), or start fewer",
                     left_out.to_list());
}

void share_group(const Ground& g, const Demand& d, const SeatGroup& group, std::vector<SeatShare>& shares) {
  const auto cores = g.cores_on(group.nodes);
  auto members = group.seats;
  std::string note;
  if (cores.size() < members.size()) {
    // Too few for everybody: those of this job are served, and it is said.
    std::erase_if(members, [&](std::size_t i) { return d.seats[i].processes == 0; });
    note = fmt::format("{} allowed cores on {} for {}: they are shared among {} of this job only, and another job there "
                       "would overlap",
                       cores.size(), node_words(group.nodes), who(d.seats, group.seats),
                       members.empty() ? "those" : who(d.seats, members));
    if (members.empty()) return;
    if (cores.size() < members.size())
      note = fmt::format("{} allowed cores on {} for {}: they overlap. {}", cores.size(), node_words(group.nodes),
                         who(d.seats, members), how_to_mend(g, group.nodes));
  }
  const auto parts = divide(cores, static_cast<int>(members.size()));
  for (std::size_t i = 0; i < members.size(); ++i) {
    auto& share = shares[members[i]];
    share.cores = parts[i];
    share.because = fmt::format("share {} of {}, {} of {} cores of {}, counted over {}", i + 1, members.size(),
                                parts[i].size(), cores.size(), node_words(group.nodes), who(d.seats, members));
    if (!note.empty()) share.warnings.push_back(note);
  }
}

}  // namespace

std::vector<Share> place_exclusive(const Ground& g, const Demand& d) {
  std::vector<SeatShare> seats(d.seats.size());
  for (const auto& group : group_seats(g, d.seats)) share_group(g, d, group, seats);
  std::vector<Share> shares;
  for (const auto& process : d.processes) {
    Share share;
    for (std::size_t i = 0; i < process.seats.size() && !process.unknown; ++i) {
      const auto& seat = seats[process.seats[i]];
      const int sharers = d.seats[process.seats[i]].processes;
      const auto parts = divide(seat.cores, sharers);
      if (parts.empty()) continue;
      const auto& part = parts[static_cast<std::size_t>(process.slots[i])];
      share.cpus |= cpus_in(part, 0, part.size());
      share.because += (share.because.empty() ? "" : "; ") + seat.because;
      if (sharers > 1) share.because += fmt::format("; part {} of {} of it", process.slots[i] + 1, sharers);
      share.warnings.insert(share.warnings.end(), seat.warnings.begin(), seat.warnings.end());
      if (static_cast<int>(seat.cores.size()) < sharers)
        share.warnings.push_back(fmt::format("{} cores for {} processes of GPU {}: they overlap. Start fewer, or use "
                                             "--cpus node",
                                             seat.cores.size(), sharers, d.seats[process.seats[i]].gpu));
    }
    shares.push_back(std::move(share));
  }
  return shares;
}

}  // namespace numapin
