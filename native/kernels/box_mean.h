// The mean of a box of pixels, channel by channel: shared by the resize by area and the pooling of frames.
#pragma once

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

struct Box {
  int64_t frames, rows, columns;
  int64_t frame_stride, row_stride, column_stride;  // in floats
};

// V vectors of channels; `count` of the last one's lanes are used.
template <int V>
NVILA_INLINE void box_mean_of(float* out, const float* x, const Box& box, F32 size, int count) {
  const auto get = [count](const float* p, int v) {
    return V > 1 || count == F32::width ? load(p + v * F32::width) : load_first(p, count);
  };
  F32 sums[V];
  for (int v = 0; v < V; v++) sums[v] = zero();
  for (int64_t f = 0; f < box.frames; f++) {
    for (int64_t row = 0; row < box.rows; row++) {
      const float* line = x + f * box.frame_stride + row * box.row_stride;
      for (int64_t column = 0; column < box.columns; column++, line += box.column_stride) {
        for (int v = 0; v < V; v++) sums[v] = sums[v] + get(line, v);
      }
    }
  }
  for (int v = 0; v < V; v++) {
    if (V > 1 || count == F32::width) store(out + v * F32::width, sums[v] / size);
    else store_first(out, sums[v] / size, count);
  }
}

// out[C] = the mean over the box whose first pixel is x[C].
NVILA_INLINE void box_mean(float* out, const float* x, const Box& box, int64_t C) {
  constexpr int kVectors = 4;
  const F32 size = splat(static_cast<float>(box.frames * box.rows * box.columns));
  int64_t c = 0;
  for (; c + kVectors * F32::width <= C; c += kVectors * F32::width) box_mean_of<kVectors>(out + c, x + c, box, size, F32::width);
  for (; c < C; c += F32::width) box_mean_of<1>(out + c, x + c, box, size, static_cast<int>(smaller(F32::width, C - c)));
}

}  // namespace NVILA_ISA
}  // namespace nvila
