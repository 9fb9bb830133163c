// `--gpus N`: which N of the idle GPUs are best connected with each other.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "numapin/visible.h"
#include "plan/gpu_families.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

using Subset = std::vector<std::size_t>;  // positions among the candidates, ascending

/// Larger is better. A bond of more NVLinks stands above one of fewer; only the order of the numbers means anything.
int rank_of(LinkKind kind, int count) {
  switch (kind) {
    case LinkKind::kSelf:
    case LinkKind::kC2c:
    case LinkKind::kNvlink:
    case LinkKind::kXgmi: return 1000 + std::min(count, 99);
    case LinkKind::kPix: return 500;
    case LinkKind::kPxb: return 400;
    case LinkKind::kPhb: return 300;
    case LinkKind::kNode: return 200;
    case LinkKind::kSys:
    case LinkKind::kSoc: return 100;
    case LinkKind::kDisconnected: break;
  }
  return 0;
}

/// Where no source tells the link: what follows from the nodes.
LinkKind kind_by_nodes(const Gpu& a, const Gpu& b) {
  return a.numa_nodes && b.numa_nodes && a.numa_nodes->intersects(*b.numa_nodes) ? LinkKind::kNode : LinkKind::kSys;
}

class Search {
 public:
  Search(const Machine& m, std::vector<ChosenGpu> candidates, std::span<const GpuUse> use)
      : candidates_(std::move(candidates)), free_(candidates_.size(), 0) {
    const auto n = candidates_.size();
    ranks_.assign(n * n, 0);
    for (std::size_t i = 0; i < n; ++i) {
      gpus_.push_back(gpu_at(m, candidates_[i].gpu));
      for (const auto& u : use)
        if (u.gpu == candidates_[i].gpu) free_[i] = u.memory_free_bytes.value_or(0);
    }
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) ranks_[i * n + j] = pair_rank(m, *gpus_[i], *gpus_[j]);
  }

  Subset best(std::size_t count) const { return few(count) ? exhaustive(count) : greedy(count); }
  const ChosenGpu& at(std::size_t i) const { return candidates_[i]; }

  NodeSet nodes_of(const Subset& s) const {
    NodeSet nodes;
    for (const auto i : s)
      if (gpus_[i]->numa_nodes) nodes |= *gpus_[i]->numa_nodes;
    return nodes;
  }
  /// The pair with the worst link; the subset has at least two.
  std::pair<std::size_t, std::size_t> worst_pair(const Subset& s) const {
    std::pair worst{s[0], s[1]};
    for (std::size_t i = 0; i < s.size(); ++i)
      for (std::size_t j = i + 1; j < s.size(); ++j)
        if (rank(s[i], s[j]) < rank(worst.first, worst.second)) worst = {s[i], s[j]};
    return worst;
  }

 private:
  // The worse direction counts: a link is as good as its weaker half.
  static int pair_rank(const Machine& m, const Gpu& a, const Gpu& b) {
    const auto one_way = [&](const Gpu& from, const Gpu& to) {
      const auto* link = find_link(m, {DeviceRef::Type::kGpu, from.index}, {DeviceRef::Type::kGpu, to.index});
      return link != nullptr ? rank_of(link->kind, link->count.value_or(0)) : rank_of(kind_by_nodes(from, to), 0);
    };
    return std::min(one_way(a, b), one_way(b, a));
  }
  int rank(std::size_t i, std::size_t j) const { return ranks_[i * candidates_.size() + j]; }

  /// Larger is better. Ties go to the subset that was tried first: the one with lower indices.
  using Score = std::tuple<int, int, int, std::uint64_t>;
  Score score(const Subset& s) const {
    int worst = 2000, sum = 0;
    std::uint64_t memory = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      memory += free_[s[i]];
      for (std::size_t j = i + 1; j < s.size(); ++j) {
        worst = std::min(worst, rank(s[i], s[j]));
        sum += rank(s[i], s[j]);
      }
    }
    return {worst, sum, -nodes_of(s).size(), memory};
  }

  /// At most 13,000 subsets: 16 GPUs, any number of them.
  bool few(std::size_t count) const {
    double subsets = 1;
    for (std::size_t i = 0; i < count; ++i)
      subsets *= static_cast<double>(candidates_.size() - i) / static_cast<double>(i + 1);
    return subsets <= 13000;
  }

  Subset exhaustive(std::size_t count) const {
    Subset s(count), best;
    std::iota(s.begin(), s.end(), 0);
    for (Score most{-1, 0, 0, 0};;) {
      if (const auto now = score(s); best.empty() || now > most) {
        most = now;
        best = s;
      }
      // The next subset in lexicographic order: raise the last position that can be raised.
      auto i = count;
      while (i > 0 && s[i - 1] == candidates_.size() - count + i - 1) --i;
      if (i == 0) return best;
      std::iota(s.begin() + static_cast<std::ptrdiff_t>(i) - 1, s.end(), s[i - 1] + 1);
    }
  }

  /// Many partitions (AMD CPX shows 64 GPUs): grow a subset from each GPU, and keep the best.
  Subset greedy(std::size_t count) const {
    Subset best;
    for (std::size_t start = 0; start < candidates_.size(); ++start) {
      Subset s{start};
      while (s.size() < count) s = with_best_next(s);
      if (best.empty() || score(s) > score(best)) best = s;
    }
    return best;
  }
  Subset with_best_next(const Subset& s) const {
    Subset best;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (std::find(s.begin(), s.end(), i) != s.end()) continue;
      Subset grown = s;
      grown.insert(std::upper_bound(grown.begin(), grown.end(), i), i);
      if (best.empty() || score(grown) > score(best)) best = std::move(grown);
    }
    return best;
  }

  std::vector<ChosenGpu> candidates_;
  std::vector<const Gpu*> gpus_;
  std::vector<std::uint64_t> free_;
  std::vector<int> ranks_;
};

