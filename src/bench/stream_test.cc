// The loops do what they say on every byte, for each instruction set that this processor has.
#include "bench/stream.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace numapin {
namespace {

struct alignas(64) Arrays {
  double a[512], b[512], c[512], after[8];
};
static_assert(sizeof(double[512]) % kStreamStep == 0);

TEST(StreamKernels, StoreTheWholeArrayAndNothingBehindIt) {
  ASSERT_FALSE(stream_kernels().empty());
  for (const auto& kernel : stream_kernels()) {
    SCOPED_TRACE(kernel.name(Metric::kTriad));
    Arrays x;
    const auto fill = [&] {
      for (int i = 0; i < 512; ++i) x.a[i] = -1, x.b[i] = i, x.c[i] = 2 * i;
      for (double& d : x.after) d = -7;
    };
    const auto run = [&](Metric metric) {
      fill();
      kernel.loop(metric)(reinterpret_cast<char*>(x.a), reinterpret_cast<char*>(x.b), reinterpret_cast<char*>(x.c), sizeof x.a);
      for (const double d : x.after) EXPECT_EQ(d, -7);
    };
    run(Metric::kWrite);
    for (const double d : x.a) EXPECT_EQ(d, 1);
    run(Metric::kCopy);
    for (int i = 0; i < 512; ++i) ASSERT_EQ(x.a[i], i);
    run(Metric::kTriad);
    for (int i = 0; i < 512; ++i) ASSERT_EQ(x.a[i], 7.0 * i);
    run(Metric::kRead);
    for (const double d : x.a) EXPECT_EQ(d, -1);
  }
}

TEST(StreamKernels, TellTheirStoresApart) {
  for (const auto& kernel : stream_kernels()) {
    EXPECT_EQ(kernel.name(Metric::kRead), kernel.instructions);
    EXPECT_EQ(kernel.name(Metric::kWrite).ends_with("non-temporal stores"), kernel.non_temporal);
  }
}

}  // namespace
}  // namespace numapin
