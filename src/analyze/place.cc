// Which GPUs for a pattern, in which order, and which NIC for each.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "analyze/prepared.h"
#include "analyze/ring_search.h"
#include "base/combinations.h"
#include "machine/gpu_pairs.h"
#include "numapin/analyze.h"

namespace numapin {
namespace {

using Subset = std::vector<std::size_t>;  // positions among the candidates

constexpr std::size_t kExactGpus = 16;   // 12,870 subsets at most
constexpr std::size_t kExactRing = 8;    // 5,040 orders of each
constexpr double kSame = 1e-6;           // rates that differ by less are one
constexpr double kInfinite = std::numeric_limits<double>::infinity();

DeviceRef gpu_ref(int index) { return {DeviceRef::Type::kGpu, index}; }

class Placer {
 public:
  Placer(const Machine& m, const LinkGraph& g, Pattern p, std::vector<int> among)
      : m_(m), g_(g), pattern_(p), among_(std::move(among)), pairs_(m, gpus()), routes_(g) {
    for (const auto& a : among_)
      for (const auto& b : among_) alone_.push_back(a == b ? kInfinite : alone(a, b));
  }

  Placing best(std::size_t count) {
    if (among_.size() > kExactGpus) return grown(count);
    find_ring_bounds(count);
    struct Candidate {
      Subset subset;
      double bound;
      GpuPairs::Score score;
    };
    std::vector<Candidate> all;
    auto s = first_combination(count);
    do all.push_back({s, bound(s), pairs_.score(s)});
    while (next_combination(s, among_.size()));
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.bound != b.bound ? a.bound > b.bound : a.score > b.score; });
    std::optional<Candidate> best;
    Tried most;
    bool exact = true;
    for (auto& c : all) {
      // What is left can at most reach its bound.
      if (best && (c.bound < most.rate * (1 - kSame) || (c.bound <= most.rate * (1 + kSame) && c.score <= best->score))) continue;
      // Of subsets as fast as the best, the better connected one is wanted too.
      const bool wins_ties = best && c.score > best->score;
      const double floor = wins_ties ? most.rate * (1 - 3 * kSame) : most.rate;
      auto tried = best_order(c.subset, c.bound, floor);
      exact = exact && tried.is_best;
      if (best && tried.rate <= (wins_ties ? most.rate * (1 - 2 * kSame) : most.rate * (1 + kSame))) continue;
      most = std::move(tried);
      best = c;
    }
    return placing(best->subset, most.order, exact);
  }

  Placing in_order(std::size_t count) {
    const auto s = first_combination(count);
    return placing(s, s, true);
  }

 private:
  std::vector<const Gpu*> gpus() const {
    std::vector<const Gpu*> found;
    for (const int index : among_)
      found.push_back(&*std::find_if(m_.gpus.begin(), m_.gpus.end(), [&](const Gpu& x) { return x.index == index; }));
    return found;
  }
  double alone(int from, int to) {
    const auto* route = routes_.of(gpu_ref(from), gpu_ref(to));
    if (route == nullptr || !route->cannot_know.empty()) return 0;  // not to be relied on
    return route->gb_per_s.value_or(0);
  }
  double pair(std::size_t i, std::size_t j) const { return alone_[i * among_.size() + j]; }

  /// GB/s of the slowest flow of the pattern over these GPUs in this order.
  double slowest(const Subset& order) {
    std::vector<int> gpus;
    for (const auto i : order) gpus.push_back(among_[i]);
    const auto set = flows_of(m_, g_, pattern_, gpus);
    const Prepared p(g_, set, routes_);
    const auto shares = share_max_min(p.capacity, p.table);
    double least = kInfinite;
    for (const auto& flow : p.flows) {
      if (flow.route == nullptr || !flow.route->cannot_know.empty()) least = 0;
      else least = std::min(least, shares.rate[flow.row] * flow.share);
    }
    return std::isfinite(least) ? least : 0;
  }