std::string link_words(const Machine& m, int from, int to) {
  const auto* link = find_link(m, {DeviceRef::Type::kGpu, from}, {DeviceRef::Type::kGpu, to});
  if (link != nullptr) return to_string(*link);
  return fmt::format("{} (by their nodes)", to_string(kind_by_nodes(*gpu_at(m, from), *gpu_at(m, to))));
}

}  // namespace

Result<GpuChoice> choose_best_connected(const Machine& m, const Allowance& a, int count, std::span<const GpuUse> use) {
  NUMAPIN_TRY(auto choice, visible_gpus(m, a));
  std::vector<ChosenGpu> idle;
  std::vector<int> busy;
  for (const auto& visible : choice.gpus) {
    const bool is_busy = std::any_of(use.begin(), use.end(), [&](const GpuUse& u) {
      return u.gpu == visible.gpu && u.busy.value_or(false);
    });
    if (is_busy) busy.push_back(visible.gpu);
    else idle.push_back(visible);
  }
  if (count < 1) return bad_input(fmt::format("choose {} GPUs: the number must be at least 1", count));
  const std::string left_out = busy.empty() ? "" : fmt::format(" ({} in use)", gpus_words(busy));
  if (count > static_cast<int>(idle.size()))
    return fail(Error::Kind::kNotFound, fmt::format("choose {} GPUs: {} are idle{}", count, idle.size(), left_out),
                fmt::format("ask for at most {}, or name the GPUs to use them although they are busy", idle.size()));
  const Search search(m, std::move(idle), use);
  const auto best = search.best(static_cast<std::size_t>(count));
  choice.named = true;
  choice.gpus.clear();
  for (const auto i : best) choice.gpus.push_back(search.at(i));
  std::string why = fmt::format("{} of the idle GPUs{}: {}", count, left_out, gpus_words(choice.gpus));
  if (best.size() > 1) {
    const auto [x, y] = search.worst_pair(best);
    why += fmt::format(", best connected: their worst link is {}", link_words(m, search.at(x).gpu, search.at(y).gpu));
  }
  if (const auto nodes = search.nodes_of(best); !nodes.empty()) why += ", on " + node_words(nodes);
  choice.because.push_back(std::move(why));
  return choice;
}

}  // namespace numapin
