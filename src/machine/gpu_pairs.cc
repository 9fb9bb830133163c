#include "machine/gpu_pairs.h"

#include <algorithm>

namespace numapin {
namespace {

/// A bond of more NVLinks stands above one of fewer.
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

int pair_rank(const Machine& m, const Gpu& a, const Gpu& b) {
  const auto one_way = [&](const Gpu& from, const Gpu& to) {
    const auto* link = find_link(m, {DeviceRef::Type::kGpu, from.index}, {DeviceRef::Type::kGpu, to.index});
    return link != nullptr ? rank_of(link->kind, link->count.value_or(0)) : rank_of(kind_by_nodes(from, to), 0);
  };
  return std::min(one_way(a, b), one_way(b, a));
}

}  // namespace

LinkKind kind_by_nodes(const Gpu& a, const Gpu& b) {
  return a.numa_nodes && b.numa_nodes && a.numa_nodes->intersects(*b.numa_nodes) ? LinkKind::kNode : LinkKind::kSys;
}

GpuPairs::GpuPairs(const Machine& m, std::vector<const Gpu*> gpus) : gpus_(std::move(gpus)) {
  for (const auto* a : gpus_)
    for (const auto* b : gpus_) ranks_.push_back(pair_rank(m, *a, *b));
}

GpuPairs::Score GpuPairs::score(const std::vector<std::size_t>& subset) const {
  int worst = 2000, sum = 0;
  for (std::size_t i = 0; i < subset.size(); ++i)
    for (std::size_t j = i + 1; j < subset.size(); ++j) {
      worst = std::min(worst, rank(subset[i], subset[j]));
      sum += rank(subset[i], subset[j]);
    }
  return {worst, sum, -nodes_of(subset).size()};
}

std::pair<std::size_t, std::size_t> GpuPairs::worst_pair(const std::vector<std::size_t>& subset) const {
  std::pair worst{subset[0], subset[1]};
  for (std::size_t i = 0; i < subset.size(); ++i)
    for (std::size_t j = i + 1; j < subset.size(); ++j)
      if (rank(subset[i], subset[j]) < rank(worst.first, worst.second)) worst = {subset[i], subset[j]};
  return worst;
}

NodeSet GpuPairs::nodes_of(const std::vector<std::size_t>& subset) const {
  NodeSet nodes;
  for (const auto i : subset)
    if (gpus_[i]->numa_nodes) nodes |= *gpus_[i]->numa_nodes;
  return nodes;
}

}  // namespace numapin