  // ---- rings: the largest slowest link of a ring through each subset, by growing paths from its first GPU ----
  bool is_ring() const { return pattern_ == Pattern::kRing && among_.size() > 2; }
  double& path(std::size_t mask, std::size_t last) { return paths_[mask * among_.size() + last]; }
  void find_ring_bounds(std::size_t count) {
    if (!is_ring()) return;
    const auto n = among_.size();
    paths_.assign((std::size_t{1} << n) * n, -1);
    for (std::size_t i = 0; i < n; ++i) path(std::size_t{1} << i, i) = kInfinite;
    for (std::size_t mask = 1; mask < std::size_t{1} << n; ++mask) {
      if (static_cast<std::size_t>(__builtin_popcountll(mask)) >= count) continue;
      const auto first = static_cast<std::size_t>(__builtin_ctzll(mask));
      for (std::size_t last = 0; last < n; ++last) {
        const double so_far = path(mask, last);
        if (so_far < 0) continue;
        for (std::size_t next = first + 1; next < n; ++next) {
          if (mask >> next & 1) continue;
          auto& then = path(mask | std::size_t{1} << next, next);
          then = std::max(then, std::min(so_far, pair(last, next)));
        }
      }
    }
  }
  static std::size_t mask_of(const Subset& s) {
    std::size_t mask = 0;
    for (const auto i : s) mask |= std::size_t{1} << i;
    return mask;
  }
  /// The last GPU of the best ring through these, and its slowest link.
  std::pair<std::size_t, double> ring_end(const Subset& s) {
    std::pair<std::size_t, double> best{s.back(), -1};
    for (const auto last : s) {
      if (last == s.front()) continue;
      const double rate = std::min(path(mask_of(s), last), pair(last, s.front()));
      if (rate > best.second) best = {last, rate};
    }
    return best;
  }
  Subset ring_order(const Subset& s) {
    if (!is_ring() || s.size() < 3) return s;
    Subset order;
    auto mask = mask_of(s);
    auto [last, rate] = ring_end(s);
    while (last != s.front()) {
      order.push_back(last);
      const auto before = mask & ~(std::size_t{1} << last);
      const double reached = std::min(path(mask, last), rate);
      for (const auto i : s)
        if ((before >> i & 1) && path(before, i) >= reached && pair(i, last) >= reached) {
          mask = before;
          last = i;
          break;
        }
    }
    order.push_back(s.front());
    std::reverse(order.begin(), order.end());
    return order;
  }

  /// What the pattern cannot exceed: its flows alone on the machine.
  double bound(const Subset& s) {
    if (s.size() < 2) return kInfinite;
    if (is_ring() && s.size() > 2) return ring_end(s).second;
    double least = kInfinite;
    std::vector<int> gpus;
    for (const auto i : s) gpus.push_back(among_[i]);
    for (const auto& flow : flows_of(m_, g_, pattern_, gpus).flows) {
      const auto* route = routes_.of(flow.from, flow.to);
      least = std::min(least, route == nullptr || !route->cannot_know.empty() ? 0 : route->gb_per_s.value_or(kInfinite));
    }
    return least;
  }

  struct Tried {
    Subset order;
    double rate = -1;
    bool is_best = true;  ///< false: another order of these GPUs may be faster
  };
  /// Sharing may spoil the order that is best link by link: up to 8 GPUs, every order is tried that may beat `floor`.
  Tried best_order(const Subset& s, double limit, double floor) {
    Tried tried{s, slowest(s), true};
    if (!is_ring() || s.size() < 3 || tried.rate >= limit * (1 - kSame)) return tried;
    if (s.size() <= kExactRing) {
      auto found = rings().best(s, std::max(floor, tried.rate), limit);
      if (!found.order.empty()) tried = {std::move(found.order), found.rate, true};
      tried.is_best = rings().is_complete();
      return tried;
    }
    if (auto by_pairs = ring_order(s); slowest(by_pairs) > tried.rate * (1 + kSame)) {
      tried.rate = slowest(by_pairs);
      tried.order = std::move(by_pairs);
    }
    tried.is_best = tried.rate >= limit * (1 - kSame);
    return tried;
  }

  RingSearch& rings() {
    if (rings_) return *rings_;
    std::vector<double> capacity;
    for (const auto& c : g_.channels) capacity.push_back(c.capacity.gb_per_s.value_or(kInfinite));
    std::vector<RingHop> hops;
    for (const int a : among_)
      for (const int b : among_) {
        RingHop hop;
        const auto* route = a == b ? nullptr : routes_.of(gpu_ref(a), gpu_ref(b));
        if (route == nullptr || !route->cannot_know.empty()) hop.ceiling = 0;
        else if (route->ceiling) hop.ceiling = *route->ceiling;
        if (route != nullptr)
          for (const auto& use : route->uses)
            if (capacity[use.channel] < kInfinite) hop.uses.push_back(use);
        hops.push_back(std::move(hop));
      }
    return rings_.emplace(among_.size(), std::move(hops), std::move(capacity));
  }

