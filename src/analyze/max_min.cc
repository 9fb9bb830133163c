// Max-min fair sharing by filling: all flows rise together; a channel that is full freezes the flows on it; the rest rise on.
#include <cmath>
#include <limits>
#include <queue>

#include "numapin/analyze.h"

namespace numapin {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct Level {
  double rate;
  std::uint32_t channel;
  bool operator>(const Level& other) const { return rate > other.rate || (rate == other.rate && channel > other.channel); }
};

/// For each channel the flows on it, one after the other.
struct ByChannel {
  std::vector<std::uint32_t> first, flow;

  ByChannel(std::size_t channels, const FlowTable& flows) : first(channels + 1, 0), flow(flows.uses.size()) {
    for (const auto& use : flows.uses) ++first[use.channel + 1];
    for (std::size_t c = 0; c < channels; ++c) first[c + 1] += first[c];
    auto next = first;
    for (std::size_t f = 0; f < flows.size(); ++f)
      for (auto u = flows.first[f]; u < flows.first[f + 1]; ++u) flow[next[flows.uses[u].channel]++] = static_cast<std::uint32_t>(f);
  }
};

class Filling {
 public:
  Filling(std::span<const double> capacity, const FlowTable& flows)
      : flows_(flows), on_(capacity.size(), flows), left_(capacity.begin(), capacity.end()), weight_(capacity.size(), 0) {
    for (const auto& use : flows.uses) weight_[use.channel] += static_cast<double>(use.weight);
    shares_.rate.assign(flows.size(), kInfinite);
    shares_.limited_by.assign(flows.size(), kNoChannel);
  }

  Shares run() {
    for (std::size_t c = 0; c < left_.size(); ++c) push(static_cast<std::uint32_t>(c));
    while (!open_.empty()) {
      const auto [rate, channel] = open_.top();
      open_.pop();
      // Others froze flows here since: what is left for each has only grown, so look again later.
      if (const double now = level(channel); now > rate * (1 + 1e-12)) {
        push(channel);
        continue;
      }
      freeze(channel, rate);
    }
    return std::move(shares_);
  }

 private:
  /// Rounding may leave a trace of weight on a channel all of whose flows are frozen.
  double level(std::uint32_t c) const { return weight_[c] > 1e-9 ? std::max(left_[c], 0.0) / weight_[c] : kInfinite; }

  void push(std::uint32_t c) {
    if (const double rate = level(c); rate < kInfinite) open_.push({rate, c});
  }

  void freeze(std::uint32_t channel, double rate) {
    for (auto i = on_.first[channel]; i < on_.first[channel + 1]; ++i) {
      const auto f = on_.flow[i];
      if (shares_.limited_by[f] != kNoChannel) continue;
      shares_.rate[f] = rate;
      shares_.limited_by[f] = channel;
      for (auto u = flows_.first[f]; u < flows_.first[f + 1]; ++u) {
        const auto& use = flows_.uses[u];
        left_[use.channel] -= rate * static_cast<double>(use.weight);
        weight_[use.channel] -= static_cast<double>(use.weight);
      }
    }
  }

  const FlowTable& flows_;
  ByChannel on_;
  std::vector<double> left_, weight_;
  std::priority_queue<Level, std::vector<Level>, std::greater<>> open_;
  Shares shares_;
};

}  // namespace

Shares share_max_min(std::span<const double> capacity, const FlowTable& flows) { return Filling(capacity, flows).run(); }

}  // namespace numapin
