// `--gpus N`: which N of the idle GPUs are best connected with each other.
#include <fmt/format.h>

#include <algorithm>

#include "base/combinations.h"
#include "machine/gpu_pairs.h"
#include "numapin/visible.h"
#include "plan/gpu_families.h"
#include "plan/policy_text.h"

namespace numapin {
namespace {

using Subset = std::vector<std::size_t>;  // positions among the candidates, ascending

std::vector<const Gpu*> gpus_of_choice(const Machine& m, const std::vector<ChosenGpu>& chosen) {
  std::vector<const Gpu*> gpus;
  for (const auto& c : chosen) gpus.push_back(gpu_at(m, c.gpu));
  return gpus;
}

class Search {
 public:
  Search(const Machine& m, std::vector<ChosenGpu> candidates, std::span<const GpuUse> use)
      : candidates_(std::move(candidates)), pairs_(m, gpus_of_choice(m, candidates_)), free_(candidates_.size(), 0) {
    for (std::size_t i = 0; i < candidates_.size(); ++i)
      for (const auto& u : use)
        if (u.gpu == candidates_[i].gpu) free_[i] = u.memory_free_bytes.value_or(0);
  }

  Subset best(std::size_t count) const { return few(count) ? exhaustive(count) : greedy(count); }
  const ChosenGpu& at(std::size_t i) const { return candidates_[i]; }
  const GpuPairs& pairs() const { return pairs_; }

 private:
  /// Larger is better. Ties go to the subset that was tried first: the one with lower indices.
  using Score = std::pair<GpuPairs::Score, std::uint64_t>;
  Score score(const Subset& s) const {
    std::uint64_t memory = 0;
    for (const auto i : s) memory += free_[i];
    return {pairs_.score(s), memory};
  }

  /// At most 13,000 subsets: 16 GPUs, any number of them.
  bool few(std::size_t count) const {
    double subsets = 1;
    for (std::size_t i = 0; i < count; ++i)
      subsets *= static_cast<double>(candidates_.size() - i) / static_cast<double>(i + 1);
    return subsets <= 13000;
  }

  Subset exhaustive(std::size_t count) const {
    auto s = first_combination(count);
    Subset best;
    Score most;
    do {
      if (const auto now = score(s); best.empty() || now > most) {
        most = now;
        best = s;
      }
    } while (next_combination(s, candidates_.size()));
    return best;
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
  GpuPairs pairs_;
  std::vector<std::uint64_t> free_;
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
  if (count < 1)
    return bad_input(fmt::format("choose {} GPUs: the number must be at least 1", count),
                     "--gpus N is how many; one GPU by its number: --gpu 0; no GPU: --gpus none");
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
    const auto [x, y] = search.pairs().worst_pair(best);
    why += fmt::format(", best connected: their worst link is {}", link_words(m, search.at(x).gpu, search.at(y).gpu));
  }
  if (const auto nodes = search.pairs().nodes_of(best); !nodes.empty()) why += ", on " + node_words(nodes);
  choice.because.push_back(std::move(why));
  return choice;
}

}  // namespace numapin
