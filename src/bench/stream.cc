#include "bench/stream.h"

#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>
#if defined(__ARM_FEATURE_SVE) || __GNUC__ >= 10
#include <arm_sve.h>
#define NUMAPIN_SVE 1
#endif
#endif

namespace numapin {
namespace {

constexpr double kFactor = 3.0, kWritten = 1.0;
/// Where the sums of the read loops go, so that no compiler drops the loads.
thread_local volatile double sink;

// One instruction set: VECTOR holds WIDTH bytes; four of them a turn, because one load or store at a time waits for the
// loop's own counter. The target attribute lets one program hold all sets; only the processor's own is ever called.
#define NUMAPIN_STREAM_LOOPS(NAME, TARGET, VECTOR, WIDTH, LOAD, STORE, STREAM, ADD, MUL, SET, FENCE)                      \
  TARGET void NAME##_read(char* a, const char*, const char*, std::size_t bytes) {                                       \
    VECTOR s0 = SET(0), s1 = s0, s2 = s0, s3 = s0;                                                                       \
    for (std::size_t i = 0; i < bytes; i += 4 * (WIDTH)) {                                                               \
      s0 = ADD(s0, LOAD(a + i));                                                                                         \
      s1 = ADD(s1, LOAD(a + i + (WIDTH)));                                                                               \
      s2 = ADD(s2, LOAD(a + i + 2 * (WIDTH)));                                                                           \
      s3 = ADD(s3, LOAD(a + i + 3 * (WIDTH)));                                                                           \
    }                                                                                                                    \
    alignas(64) char out[WIDTH];                                                                                         \
    STORE(out, ADD(ADD(s0, s1), ADD(s2, s3)));                                                                           \
    sink = *reinterpret_cast<double*>(out);                                                                              \
  }                                                                                                                      \
  NUMAPIN_STREAM_STORES(NAME##_cached, TARGET, VECTOR, WIDTH, LOAD, STORE, ADD, MUL, SET, ((void)0))                     \
  NUMAPIN_STREAM_STORES(NAME##_around, TARGET, VECTOR, WIDTH, LOAD, STREAM, ADD, MUL, SET, FENCE)

#define NUMAPIN_STREAM_STORES(NAME, TARGET, VECTOR, WIDTH, LOAD, STORE, ADD, MUL, SET, FENCE)                             \
  TARGET void NAME##_write(char* a, const char*, const char*, std::size_t bytes) {                                      \
    const VECTOR x = SET(kWritten);                                                                                      \
    for (std::size_t i = 0; i < bytes; i += 4 * (WIDTH)) {                                                               \
      STORE(a + i, x);                                                                                                   \
      STORE(a + i + (WIDTH), x);                                                                                         \
      STORE(a + i + 2 * (WIDTH), x);                                                                                     \
      STORE(a + i + 3 * (WIDTH), x);                                                                                     \
    }                                                                                                                    \
    FENCE;                                                                                                               \
  }                                                                                                                      \
  TARGET void NAME##_copy(char* a, const char* b, const char*, std::size_t bytes) {                                     \
    for (std::size_t i = 0; i < bytes; i += 4 * (WIDTH)) {                                                               \
      const VECTOR x0 = LOAD(b + i), x1 = LOAD(b + i + (WIDTH)), x2 = LOAD(b + i + 2 * (WIDTH)),                         \
                   x3 = LOAD(b + i + 3 * (WIDTH));                                                                       \
      STORE(a + i, x0);                                                                                                  \
      STORE(a + i + (WIDTH), x1);                                                                                        \
      STORE(a + i + 2 * (WIDTH), x2);                                                                                    \
      STORE(a + i + 3 * (WIDTH), x3);                                                                                    \
    }                                                                                                                    \
    FENCE;                                                                                                               \
  }                                                                                                                      \
  TARGET void NAME##_triad(char* a, const char* b, const char* c, std::size_t bytes) {                                  \
    const VECTOR f = SET(kFactor);                                                                                       \
    for (std::size_t i = 0; i < bytes; i += 4 * (WIDTH)) {                                                               \
      STORE(a + i, ADD(LOAD(b + i), MUL(f, LOAD(c + i))));                                                               \
      STORE(a + i + (WIDTH), ADD(LOAD(b + i + (WIDTH)), MUL(f, LOAD(c + i + (WIDTH)))));                                 \
      STORE(a + i + 2 * (WIDTH), ADD(LOAD(b + i + 2 * (WIDTH)), MUL(f, LOAD(c + i + 2 * (WIDTH)))));                     \
      STORE(a + i + 3 * (WIDTH), ADD(LOAD(b + i + 3 * (WIDTH)), MUL(f, LOAD(c + i + 3 * (WIDTH)))));                     \
    }                                                                                                                    \
    FENCE;                                                                                                               \
  }

