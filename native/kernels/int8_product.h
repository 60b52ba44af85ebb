// A product with packed int8 weights, as its inner blocks see it.
#pragma once

#include "int8_tile.h"
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

struct Int8Product {
  const uint8_t* packed;
  PackedSizes sizes;
  const float* scales;  // of the weights
  Weight bias;
  Int8Rows rows;
  float* out;  // [rows][M]
  int64_t M;

  const uint8_t* panel(int64_t p) const { return packed + sizes.first_panel + p * sizes.panel_bytes; }

  // Rows [row, row + count) of out, columns of `panels` panels from p on, from their sums[panels][count][16], `stride` numbers apart.
  // Neighbouring panels go together, because a row of out is a page of its own.
  template <int panels>
  void finish(const int32_t* sums, int64_t stride, int64_t p, int64_t row, int64_t count) const {
    float base[panels * kPanel];
    for (int64_t j = 0; j < panels * kPanel; j++) base[j] = p * kPanel + j < M ? bias_at(bias, p * kPanel + j) : 0.0f;
    for (int64_t t = row; t < row + count; t++, sums += kPanel) {
      for (int64_t i = 0; i < panels; i++) {
        const int64_t m = (p + i) * kPanel, columns = smaller(kPanel, M - m);
        float* target = out + t * M + m;
        float edge[kPanel];
        int8_finish(columns == kPanel ? target : edge, sums + i * stride, panel(p + i), rows.excess + t * rows.most, rows.counts[t], rows.sums[t],
                    rows.scales[t], scales + m, base + i * kPanel);
        if (columns < kPanel) std::memcpy(target, edge, static_cast<size_t>(columns) * sizeof(float));
      }
    }
  }
};

}  // namespace NVILA_ISA
}  // namespace nvila
