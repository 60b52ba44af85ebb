// out[T, M] for few rows of x: dot products, all sums in registers, w read once from where it lies. Bound by memory up to
// T ≈ 4, by arithmetic above.
//
// Versions, on Zen 4 (AVX2, 2 threads), bf16, M = 8960, C = 1536, weights > 1 GB; % of the read bandwidth of the same run:
//   1  4 rows of w at once, no prefetch                 T=1: 57 %  T=3: 48 %  T=12:  81 GFLOP/s (12 sums + 4 w + 1 x spill)
//   2  the same, each row prefetched 1–4 KiB ahead      T=1: 50 %             no help: four streams, each new at every block
//   3  2 rows at once, prefetched 2–4 KiB ahead         T=1: 35–45 %          worse than 1
//   4  T=1: one row at a time, 4 KiB ahead              T=1: 86–92 %          rows lie behind each other: one long stream
//   5  T>1: 4 rows at once, the next 4 prefetched in the order of memory to L2, one w in registers:
//                                                       T=2: 94 %  T=3: 90 %  T=12: 156 GFLOP/s  ← this, with 4
//   6  5 with the prefetch to L1                        T=2: 81 %  T=3: 61 %  T=12: 138 GFLOP/s  four rows do not fit beside x
//   7  5 also for T=1                                   T=1: 80–97 %, 4 varies less
// Against packed tiles (linear_many) at T = 12, 15, 18, 24, 32: 138, 157, 142, 142, 143 to 86, 96, 114, 128, 128 GFLOP/s.
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int kRows = 4;                 // rows of w at a time when T > 1
constexpr int kColumns = 3;              // rows of x at a time: 4 × 3 sums, 3 x and 1 w fill 16 registers
constexpr int64_t kAheadBytes = 4096;    // of the prefetch when T = 1
constexpr int64_t kMostRowsOfChunk = 128;  // long enough that the first block of a chunk, which nobody prefetched, does not count

// R × N dot products of rows of w and x: out[n · M + r]. Each is split over A sums, so that R · N · A ≥ 8 hide the latency
// of fma, and U vectors are taken per round.
template <typename W, int R, int N, int A, int U>
NVILA_INLINE void dots(float* out, const float* x, const W* w, Weight bias, int64_t m, int64_t C, int64_t M) {
  F32 sums[A][R][N];
  for (int a = 0; a < A; a++) {
    for (int r = 0; r < R; r++) {
      for (int n = 0; n < N; n++) sums[a][r][n] = zero();
    }
  }
  constexpr int kStep = U * F32::width;
  int64_t c = 0;
  for (; c + kStep <= C; c += kStep) {
    if (F32::width > 1) {
      // One row: a fixed way ahead, on into the next row. Several: through the next R rows in the order of memory.
      const char* here = reinterpret_cast<const char*>(w + R * c);
      const char* ahead = here + (R == 1 ? kAheadBytes : R * C * static_cast<int64_t>(sizeof(W)));
#pragma GCC unroll 16
      for (int line = 0; line < R * kStep * static_cast<int>(sizeof(W)); line += 64) {
        if (R == 1) __builtin_prefetch(ahead + line, 0, 0);
        else __builtin_prefetch(ahead + line, 0, 2);
      }
    }
#pragma GCC unroll 8
    for (int u = 0; u < U; u++) {
      const int64_t k = c + u * F32::width;
      F32 value[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) value[n] = load(x + n * C + k);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        const F32 row = load_weight(w + r * C + k);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) sums[u % A][r][n] = fma(row, value[n], sums[u % A][r][n]);
      }
    }
  }
  for (; c + F32::width <= C; c += F32::width) {
    for (int r = 0; r < R; r++) {
      for (int n = 0; n < N; n++) sums[0][r][n] = fma(load_weight(w + r * C + c), load(x + n * C + c), sums[0][r][n]);
    }
  }
  for (int r = 0; r < R; r++) {
    const float b = bias_at(bias, m + r);
    for (int n = 0; n < N; n++) {
      F32 total = sums[0][r][n];
      for (int a = 1; a < A; a++) total = total + sums[a][r][n];
      float sum = sum_lanes(total);
      for (int64_t k = c; k < C; k++) sum += widen(w + r * C + k) * x[n * C + k];
      out[n * M + r] = sum + b;
    }
  }
}

// R rows of w with all T ≥ 2 rows of x: threes, then twos, never one alone.
template <typename W, int R>
NVILA_INLINE void all_columns(float* out, const float* x, const W* w, Weight bias, int64_t m, int64_t T, int64_t C, int64_t M) {
  int64_t t = 0;
  for (; t + kColumns <= T && T - t != 4; t += kColumns) dots<W, R, kColumns, 1, 4>(out + t * M, x + t * C, w, bias, m, C, M);
  for (; t + 2 <= T; t += 2) dots<W, R, 2, 1, 4>(out + t * M, x + t * C, w, bias, m, C, M);
}

}  // namespace

template <typename W>
Status linear_few(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M) {
  // A multiple of kRows, so that a row of w falls into the same block whatever the number of threads.
  const int64_t grain = larger(1, smaller(kMostRowsOfChunk, M / (4 * pool.threads())) / kRows) * kRows;
  pool.parallel_for(M, grain, [&](int64_t begin, int64_t end, int) {
    int64_t m = begin;
    if (T == 1) {
      for (; m < end; m++) dots<W, 1, 1, 8, 8>(out + m, x, w + m * C, bias, m, C, M);
      return;
    }
    for (; m + kRows <= end; m += kRows) all_columns<W, kRows>(out + m, x, w + m * C, bias, m, T, C, M);
    for (; m < end; m++) all_columns<W, 1>(out + m, x, w + m * C, bias, m, T, C, M);
  });
  return Status::kOk;
}

template Status linear_few(ThreadPool&, float*, const float*, const float*, Weight, int64_t, int64_t, int64_t);
template Status linear_few(ThreadPool&, float*, const float*, const Bf16*, Weight, int64_t, int64_t, int64_t);
template Status linear_few(ThreadPool&, float*, const float*, const F16*, Weight, int64_t, int64_t, int64_t);

}  // namespace NVILA_ISA
}  // namespace nvila
