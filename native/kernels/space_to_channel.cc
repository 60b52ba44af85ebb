// out[B, t, t, k · k · C] from x[B, s, s, C], t = ⌈s / k⌉: the k neighbours of one row lie side by side in x, so each output
// pixel is k copies, cut short with zeros at the lower and right edge.
#include <cstring>

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status space_to_channel(ThreadPool& pool, float* out, const float* x, int64_t B, int64_t s, int64_t C, int64_t k) {
  const int64_t t = ceil_div(s, k), width = k * C;
  const int64_t grain = larger(1, (1 << 14) / larger(t * k * width, 1));
  pool.parallel_for(B * t, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t line = begin; line < end; line++) {
      const int64_t b = line / t, i = line % t;
      float* y = out + line * t * k * width;
      for (int64_t j = 0; j < t; j++) {
        for (int64_t dy = 0; dy < k; dy++, y += width) {
          const int64_t row = i * k + dy;
          const int64_t inside = row < s ? smaller(k, s - j * k) * C : 0;
          if (inside > 0) std::memcpy(y, x + ((b * s + row) * s + j * k) * C, static_cast<size_t>(inside) * sizeof(float));
          std::memset(y + inside, 0, static_cast<size_t>(width - inside) * sizeof(float));
        }
      }
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
