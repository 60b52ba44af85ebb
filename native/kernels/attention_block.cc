// The parts of attention around its inner block: queries in, copied keys and values, limits of rows, results out.
#include "attention_block.h"

#include "int8_heads.h"

namespace nvila {
namespace NVILA_ISA {

void pack_queries(float* queries, const Segment& segment, int64_t head, int64_t first, int64_t rows) {
  const int lanes = lanes_for(rows);
  const int64_t D = segment.D;
  const F32 scale = splat(segment.scale), rest = splat(segment.scale_rest);
  for (int base = 0; base < lanes; base += F32::width) {
    const float* row[F32::width];
    for (int r = 0; r < F32::width; r++) {
      row[r] = base + r < rows ? segment.q + segment.offset(head, first + base + r) : nullptr;
    }
    for (int64_t d = 0; d < D; d += F32::width) {
      const int count = static_cast<int>(smaller(F32::width, D - d));
      F32 block[F32::width];
      for (int r = 0; r < F32::width; r++) {
        const F32 q = row[r] ? load_first(row[r] + d, count) : zero();
        block[r] = fma(q, scale, q * rest);
      }
      transpose(block);
      for (int r = 0; r < count; r++) store(queries + (d + r) * lanes + base, block[r]);
    }
  }
}

void clear_state(float* state, int64_t D, int lanes) {
  for (int64_t i = 0; i < (D + 1) * lanes; i++) state[i] = 0.0f;
  for (int i = 0; i < lanes; i++) state[(D + 1) * lanes + i] = -kInfinity;
}

void copy_block(float* block, Which which, const Segment& segment, int64_t head, int64_t first, int64_t rows) {
  const int64_t D = segment.D, stride = block_stride(D);
  const float* from = which == Which::kKeys ? segment.k : segment.v;
  const int8_t* codes = which == Which::kKeys ? segment.k_codes : segment.v_codes;
  const float* scales = which == Which::kKeys ? segment.k_scales : segment.v_scales;
  for (int64_t s = 0; s < rows; s++) {
    const int64_t place = segment.place(first + s) * segment.Hkv + head;
    float* target = block + s * stride;
    if (codes) {
      widen_head(target, codes + place * D, scales[place], D);
      continue;
    }
    const float* source = from + place * D;
    int64_t d = 0;
    for (; d + F32::width <= D; d += F32::width) store(target + d, load(source + d));
    for (; d < D; d++) target[d] = source[d];
  }
}

void set_limits(Block& block, float* limits, const Segment& segment, int64_t first, int64_t rows, int64_t start, int64_t size) {
  const auto limit = [&](int64_t row) { return smaller(size, larger(0, segment.seen(row) - start)); };
  const int lanes = lanes_for(rows);
  block.limits = limits;
  block.all = limit(first);
  block.some = limit(first + rows - 1);
  for (int r = 0; r < lanes; r++) {
    limits[r] = static_cast<float>(block.all == block.some || r >= rows ? block.some : limit(first + r));
  }
}

void finish(const Segment& segment, const float* state, int64_t head, int64_t first, int64_t rows) {
  const int lanes = lanes_for(rows);
  const int64_t D = segment.D;
  for (int64_t base = 0; base < rows; base += F32::width) {
    const F32 total = load(state + D * lanes + base);
    for (int64_t d = 0; d < D; d += F32::width) {
      const int count = static_cast<int>(smaller(F32::width, D - d));
      F32 block[F32::width];
      for (int r = 0; r < F32::width; r++) block[r] = r < count ? load(state + (d + r) * lanes + base) / total : zero();
      transpose(block);
      for (int64_t r = 0; r < F32::width && base + r < rows; r++) {
        const int64_t row = first + base + r;
        store_first(segment.out + segment.offset(head, row) + d, segment.seen(row) > 0 ? block[r] : zero(), count);
      }
    }
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
