#include "analyze/ring_search.h"

#include <algorithm>

namespace numapin {
namespace {

constexpr double kFaster = 1 + 1e-6;  // rates that differ by less are one

}  // namespace

/// Max-min fair, the slowest hop gets what the fullest channel has for each byte on it: no more need be computed.
double RingSearch::take(const RingHop& hop, double rate) {
  rate = std::min(rate, hop.ceiling);
  for (const auto& use : hop.uses) {
    auto& load = load_[use.channel];
    load += static_cast<double>(use.weight);
    rate = std::min(rate, capacity_[use.channel] / load);
  }
  return rate;
}

void RingSearch::give_back(const RingHop& hop) {
  for (const auto& use : hop.uses) load_[use.channel] -= static_cast<double>(use.weight);
}

void RingSearch::extend(double rate) {
  if (order_.size() == gpus_.size()) {
    const auto& last = hop(order_.back(), order_.front());
    const double closed = take(last, rate);
    give_back(last);
    if (closed > found_.rate * kFaster) found_ = {order_, closed};
    return;
  }
  for (const auto next : gpus_) {
    if (found_.rate >= enough_ || !is_complete()) return;
    if (std::find(order_.begin(), order_.end(), next) != order_.end()) continue;
    ++steps_;
    const auto& way = hop(order_.back(), next);
    if (const double then = take(way, rate); then > found_.rate * kFaster) {
      order_.push_back(next);
      extend(then);
      order_.pop_back();
    }
    give_back(way);
  }
}

RingSearch::Found RingSearch::best(const std::vector<std::size_t>& gpus, double floor, double enough) {
  gpus_ = gpus;
  order_ = {gpus.front()};
  found_ = {{}, floor};
  enough_ = enough / kFaster;
  std::fill(load_.begin(), load_.end(), 0);
  extend(std::numeric_limits<double>::infinity());
  return found_;
}

}  // namespace numapin
