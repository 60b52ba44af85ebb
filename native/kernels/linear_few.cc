// out[T, M] for few rows of x: dot products of kRows rows of w with up to kColumns rows of x, all sums in registers.
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int kRows = 4;     // rows of w at a time
constexpr int kColumns = 3;  // rows of x at a time: 4 × 3 sums, 4 weights and 1 x fill 16 registers with a little left
constexpr int64_t kGrain = 32;

// Sums R × N dot products: out[n · M + r], r < R rows of w, n < N rows of x. U independent sums each hide the latency.
template <typename W, int R, int N, int U>
NVILA_INLINE void dots(float* out, const float* x, const W* w, Weight bias, int64_t m, int64_t C, int64_t M) {
  F32 acc[U][R][N];
  for (int u = 0; u < U; u++) {
    for (int r = 0; r < R; r++) {
      for (int n = 0; n < N; n++) acc[u][r][n] = zero();
    }
  }
  constexpr int kStep = U * F32::width;
  int64_t c = 0;
  for (; c + kStep <= C; c += kStep) {
#pragma GCC unroll 4
    for (int u = 0; u < U; u++) {
      const int64_t k = c + u * F32::width;
      F32 row[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) row[r] = load_weight(w + r * C + k);
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) {
        const F32 value = load(x + n * C + k);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) acc[u][r][n] = fma(row[r], value, acc[u][r][n]);
      }
    }
  }
  for (int r = 0; r < R; r++) {
    const float b = bias_at(bias, m + r);
    for (int n = 0; n < N; n++) {
      F32 total = acc[0][r][n];
      for (int u = 1; u < U; u++) total = total + acc[u][r][n];
      float sum = sum_lanes(total);
      for (int64_t k = c; k < C; k++) sum += widen(w + r * C + k) * x[n * C + k];
      out[n * M + r] = sum + b;
    }
  }
}

template <typename W, int R>
NVILA_INLINE void all_columns(float* out, const float* x, const W* w, Weight bias, int64_t m, int64_t T, int64_t C, int64_t M) {
  int64_t t = 0;
  if (T == 1) {
    dots<W, R, 1, 2>(out, x, w, bias, m, C, M);
    return;
  }
  for (; t + kColumns <= T && T - t != 4; t += kColumns) dots<W, R, kColumns, 1>(out + t * M, x + t * C, w, bias, m, C, M);
  for (; t + 2 <= T; t += 2) dots<W, R, 2, 1>(out + t * M, x + t * C, w, bias, m, C, M);
}

}  // namespace

template <typename W>
Status linear_few(ThreadPool& pool, float* out, const float* x, const W* w, Weight bias, int64_t T, int64_t C, int64_t M) {
  pool.parallel_for(M, kGrain, [&](int64_t begin, int64_t end, int) {
    int64_t m = begin;
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
