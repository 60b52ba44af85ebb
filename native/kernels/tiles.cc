// Tiles of a grid [gy · gx, h, w, C] and the map [gy · h, gx · w, C] that they make: both ways copy rows of w · C floats.
#include <cstring>

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// Calls copy(offset in the map, offset in the tiles) for every row of every tile, in the order of the map.
template <typename F>
NVILA_INLINE void each_tile_row(ThreadPool& pool, int64_t gy, int64_t gx, int64_t h, int64_t width, F&& copy) {
  const int64_t grain = larger(1, (1 << 14) / larger(1, gx * width));
  pool.parallel_for(gy * h, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t ty = row / h, y = row % h;
      for (int64_t tx = 0; tx < gx; tx++) copy((row * gx + tx) * width, ((ty * gx + tx) * h + y) * width);
    }
  });
}

}  // namespace

Status stitch_tiles(ThreadPool& pool, float* out, const float* x, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C) {
  const size_t bytes = static_cast<size_t>(w * C) * sizeof(float);
  each_tile_row(pool, gy, gx, h, w * C, [&](int64_t map, int64_t tile) { std::memcpy(out + map, x + tile, bytes); });
  return Status::kOk;
}

Status split_tiles(ThreadPool& pool, float* out, const float* x, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C) {
  const size_t bytes = static_cast<size_t>(w * C) * sizeof(float);
  each_tile_row(pool, gy, gx, h, w * C, [&](int64_t map, int64_t tile) { std::memcpy(out + tile, x + map, bytes); });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
