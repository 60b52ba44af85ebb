// A product with packed int4 weights, as its inner blocks see it.
#pragma once

#include "functions.h"
#include "int4_tile.h"
#include "linear.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kAheadBytes = 4096;  // of the prefetch of weights that few rows read once

// A matrix of values, or a part of it that begins with that row and panel.
struct Int4Values {
  float* data;
  int64_t stride;
  int64_t row;
  int64_t panel;

  float* at(int64_t r, int64_t p) const { return data + (r - row) * stride + (p - panel) * kPanel; }
};

struct Int4Product {
  const uint8_t* packed;
  PackedHeader header;
  PackedSizes sizes;
  Weight bias;
  int64_t bytes_of_code;
  Int4Rows rows;
  Int4Values out;   // [rows / bytes_of_code][M]
  Int4Values gate;  // data null, or such values: out is silu of them times the product
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

  // Brings what `finish` will write near.
  template <int panels>
  void fetch_out(int64_t panel, int64_t row, int64_t count) const {
    float* target = out.at(row / bytes_of_code, panel);
    for (int64_t t = 0; t < count / bytes_of_code; t++, target += out.stride) {
      __builtin_prefetch(target, 1, 2);
      __builtin_prefetch(target + panels * kPanel - 1, 1, 2);
    }
  }

  // base[count][16] = what is added to the outputs of `count` panels from `panel` on.
  void bases(float* base, int64_t panel, int64_t count) const {
    for (int64_t j = 0; j < count * kPanel; j++) base[j] = panel * kPanel + j < M ? bias_at(bias, panel * kPanel + j) : 0.0f;
  }

  // Rows of out, columns of `panels` panels from `panel` on, from acc[panels][count][16], `stride` numbers apart, of rows of codes
  // [row, row + count). Neighbouring panels go together, because a row of out is a page of its own.
  template <int panels>
  void finish(const float* acc, int64_t stride, int64_t panel, int64_t row, int64_t count) const {
    float base[panels * kPanel];
    bases(base, panel, panels);
    for (int64_t t = 0; t < count; t += bytes_of_code) {
      for (int64_t i = 0; i < panels; i++) {
        const int64_t m = (panel + i) * kPanel, columns = smaller(kPanel, M - m);
        const float* from = acc + i * stride + t * kPanel;
        float* target = out.at((row + t) / bytes_of_code, panel + i);
        float edge[kPanel];
        float* full = columns == kPanel ? target : edge;
        for (int64_t j = 0; j < kPanel; j += F32::width) {
          F32 sum = load(from + j);
          for (int64_t byte = 1; byte < bytes_of_code; byte++) sum = sum + load(from + byte * kPanel + j);
          sum = sum + load(base + i * kPanel + j);
          if (gate.data) sum = swiglu_value(load(gate.at((row + t) / bytes_of_code, panel + i) + j), sum);
          store(full + j, sum);
        }
        if (columns < kPanel) std::memcpy(target, edge, static_cast<size_t>(columns) * sizeof(float));
      }
    }
  }
};

}  // namespace NVILA_ISA
}  // namespace nvila
