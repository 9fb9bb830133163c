#include "bench/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace numapin {

void take_samples(Measurement& m, const SamplePlan& plan, const std::function<Sample()>& take) {
  double before = take().value;
  for (int i = 1; i < plan.most_warm_ups; ++i) {
    const double now = take().value;
    const bool still = std::abs(now - before) <= plan.settled * std::abs(before);
    before = now;
    if (still) break;
  }
  std::vector<Sample> all;
  const auto clean = [&] { return std::count_if(all.begin(), all.end(), [](const Sample& s) { return !s.disturbed; }); };
  while (clean() < plan.samples && static_cast<int>(all.size()) < plan.patience * plan.samples) all.push_back(take());
  const bool enough = clean() >= plan.samples;
  for (const auto& sample : all)
    if (!enough || !sample.disturbed) m.samples.push_back(sample.value);
  if (!enough)
    m.disturbed = fmt::format("in {} of {} samples a thread lost its CPU", static_cast<int>(all.size()) - clean(), all.size());
}

}  // namespace numapin
