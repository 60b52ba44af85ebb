// A product with packed int4 weights, as its inner blocks see it.
#pragma once

#include "int4_tile.h"
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

struct Int4Product {
  const uint8_t* packed;
  PackedHeader header;
  PackedSizes sizes;
  Weight bias;
  int64_t bytes_of_code;
  Int4Rows rows;
  float* out;  // [rows / bytes_of_code][M]
  int64_t M;

  // Of a panel, from group g on.
  Int4Groups groups(int64_t panel, int64_t g) const {
    const uint8_t* start = packed + sizes.first_panel + panel * sizes.panel_bytes;
    return {start + sizes.codes + g * header.group / kBlock * kBlockBytes, start + g * kPanel * header.scale_bytes,
            header.has_zeros ? start + sizes.zeros + g * kPanel : nullptr, header.scale_bytes == 2};
  }

  // Rows of codes from `row` on, from group g on.
  Int4Codes codes(int64_t row, int64_t g) const {
    const int64_t at = row * rows.groups + g;
    return {rows.codes + row * rows.stride + g * header.group, rows.stride, rows.scales + at, rows.sums + at, rows.groups};
  }

  // Rows of out, columns of a panel, from acc[count][16] of rows of codes [row, row + count).
  void finish(const float* acc, int64_t panel, int64_t row, int64_t count) const {
    const int64_t m = panel * kPanel, columns = smaller(kPanel, M - m);
    float base[kPanel];
    for (int64_t j = 0; j < kPanel; j++) base[j] = j < columns ? bias_at(bias, m + j) : 0.0f;
    for (int64_t t = 0; t < count; t += bytes_of_code) {
      float* target = out + (row + t) / bytes_of_code * M + m;
      float edge[kPanel];
      float* full = columns == kPanel ? target : edge;
      for (int64_t j = 0; j < kPanel; j += F32::width) {
        F32 sum = load(acc + t * kPanel + j);
        for (int64_t byte = 1; byte < bytes_of_code; byte++) sum = sum + load(acc + (t + byte) * kPanel + j);
        store(full + j, sum + load(base + j));
      }
      if (columns < kPanel) std::memcpy(target, edge, static_cast<size_t>(columns) * sizeof(float));
    }
  }
};

}  // namespace NVILA_ISA
}  // namespace nvila
