// target[rows[t]] = source[t], as numbers or rounded to int8.
#include "int8_heads.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status scatter_rows(ThreadPool& pool, float* target, const int32_t* rows, const float* source, int64_t T, int64_t C) {
  const int64_t grain = larger(1, (1 << 15) / larger(C, 1));
  pool.parallel_for(T, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) std::memcpy(target + rows[t] * C, source + t * C, static_cast<size_t>(C) * sizeof(float));
  });
  return Status::kOk;
}

Status scatter_rows_int8(ThreadPool& pool, int8_t* codes, float* scales, const int32_t* rows, const float* source, int64_t T, int64_t Hkv,
                         int64_t D) {
  const int64_t grain = larger(1, (1 << 13) / larger(Hkv * D, 1));
  pool.parallel_for(T, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * Hkv; i < end * Hkv; i++) {
      const int64_t head = rows[i / Hkv] * Hkv + i % Hkv;
      scales[head] = quantize_head(codes + head * D, source + i * D, D);
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
