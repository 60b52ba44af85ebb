// out[B · P, C]: each patch as one row of 3 · patch² pixels in the order of the weight, then linear, then + position[p]. The rows take scratch
// memory part by part; beside linear's 2 · 3 · patch² · C operations per row their copying does not count.
#include <cstring>

#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kRowBytes = int64_t{8} << 20;  // of rows at a time

}  // namespace

Status patch_embed(ThreadPool& pool, float* out, const float* pixels, Weight weight, Weight bias, Weight position, int64_t B,
                   int64_t S, int64_t patch, int64_t C) {
  constexpr int64_t kChannels = 3;
  const int64_t n = S / patch, P = n * n, width = kChannels * patch * patch;
  const int64_t part = larger(1, kRowBytes / (width * static_cast<int64_t>(sizeof(float))));
  float* rows = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(smaller(part, B * P) * width) * sizeof(float),
                                                        ThreadPool::Shared::kCallerOfLinear));
  if (!rows) return Status::kOutOfMemory;
  for (int64_t start = 0; start < B * P; start += part) {
    const int64_t count = smaller(part, B * P - start);
    pool.parallel_for(count, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t b = (start + i) / P, p = (start + i) % P;
        const float* corner = pixels + (b * kChannels * S + p / n * patch) * S + p % n * patch;
        float* row = rows + i * width;
        for (int64_t channel = 0; channel < kChannels; channel++) {
          for (int64_t dy = 0; dy < patch; dy++, row += patch) {
            std::memcpy(row, corner + (channel * S + dy) * S, static_cast<size_t>(patch) * sizeof(float));
          }
        }
      }
    });
    const Status status = linear(pool, out + start * C, rows, weight, bias, count, width, C);
    if (status != Status::kOk) return status;
    with_dtype(position, [&](auto* positions) {
      pool.parallel_for(count, 16, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) {
          const auto* offset = positions + (start + i) % P * C;
          float* y = out + (start + i) * C;
          int64_t c = 0;
          for (; c + F32::width <= C; c += F32::width) store(y + c, load(y + c) + load_weight(offset + c));
          for (; c < C; c++) y[c] += widen(offset + c);
        }
      });
    });
  }
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
