// Gradients of a linear layer through the packed products of multiply.h:
//   dx[T, C] = dy[T, M] · weight[M, C]        rows of weight are packed as they lie
//   d_weight[M, C] += dy[T, M]ᵀ · x[T, C]     both are packed as they lie: the depth runs over T
// Each sum runs over its depth in one fixed order, whatever the threads are.
#include <cstring>

#include "backward.h"
#include "multiply.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kBiasColumns = 64;  // of one task: four lines of every row

// panel[depth][kTileM] from w[depth][columns] with stride; missing columns are 0.
template <typename W>
void pack_rows(float* panel, const W* w, int64_t stride, int64_t depth, int64_t columns) {
  for (int64_t k = 0; k < depth; k++, panel += kTileM, w += stride) {
    if (columns == kTileM) {
      for (int v = 0; v < kVectors; v++) store(panel + v * F32::width, load_weight(w + v * F32::width));
    } else {
      for (int64_t m = 0; m < kTileM; m++) panel[m] = m < columns ? widen(w + m) : 0.0f;
    }
  }
}

// panel[depth][kTileT] from x[depth][rows] with stride; missing rows are 0.
void pack_columns(float* panel, const float* x, int64_t stride, int64_t depth, int64_t rows) {
  for (int64_t k = 0; k < depth; k++, panel += kTileT, x += stride) {
    if (rows == kTileT) {
      std::memcpy(panel, x, kTileT * sizeof(float));
    } else {
      for (int64_t t = 0; t < kTileT; t++) panel[t] = t < rows ? x[t] : 0.0f;
    }
  }
}

// sums[columns] += Σ_t dy[t], dy with stride.
void add_columns(float* sums, const float* dy, int64_t stride, int64_t T, int64_t columns) {
  int64_t c = 0;
  for (; c + F32::width <= columns; c += F32::width) {
    F32 total[2] = {zero(), zero()};
    int64_t t = 0;
    for (; t + 2 <= T; t += 2) {
      total[0] = total[0] + load(dy + t * stride + c);
      total[1] = total[1] + load(dy + (t + 1) * stride + c);
    }
    if (t < T) total[0] = total[0] + load(dy + t * stride + c);
    store(sums + c, load(sums + c) + (total[0] + total[1]));
  }
  for (; c < columns; c++) {
    float total = 0.0f;
    for (int64_t t = 0; t < T; t++) total += dy[t * stride + c];
    sums[c] += total;
  }
}

}  // namespace

Status linear_backward_input(ThreadPool& pool, float* dx, const float* dy, Weight weight, int64_t T, int64_t C, int64_t M) {
  if (T == 0 || C == 0) return Status::kOk;
  Status status = Status::kOk;
  with_dtype(weight, [&](auto* w) {
    status = multiply(
        pool, dx, T, M, C, {{nullptr, DType::kF32}, false},
        [=](float* panel, int64_t t, int64_t k, int64_t depth, int64_t rows) { pack_x(panel, dy + t * M + k, M, depth, rows); },
        [=](float* panel, int64_t c, int64_t k, int64_t depth, int64_t columns) { pack_rows(panel, w + k * C + c, C, depth, columns); });
  });
  return status;
}

Status linear_backward_weight(ThreadPool& pool, float* d_weight, float* d_bias, const float* dy, const float* x, int64_t T, int64_t C,
                              int64_t M) {
  if (T == 0 || M == 0) return Status::kOk;
  if (d_bias) {
    pool.parallel_for(M, kBiasColumns,
                      [&](int64_t begin, int64_t end, int) { add_columns(d_bias + begin, dy + begin, M, T, end - begin); });
  }
  if (!d_weight || C == 0) return Status::kOk;
  return multiply(
      pool, d_weight, M, T, C, {{nullptr, DType::kF32}, true},
      [=](float* panel, int64_t m, int64_t k, int64_t depth, int64_t rows) { pack_columns(panel, dy + k * M + m, M, depth, rows); },
      [=](float* panel, int64_t c, int64_t k, int64_t depth, int64_t columns) { pack_rows(panel, x + k * C + c, C, depth, columns); });
}

}  // namespace NVILA_ISA
}  // namespace nvila