#define NUMAPIN_STREAM_ROW(TEXT, NAME, STORES) \
  StreamKernel { TEXT, std::string_view(#STORES) == "around", NAME##_read, NAME##_##STORES##_write, NAME##_##STORES##_copy, NAME##_##STORES##_triad }

#if defined(__x86_64__)

#define LOAD_SSE2(p) _mm_load_pd(reinterpret_cast<const double*>(p))
#define STORE_SSE2(p, x) _mm_store_pd(reinterpret_cast<double*>(p), x)
#define STREAM_SSE2(p, x) _mm_stream_pd(reinterpret_cast<double*>(p), x)
NUMAPIN_STREAM_LOOPS(sse2, , __m128d, 16, LOAD_SSE2, STORE_SSE2, STREAM_SSE2, _mm_add_pd, _mm_mul_pd, _mm_set1_pd, _mm_sfence())

#define LOAD_AVX2(p) _mm256_load_pd(reinterpret_cast<const double*>(p))
#define STORE_AVX2(p, x) _mm256_store_pd(reinterpret_cast<double*>(p), x)
#define STREAM_AVX2(p, x) _mm256_stream_pd(reinterpret_cast<double*>(p), x)
NUMAPIN_STREAM_LOOPS(avx2, __attribute__((target("avx2"))), __m256d, 32, LOAD_AVX2, STORE_AVX2, STREAM_AVX2, _mm256_add_pd,
                     _mm256_mul_pd, _mm256_set1_pd, _mm_sfence())

#define LOAD_AVX512(p) _mm512_load_pd(p)
#define STORE_AVX512(p, x) _mm512_store_pd(p, x)
#define STREAM_AVX512(p, x) _mm512_stream_pd(reinterpret_cast<double*>(p), x)
NUMAPIN_STREAM_LOOPS(avx512, __attribute__((target("avx512f"))), __m512d, 64, LOAD_AVX512, STORE_AVX512, STREAM_AVX512,
                     _mm512_add_pd, _mm512_mul_pd, _mm512_set1_pd, _mm_sfence())

std::vector<StreamKernel> kernels_here() {
  std::vector<StreamKernel> all{NUMAPIN_STREAM_ROW("sse2", sse2, cached), NUMAPIN_STREAM_ROW("sse2", sse2, around)};
  // gcc's own look at CPUID, which also asks whether the kernel saves these registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) {
    all.push_back(NUMAPIN_STREAM_ROW("avx2", avx2, cached));
    all.push_back(NUMAPIN_STREAM_ROW("avx2", avx2, around));
  }
  if (__builtin_cpu_supports("avx512f")) {
    all.push_back(NUMAPIN_STREAM_ROW("avx512", avx512, cached));
    all.push_back(NUMAPIN_STREAM_ROW("avx512", avx512, around));
  }
  return all;
}

#elif defined(__aarch64__)

#define LOAD_NEON(p) vld1q_f64(reinterpret_cast<const double*>(p))
#define STORE_NEON(p, x) vst1q_f64(reinterpret_cast<double*>(p), x)
// STNP is a hint; there is no intrinsic for it.
inline void stream_neon(char* p, float64x2_t x) {
  asm volatile("stnp %d1, %d2, [%0]" : : "r"(p), "w"(vget_low_f64(x)), "w"(vget_high_f64(x)) : "memory");
}
NUMAPIN_STREAM_LOOPS(neon, , float64x2_t, 16, LOAD_NEON, STORE_NEON, stream_neon, vaddq_f64, vmulq_f64, vdupq_n_f64, ((void)0))

#if defined(NUMAPIN_SVE)
// SVE vectors have no size at compile time, so the loops count lanes. Targets as above: only called where HWCAP says so.
#define SVE __attribute__((target("+sve")))
SVE void sve_read(char* a, const char*, const char*, std::size_t bytes) {
  const auto* d = reinterpret_cast<const double*>(a);
  const svbool_t all = svptrue_b64();
  const std::size_t lanes = svcntd(), n = bytes / 8;
  svfloat64_t s0 = svdup_f64(0), s1 = s0;
  std::size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    s0 = svadd_f64_x(all, s0, svld1_f64(all, d + i));
    s1 = svadd_f64_x(all, s1, svld1_f64(all, d + i + lanes));
  }
  for (; i < n; i += lanes) {
    const svbool_t some = svwhilelt_b64(i, n);
    s0 = svadd_f64_m(some, s0, svld1_f64(some, d + i));
  }
  sink = svaddv_f64(all, svadd_f64_x(all, s0, s1));
}
#define NUMAPIN_SVE_STORES(NAME, STORE)                                                            \
  SVE void NAME##_write(char* a, const char*, const char*, std::size_t bytes) {                    \
    auto* d = reinterpret_cast<double*>(a);                                                        \
    const svfloat64_t x = svdup_f64(kWritten);                                                     \
    for (std::size_t i = 0, n = bytes / 8; i < n; i += svcntd()) STORE(svwhilelt_b64(i, n), d + i, x); \
  }                                                                                                \
  SVE void NAME##_copy(char* a, const char* b, const char*, std::size_t bytes) {                   \
    auto* d = reinterpret_cast<double*>(a);                                                        \
    const auto* e = reinterpret_cast<const double*>(b);                                            \
    for (std::size_t i = 0, n = bytes / 8; i < n; i += svcntd()) {                                 \
      const svbool_t some = svwhilelt_b64(i, n);                                                   \
      STORE(some, d + i, svld1_f64(some, e + i));                                                  \
    }                                                                                              \
  }                                                                                                \
  SVE void NAME##_triad(char* a, const char* b, const char* c, std::size_t bytes) {                \
    auto* d = reinterpret_cast<double*>(a);                                                        \
    const auto* e = reinterpret_cast<const double*>(b);                                            \
    const auto* f = reinterpret_cast<const double*>(c);                                            \
    const svfloat64_t x = svdup_f64(kFactor);                                                      \
    for (std::size_t i = 0, n = bytes / 8; i < n; i += svcntd()) {                                 \
      const svbool_t some = svwhilelt_b64(i, n);                                                   \
      STORE(some, d + i, svmla_f64_x(some, svld1_f64(some, e + i), x, svld1_f64(some, f + i)));    \
    }                                                                                              \
  }
