// Gradients of a linear layer through the packed products of multiply.h:
//   dx[T, C] = dy[T, M] · weight[M, C]        rows of weight are packed as they lie
//   d_weight[M, C] += dy[T, M]ᵀ · x[T, C]     both are packed as they lie: the depth runs over T
// Each sum runs over its depth in one fixed order, whatever the threads are.
#include "backward.h"
#include "multiply.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kBiasColumns = 64;  // of one task: four lines of every row

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
        [=](Packed* panel, int64_t t, int64_t k, int64_t depth, int64_t rows) { x_from_rows(panel, dy + t * M + k, M, depth, rows); },
        [=](Packed* panel, int64_t c, int64_t k, int64_t depth, int64_t columns) { w_from_columns(panel, w + k * C + c, C, depth, columns); });
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
      [=](Packed* panel, int64_t m, int64_t k, int64_t depth, int64_t rows) { x_from_columns(panel, dy + k * M + m, M, depth, rows); },
      [=](Packed* panel, int64_t c, int64_t k, int64_t depth, int64_t columns) { w_from_columns(panel, x + k * C + c, C, depth, columns); });
}

}  // namespace NVILA_ISA
}  // namespace nvila
