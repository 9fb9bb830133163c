#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "plan/policy.h"

namespace numapin {
namespace {

/// Groups by equal node sets, the smaller sets first: a GPU with one node has no other choice.
std::vector<SeatGroup> by_equal_nodes(const std::vector<Seat>& seats) {
  std::vector<SeatGroup> groups;
  for (std::size_t i = 0; i < seats.size(); ++i) {
    const auto& nodes = seats[i].where.cpu_nodes;
    if (nodes.empty()) continue;
    auto it = std::find_if(groups.begin(), groups.end(), [&](const SeatGroup& s) { return s.nodes == nodes; });
    if (it == groups.end()) it = groups.insert(it, {nodes, {}});
    it->seats.push_back(i);
  }
  std::stable_sort(groups.begin(), groups.end(), [](const SeatGroup& x, const SeatGroup& y) {
    return std::pair(x.nodes.size(), x.nodes) < std::pair(y.nodes.size(), y.nodes);
  });
  return groups;
}

double cores_a_seat(const Ground& g, const NodeSet& nodes, std::size_t seats) {
  return static_cast<double>(g.cores_on(nodes).size()) / static_cast<double>(seats);
}

/// Splits off the part of a group that lies in `nodes`, with a fair number of its seats once one more has come; the
/// part is the last group then. Every seat of the group may use all of the group's nodes.
void split_off(const Ground& g, std::vector<SeatGroup>& groups, std::size_t at, const NodeSet& nodes) {
  auto& whole = groups[at];
  SeatGroup part{whole.nodes & nodes, {}};
  const double fair = static_cast<double>(g.cores_on(part.nodes).size()) / cores_a_seat(g, whole.nodes, whole.seats.size() + 1);
  whole.nodes -= nodes;
  while (static_cast<double>(part.seats.size()) + 1.5 < fair && whole.seats.size() > 1) {
    part.seats.push_back(whole.seats.front());
    whole.seats.erase(whole.seats.begin());
  }
  groups.push_back(std::move(part));
}

/// Seats a GPU all of whose nodes belong to groups already: where most cores a seat are left.
void join(const Ground& g, std::vector<SeatGroup>& groups, std::size_t seat, const NodeSet& nodes) {
  std::size_t best = groups.size();
  double most = -1;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].nodes.intersects(nodes)) continue;
    const double room = cores_a_seat(g, groups[i].nodes, groups[i].seats.size() + 1);
    if (room <= most) continue;
    most = room;
    best = i;
  }
  if (!nodes.contains(groups[best].nodes)) {
    split_off(g, groups, best, nodes);
    best = groups.size() - 1;
  }
  groups[best].seats.push_back(seat);
}

}  // namespace

std::vector<SeatGroup> group_seats(const Ground& g, const std::vector<Seat>& seats) {
  std::vector<SeatGroup> groups;
  NodeSet taken;
  for (auto& wish : by_equal_nodes(seats)) {
    if (const auto left = wish.nodes - taken; !left.empty()) {
      taken |= left;
      groups.push_back({left, std::move(wish.seats)});
      continue;
    }
    for (const auto seat : wish.seats) join(g, groups, seat, wish.nodes);
  }
  for (auto& group : groups) std::sort(group.seats.begin(), group.seats.end());
  return groups;
}

std::vector<NodeSet> home_nodes(const Ground& g, const Demand& d) {
  std::vector<NodeSet> homes(d.seats.size());
  if (!d.one_process_per_gpu) {
    for (std::size_t i = 0; i < d.seats.size(); ++i) homes[i] = d.seats[i].where.cpu_nodes;
    return homes;
  }
  for (const auto& group : group_seats(g, d.seats)) {
    const std::vector<NodeId> nodes(group.nodes.begin(), group.nodes.end());
    const auto seats = group.seats.size();
    for (std::size_t i = 0; i < seats; ++i) {
      // Fewer seats than nodes: each gets a run of nodes; else each gets one, in runs of seats.
      const auto first = i * nodes.size() / seats;
      const auto end = std::max(first + 1, (i + 1) * nodes.size() / seats);
      for (auto n = first; n < end; ++n) homes[group.seats[i]].insert(nodes[n]);
    }
  }
  return homes;
}

NodeSet nodes_of(const Process& p, const std::vector<NodeSet>& homes) {
  NodeSet nodes;
  for (const auto seat : p.seats) nodes |= homes[seat];
  return nodes;
}

std::string reasons_of(const Demand& d, const Process& p) {
  std::vector<std::string> reasons;
  for (const auto seat : p.seats) reasons.push_back(d.seats[seat].where.reason);
  return join(reasons, "; ");
}

std::vector<int> balanced_sizes(const std::vector<UsableCore>& cores, int parts) {
  const int n = static_cast<int>(cores.size());
  const int base = n / parts, larger = n % parts;
  const auto cuts_l3 = [&](int at) {
    if (at <= 0 || at >= n) return false;
    const int before = cores[static_cast<std::size_t>(at) - 1].l3, after = cores[static_cast<std::size_t>(at)].l3;
    return before >= 0 && before == after;
  };
  // cost[i][j]: least number of cut L3 groups in the first i parts, j of which are larger. took[i][j]: part i is larger.
  const auto width = static_cast<std::size_t>(larger) + 1;
  const auto rows = static_cast<std::size_t>(parts) + 1;
  constexpr int kNever = std::numeric_limits<int>::max() / 2;
  std::vector<int> cost(rows * width, kNever);
  std::vector<char> took(rows * width, 0);
  cost[0] = 0;
  for (std::size_t i = 1; i < rows; ++i)
    for (std::size_t j = 0; j < width && j <= i; ++j) {
      const int cut = cuts_l3(static_cast<int>(i) * base + static_cast<int>(j)) ? 1 : 0;
      const int with = j > 0 ? cost[(i - 1) * width + j - 1] : kNever;
      const int without = cost[(i - 1) * width + j];
      // Of equal ways, the one whose earlier parts are the larger ones.
      took[i * width + j] = with < without;
      cost[i * width + j] = std::min(with, without) + cut;
    }
  std::vector<int> sizes(static_cast<std::size_t>(parts), base);
  auto j = width - 1;
  for (auto i = rows - 1; i > 0; --i)
    if (took[i * width + j]) {
      ++sizes[i - 1];
      --j;
    }
  return sizes;
}

}  // namespace numapin