NUMAPIN_SVE_STORES(sve_cached, svst1_f64)
NUMAPIN_SVE_STORES(sve_around, svstnt1_f64)
#endif

std::vector<StreamKernel> kernels_here() {
  std::vector<StreamKernel> all{NUMAPIN_STREAM_ROW("neon", neon, cached), NUMAPIN_STREAM_ROW("neon", neon, around)};
#if defined(NUMAPIN_SVE)
  constexpr unsigned long kHwcapSve = 1UL << 22;  // arch/arm64/include/uapi/asm/hwcap.h
  if ((getauxval(AT_HWCAP) & kHwcapSve) != 0) {
    all.push_back(NUMAPIN_STREAM_ROW("sve", sve, cached));
    all.push_back(NUMAPIN_STREAM_ROW("sve", sve, around));
  }
#endif
  return all;
}

#else  // any other processor: what the compiler makes of plain loops

#define LOAD_PLAIN(p) (*reinterpret_cast<const volatile double*>(p))
#define STORE_PLAIN(p, x) (*reinterpret_cast<volatile double*>(p) = (x))
#define ADD_PLAIN(x, y) ((x) + (y))
#define MUL_PLAIN(x, y) ((x) * (y))
#define SET_PLAIN(x) (x)
NUMAPIN_STREAM_LOOPS(plain, , double, 8, LOAD_PLAIN, STORE_PLAIN, STORE_PLAIN, ADD_PLAIN, MUL_PLAIN, SET_PLAIN, ((void)0))
std::vector<StreamKernel> kernels_here() { return {NUMAPIN_STREAM_ROW("plain", plain, cached)}; }

#endif

}  // namespace

StreamLoop StreamKernel::loop(Metric metric) const {
  switch (metric) {
    case Metric::kWrite: return write;
    case Metric::kCopy: return copy;
    case Metric::kTriad: return triad;
    default: return read;
  }
}

std::string StreamKernel::name(Metric metric) const {
  if (metric == Metric::kRead) return instructions;
  return std::string(instructions) + (non_temporal ? ", non-temporal stores" : ", cached stores");
}

std::span<const StreamKernel> stream_kernels() {
  static const std::vector<StreamKernel> kHere = kernels_here();
  return kHere;
}

int arrays_of(Metric metric) {
  switch (metric) {
    case Metric::kCopy: return 2;
    case Metric::kTriad: return 3;
    default: return 1;
  }
}

}  // namespace numapin
