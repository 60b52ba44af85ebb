// out[F/pt, h/ph, w/pw, C] from x[F, h, w, C]: means over boxes of pt frames, ph rows and pw columns.
#include "box_mean.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

Status pool3d(ThreadPool& pool, float* out, const float* x, int64_t F, int64_t h, int64_t w, int64_t C, int64_t pt, int64_t ph, int64_t pw) {
  const int64_t height = h / ph, width = w / pw;
  const Box box = {pt, ph, pw, h * w * C, w * C, C};
  const int64_t grain = larger(1, (1 << 14) / larger(1, pt * ph * w * C));
  pool.parallel_for(F / pt * height, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t line = begin; line < end; line++) {
      const int64_t f = line / height, i = line % height;
      const float* first = x + (f * pt * h + i * ph) * w * C;
      for (int64_t j = 0; j < width; j++) box_mean(out + (line * width + j) * C, first + j * pw * C, box, C);
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
