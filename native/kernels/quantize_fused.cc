// Layer norm and gelu whose results become int8 codes row by row: a row is computed into a buffer in L1 and quantised from there. Saves writing
// and reading the activations as f32. Also the table of these kernels.
#include "fused.h"
#include "gelu_value.h"
#include "layer_norm_row.h"
#include "quantised_rows.h"
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// Codes of compute(buffer[C], x's row) for every row.
template <typename F>
Status quantize(ThreadPool& pool, const float* x, int64_t T, int64_t C, F&& compute) {
  void* memory = pool.shared_scratch(int8_rows_bytes(T, C), ThreadPool::Shared::kRows);
  if (!memory) return Status::kOutOfMemory;
  const Int8Rows rows = int8_rows(memory, T, C);
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, static_cast<size_t>(C) * sizeof(float))) return Status::kOutOfMemory;
  }
  pool.parallel_for(T, rows_per_chunk(C), [&](int64_t begin, int64_t end, int thread) {
    float* buffer = static_cast<float*>(pool.scratch(thread, 0));
    for (int64_t t = begin; t < end; t++) {
      compute(buffer, x + t * C);
      quantize_int8_row(rows, t, buffer, C);
    }
  });
  return Status::kOk;
}

template <typename Value>
Status quantize_values(ThreadPool& pool, const float* x, int64_t T, int64_t C) {
  return quantize(pool, x, T, C, [C](float* y, const float* row) {
    int64_t c = 0;
    for (; c + F32::width <= C; c += F32::width) store(y + c, Value::of(load(row + c)));
    const int rest = static_cast<int>(C - c);
    if (rest > 0) store_first(y + c, Value::of(load_first(row + c, rest)), rest);
  });
}

}  // namespace

Status quantize_layer_norm(ThreadPool& pool, const float* x, Weight weight, Weight bias, double eps, int64_t T, int64_t C) {
  float* buffer = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(2 * C) * sizeof(float), ThreadPool::Shared::kCallerOfLinear));
  if (!buffer) return Status::kOutOfMemory;
  const float* w = as_f32(weight, buffer, C);
  const float* b = as_f32(bias, buffer + C, C);
  return quantize(pool, x, T, C, [=](float* y, const float* row) { layer_norm_row(y, row, w, b, eps, C); });
}

Status quantize_gelu_tanh(ThreadPool& pool, const float* x, int64_t T, int64_t C) { return quantize_values<GeluTanhValue>(pool, x, T, C); }

Status quantize_gelu_erf(ThreadPool& pool, const float* x, int64_t T, int64_t C) { return quantize_values<GeluErfValue>(pool, x, T, C); }

#define NVILA_ENTRY(Type, name) name,
extern const FusedKernels fused_kernels = {NVILA_FUSED_KERNELS(NVILA_ENTRY)};
#undef NVILA_ENTRY

}  // namespace NVILA_ISA
}  // namespace nvila
