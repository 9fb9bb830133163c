// How samples are taken: warm up until the figure stands still, keep those that nobody disturbed, say which were.
#pragma once

#include <functional>

#include "numapin/measured.h"

namespace numapin {

struct Sample {
  double value = 0;
  bool disturbed = false;  ///< a thread lost its CPU meanwhile
};

struct SamplePlan {
  int samples = 7;
  int most_warm_ups = 5;      ///< clocks rise, pages enter the TLB
  double settled = 0.03;      ///< warm-up ends when two in a row differ by less
};
constexpr SamplePlan kFull{}, kQuick{3, 2, 0.05};

/// Takes samples into m.samples. Disturbed ones are taken again, up to as many again as were wanted; where that is not
/// enough the disturbed ones are in, and m.disturbed says how many.
void take_samples(Measurement& m, const SamplePlan& plan, const std::function<Sample()>& take);

}  // namespace numapin
