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
  int samples = 15;
  int most_warm_ups = 20;  ///< clocks rise, pages enter the TLB
  double settled = 0.03;   ///< warm-up ends when two in a row differ by less
  int patience = 4;        ///< at most so many times `samples` are taken
};
/// Many short samples: on a busy machine a long one is always cut by somebody, of short ones some are whole.
constexpr SamplePlan kFull{}, kQuick{5, 5, 0.05, 4};

/// Takes samples into m.samples. Disturbed ones are taken again while patience lasts; where that is not enough the
/// disturbed ones are in, and m.disturbed says how many.
void take_samples(Measurement& m, const SamplePlan& plan, const std::function<Sample()>& take);

}  // namespace numapin
