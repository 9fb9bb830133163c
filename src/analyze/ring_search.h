// The best order of a ring through some GPUs: every order is looked at, but for those whose beginning is too slow already.
#pragma once

#include <limits>
#include <vector>

#include "numapin/analyze.h"

namespace numapin {

/// From one GPU to another.
struct RingHop {
  std::vector<Use> uses;  ///< of channels with a known capacity
  double ceiling = std::numeric_limits<double>::infinity();  ///< GB/s; 0: no way, or one that nobody knows
};

class RingSearch {
 public:
  /// `hops`: from i to j at i * count + j.
  RingSearch(std::size_t count, std::vector<RingHop> hops, std::vector<double> capacity)
      : count_(count), hops_(std::move(hops)), capacity_(std::move(capacity)), load_(capacity_.size(), 0) {}

  struct Found {
    std::vector<std::size_t> order;  ///< empty: none is faster than `floor`
    double rate = 0;                 ///< GB/s of its slowest hop, all at once
  };
  /// The fastest ring, if it is faster than `floor`; the first that reaches `enough` will do.
  Found best(const std::vector<std::size_t>& gpus, double floor, double enough);
  /// False once a search was broken off: its answer may not be the best.
  bool is_complete() const { return steps_ < kMostSteps; }

 private:
  static constexpr std::size_t kMostSteps = 20'000'000;  // about a second

  void extend(double rate);
  double take(const RingHop& hop, double rate);
  void give_back(const RingHop& hop);
  const RingHop& hop(std::size_t from, std::size_t to) const { return hops_[from * count_ + to]; }

  std::size_t count_;
  std::vector<RingHop> hops_;
  std::vector<double> capacity_, load_;
  std::vector<std::size_t> gpus_, order_;
  Found found_;
  double enough_ = 0;
  std::size_t steps_ = 0;
};

}  // namespace numapin
