// out[height, width, C] from x[h, w, C]: means over rows ⌊i·h/height⌋ … ⌈(i+1)·h/height⌉ − 1 and columns alike.
#include "box_mean.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status area_resize(ThreadPool& pool, float* out, const float* x, int64_t h, int64_t w, int64_t C, int64_t height, int64_t width) {
  const int64_t floats = larger(1, (ceil_div(h, larger(height, 1)) + 1) * (w + width) * C);  // about what one output row touches
  const int64_t grain = larger(1, (1 << 14) / floats);
  pool.parallel_for(height, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t top = i * h / height, bottom = ceil_div((i + 1) * h, height);
      for (int64_t j = 0; j < width; j++) {
        const int64_t left = j * w / width, right = ceil_div((j + 1) * w, width);
        const Box box = {1, bottom - top, right - left, 0, w * C, C};
        box_mean(out + (i * width + j) * C, x + (top * w + left) * C, box, C);
      }
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
