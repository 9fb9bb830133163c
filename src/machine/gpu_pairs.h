// How well GPUs are connected, by the kinds of their links: the order that every choice of GPUs uses.
#pragma once

#include <tuple>
#include <utility>
#include <vector>

#include "numapin/machine.h"

namespace numapin {

/// Where no source tells the link of two GPUs: what follows from the nodes.
LinkKind kind_by_nodes(const Gpu& a, const Gpu& b);

/// Some GPUs of a machine and the ranks of all pairs. Positions count among `gpus`.
class GpuPairs {
 public:
  GpuPairs(const Machine& m, std::vector<const Gpu*> gpus);

  std::size_t size() const { return gpus_.size(); }
  /// Larger is better; only the order means anything. The worse direction counts: a link is as good as its weaker half.
  int rank(std::size_t i, std::size_t j) const { return ranks_[i * gpus_.size() + j]; }
  /// Larger is better: the worst link, the sum of all, fewest NUMA nodes.
  using Score = std::tuple<int, int, int>;
  Score score(const std::vector<std::size_t>& subset) const;
  /// The pair with the worst link; the subset has at least two.
  std::pair<std::size_t, std::size_t> worst_pair(const std::vector<std::size_t>& subset) const;
  NodeSet nodes_of(const std::vector<std::size_t>& subset) const;

 private:
  std::vector<const Gpu*> gpus_;
  std::vector<int> ranks_;
};

}  // namespace numapin
