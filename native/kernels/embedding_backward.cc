// Gradients of tables: rows added back in order, and the patch convolution as a product with the gathered patches.
#include <cstring>

#include "backward.h"
#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kColumns = 64;                 // of a table, of one task
constexpr int64_t kRowBytes = int64_t{8} << 20;  // of patches at a time

NVILA_INLINE void add_row(float* target, const float* source, int64_t n) {
  int64_t i = 0;
  for (; i + F32::width <= n; i += F32::width) store(target + i, load(target + i) + load(source + i));
  for (; i < n; i++) target[i] += source[i];
}

}  // namespace

Status embedding_backward(ThreadPool& pool, float* d_table, const int32_t* ids, const float* dy, int64_t T, int64_t C) {
  pool.parallel_for(C, kColumns, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = 0; t < T; t++) add_row(d_table + ids[t] * C + begin, dy + t * C + begin, end - begin);
  });
  return Status::kOk;
}

Status patch_embed_backward(ThreadPool& pool, float* d_weight, float* d_bias, float* d_position, const float* dy, const float* pixels, int64_t B,
                            int64_t S, int64_t patch, int64_t C) {
  constexpr int64_t kChannels = 3;
  const int64_t n = S / patch, P = n * n, width = kChannels * patch * patch;
  const int64_t part = larger(1, kRowBytes / (width * static_cast<int64_t>(sizeof(float))));
  float* rows = static_cast<float*>(
      pool.shared_scratch(static_cast<size_t>(smaller(part, B * P) * width) * sizeof(float), ThreadPool::Shared::kCallerOfLinear));
  if (!rows) return Status::kOutOfMemory;
  pool.parallel_for(P, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      for (int64_t b = 0; b < B; b++) add_row(d_position + p * C, dy + (b * P + p) * C, C);
    }
  });
  for (int64_t start = 0; start < B * P; start += part) {
    const int64_t count = smaller(part, B * P - start);
    pool.parallel_for(count, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t b = (start + i) / P, p = (start + i) % P;
        const float* corner = pixels + (b * kChannels * S + p / n * patch) * S + p % n * patch;
        float* row = rows + i * width;
        for (int64_t channel = 0; channel < kChannels; channel++) {
          for (int64_t y = 0; y < patch; y++, row += patch) {
            std::memcpy(row, corner + (channel * S + y) * S, static_cast<size_t>(patch) * sizeof(float));
          }
        }
      }
    });
    const Status status = linear_backward_weight(pool, d_weight, d_bias, dy + start * C, rows, count, width, C);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
