// Rows of activations as integer codes, for products with packed weights. The definition is src/backend/reference/quantize-rows.ts.
#pragma once

#include "../packed_layout.h"
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

// Whether the int8 tile adds pairs of products in 16 bits (maddubs), so that rows need lists of what is too much for them.
#if defined(NVILA_ISA_AVX512)
constexpr bool kHasExcess = false;
#else
constexpr bool kHasExcess = true;
#endif

// Codes that one pair of a row has too much: see Int8Rows.
struct Excess {
  int32_t step;      // 4 · step is the first of the four inputs
  int8_t codes[4];
};

// Rows for int8 weights. Weights are multiplied as unsigned bytes (code + 128), so Σ codes · 128 is taken off each sum. Where two
// neighbours (inputs 2i, 2i + 1) add up to more than 128 in magnitude, two products of 8 × 8 bits could exceed 16 bits; the rest of the second
// one is taken out of `codes` into a list and multiplied on its own (lists are empty without kHasExcess). Sums stay exact for every weight
// −128 … 127 and code −127 … 127.
struct Int8Rows {
  int8_t* codes;    // [T][stride], zeros behind C
  int64_t stride;
  float* scales;    // [T]
  int32_t* sums;    // [T], of all codes
  int32_t* counts;  // [T], entries of the list; filled up to a multiple of 4 with entries of zeros
  Excess* excess;   // [T][most]
  int64_t most;
};

// Rows for int4 weights: one scale and one sum for each group. With codes of n bytes a row of x is n rows here, from the highest byte down
// to the lowest (−128 … 127); the scale of each is that of the next one times 256.
struct Int4Rows {
  int8_t* codes;  // [rows][stride], zeros behind C
  int64_t stride;
  float* scales;  // [rows][groups]
  int32_t* sums;  // [rows][groups]
  int64_t groups;
  float* columns;  // the scales once more, [groups][column_stride], for tiles; null without them
  int64_t column_stride;
};

// An odd number of lines, so that neighbouring rows do not fall into the same sets of a cache.
NVILA_INLINE int64_t row_stride(int64_t C) {
  const int64_t lines = ceil_div(C, 64);
  return (lines | 1) * 64;
}

// Rows behind the last one that tiles of registers may read, 32 at a time; what they hold does not matter.
#if defined(NVILA_ISA_AVX512)
constexpr int64_t kReadRows = 31;
#else
constexpr int64_t kReadRows = 0;
#endif

NVILA_INLINE int64_t most_excess(int64_t stride) { return kHasExcess ? stride / 4 + 4 : 0; }

NVILA_INLINE size_t int8_rows_bytes(int64_t T, int64_t C) {
  const int64_t stride = row_stride(C);
  return static_cast<size_t>(T * (12 + most_excess(stride) * static_cast<int64_t>(sizeof(Excess))) + (T + kReadRows) * stride);
}

// Puts rows into `memory` of int8_rows_bytes.
NVILA_INLINE Int8Rows int8_rows(void* memory, int64_t T, int64_t C) {
  Int8Rows rows;
  rows.stride = row_stride(C);
  rows.most = most_excess(rows.stride);
  rows.codes = static_cast<int8_t*>(memory);
  rows.excess = reinterpret_cast<Excess*>(rows.codes + (T + kReadRows) * rows.stride);
  rows.scales = reinterpret_cast<float*>(rows.excess + T * rows.most);
  rows.sums = reinterpret_cast<int32_t*>(rows.scales + T);
  rows.counts = rows.sums + T;
  return rows;
}

// Rows of a column of scales: whole tiles.
NVILA_INLINE int64_t column_stride([[maybe_unused]] int64_t rows) {
#if defined(NVILA_ISA_AMX)
  return up_to_multiple(rows, kReadRows + 1);
#else
  return 0;
#endif
}

NVILA_INLINE size_t int4_rows_bytes(int64_t rows, int64_t C, int64_t groups) {
  return static_cast<size_t>((8 * rows + 4 * column_stride(rows)) * groups + (rows + kReadRows) * row_stride(C));
}

NVILA_INLINE Int4Rows int4_rows(void* memory, int64_t count, int64_t C, int64_t groups) {
  Int4Rows rows;
  rows.stride = row_stride(C);
  rows.groups = groups;
  rows.codes = static_cast<int8_t*>(memory);
  rows.scales = reinterpret_cast<float*>(rows.codes + (count + kReadRows) * rows.stride);
  rows.sums = reinterpret_cast<int32_t*>(rows.scales + count * groups);
  rows.column_stride = column_stride(count);
  rows.columns = rows.column_stride > 0 ? reinterpret_cast<float*>(rows.sums + count * groups) : nullptr;
  return rows;
}

// Quantises x[C] into row t.
void quantize_int8_row(const Int8Rows& rows, int64_t t, const float* x, int64_t C);

// Quantises x[C] in groups of `group` into rows bytes · t … bytes · (t + 1) − 1, from group `first` on and up to `last`; those behind x become zeros.
void quantize_int4_groups(const Int4Rows& rows, int64_t t, int64_t first, int64_t last, const float* x, int64_t C, int64_t group, int64_t bytes);

}  // namespace NVILA_ISA
}  // namespace nvila