  /// More than 16 GPUs (AMD CPX shows 64): grow a subset from each, by rank and rate.
  Placing grown(std::size_t count) {
    Subset best;
    double most = -1;
    for (std::size_t start = 0; start < among_.size(); ++start) {
      Subset s{start};
      while (s.size() < count) s.insert(std::upper_bound(s.begin(), s.end(), nearest(s)), nearest(s));
      const double rate = slowest(s);
      if (rate > most * (1 + kSame) || (rate >= most && pairs_.score(s) > pairs_.score(best))) {
        most = rate;
        best = s;
      }
    }
    return placing(best, best, false);
  }
  std::size_t nearest(const Subset& s) const {
    std::size_t best = among_.size();
    std::pair<double, int> most{-1, -1};
    for (std::size_t i = 0; i < among_.size(); ++i) {
      if (std::binary_search(s.begin(), s.end(), i)) continue;
      std::pair<double, int> now{kInfinite, std::numeric_limits<int>::max()};
      for (const auto j : s) now = {std::min({now.first, pair(i, j), pair(j, i)}), std::min(now.second, pairs_.rank(i, j))};
      if (now > most) {
        most = now;
        best = i;
      }
    }
    return best;
  }

  Placing placing(const Subset& s, const Subset& order, bool exact) {
    Placing p;
    for (const auto i : s) p.gpus.push_back(among_[i]);
    for (const auto i : order) p.ring.push_back(among_[i]);
    if (const double rate = slowest(order); rate > 0) p.slowest = rate;
    p.exact = exact;
    return p;
  }

  const Machine& m_;
  const LinkGraph& g_;
  Pattern pattern_;
  std::vector<int> among_;
  GpuPairs pairs_;
  RouteCache routes_;
  std::vector<double> alone_, paths_;
  std::optional<RingSearch> rings_;
};

}  // namespace

Result<PlaceResult> place_gpus(const Machine& m, const LinkGraph& g, int count, Pattern p, std::vector<int> among) {
  std::sort(among.begin(), among.end());
  if (count < 1) return bad_input(fmt::format("place {} GPUs: the number must be at least 1", count));
  if (count > static_cast<int>(among.size()))
    return fail(Error::Kind::kNotFound, fmt::format("place {} GPUs: there are {}", count, among.size()), "ask for fewer");
  Placer placer(m, g, p, std::move(among));
  return PlaceResult{placer.best(static_cast<std::size_t>(count)), placer.in_order(static_cast<std::size_t>(count))};
}

std::vector<NicPair> pair_nics(const Machine& m, const LinkGraph& g, std::span<const int> gpus) {
  std::vector<DeviceRef> nics;
  const bool any_rdma = std::any_of(m.nics.begin(), m.nics.end(), [](const Nic& n) { return n.infiniband; });
  // Where there are RDMA devices, GPUs talk through them; the server's own Ethernet ports are for people.
  for (const auto& nic : m.nics)
    if (nic.infiniband || !any_rdma) nics.push_back({DeviceRef::Type::kNic, nic.index});
  std::map<int, int> used;
  std::vector<NicPair> pairs;
  for (const int gpu : gpus) {
    const auto routes = find_routes(g, gpu_ref(gpu), nics);
    std::optional<NicPair> best;
    const auto better = [&](const NicPair& a, const NicPair& b) {
      const double rate_a = a.gb_per_s.value_or(0), rate_b = b.gb_per_s.value_or(0);
      if (a.reach != b.reach) return a.reach < b.reach;
      if (std::abs(rate_a - rate_b) > kSame) return rate_a > rate_b;
      return used[a.nic] < used[b.nic];
    };
    for (std::size_t i = 0; i < nics.size(); ++i) {
      if (!routes[i]) continue;
      const NicPair pair{gpu, nics[i].index, routes[i]->gb_per_s, routes[i]->reach};
      if (!best || better(pair, *best)) best = pair;
    }
    if (!best) continue;
    ++used[best->nic];
    pairs.push_back(*best);
  }
  return pairs;
}

}  // namespace numapin
