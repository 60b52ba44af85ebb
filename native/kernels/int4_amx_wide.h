// Many rows of int8 codes times panels of int4 weights with tiles, as int4_amx.h does, for a depth block: inputs of which the codes of many rows
// fit L2. Two panels are unpacked at once; of a block of rows the f32 sums stay in L1 over all groups; the sums of a group meet their scales
// while tiles are at work on the next one, a part behind each product; and those of the last group go straight to where they are awaited,
// whose lines were fetched one step before. Gate and up of a gated MLP run together: a gate meets its up value in L1.
// What a group of 32 × 32 × 128 takes on an Emerald Rapids, 512 × 1536, one thread, with nobody else on the core and with somebody:
//   1. f32 sums written by a pass of its own, cleared before, a tile loaded right in front of its product   200  345 ns
//   2. all tiles of a step loaded in front of its products                                                  200  310
//   3. the first group clears, a row's scale serves two panels                                              190  295
//   4. the last group writes                                                                                174  275  ← this
// No gain: codes or weights fetched into L1 ahead; four panels at once (154 without writing, as with two); results written behind the products of the
// next block (a second place for sums takes too much of L1: 220).
#pragma once

#include "int4_amx.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int64_t kWideDepth = 4608;                       // most inputs of a depth block: two panels are 144 KiB unpacked
constexpr int64_t kLeastWideRows = 64;                     // fewer do not make up for unpacking a depth block at once
constexpr int64_t kSumsOfUnit = 2 * kRowsAtOnce * kPanel;  // of 32 rows and two panels

// Rows whose sums stay in L1: 12 or 16 KiB of them.
template <int products>
constexpr int64_t kRowsOfBlock = (products == 1 ? 3 : 2) * kRowsAtOnce;

// What becomes of sums that have met their scales.
enum class Meet { kNothing, kFirst, kAdd, kOut, kGated };

// The sums of a group, of 32 rows and two panels, on their way.
struct Int4Sums {
  Meet how = Meet::kNothing;
  const int32_t* sums;          // [2 panels][32][16]
  F32 scales[2];                // of the weights
  const float* scales_of_rows;  // [32]
  float* acc;                   // [2 panels][rows of a block][16]: what was summed before, for kGated of up, behind that of the gate
  float* out;                   // [32][out_stride], for kOut and kGated
  int64_t out_stride;
  F32 base[2];                  // added by kOut
};

// A part of `parts` equal ones of what waits.
template <int parts, Meet how, int64_t rows_of_block>
NVILA_INLINE void meet_scales(const Int4Sums& all, int part) {
  constexpr int64_t kRows = kRowsAtOnce / parts;
#pragma GCC unroll 8
  for (int64_t r = part * kRows; r < (part + 1) * kRows; r++) {
    const F32 of_row = splat(all.scales_of_rows[r]);
#pragma GCC unroll 2
    for (int64_t panel = 0; panel < 2; panel++) {
      float* acc = all.acc + (panel * rows_of_block + r) * kPanel;
      const F32 sum = {_mm512_cvtepi32_ps(_mm512_load_si512(all.sums + (panel * kRowsAtOnce + r) * kPanel))};
      const F32 total = fma(sum, all.scales[panel] * of_row, how == Meet::kFirst ? zero() : load(acc));
      float* out = all.out + r * all.out_stride + panel * kPanel;
      if (how == Meet::kOut) store(out, total + all.base[panel]);
      // + 0: a gate of −0 is +0, as everywhere.
      else if (how == Meet::kGated) store(out, swiglu_value(load(acc - 2 * rows_of_block * kPanel) + zero(), total + zero()));
      else store(acc, total);
    }
  }
}

// sums[2 panels][32][16] = a group of two panels, `weights` and `weights + next`, times 32 rows of codes; meanwhile what waits meets its scales.
template <int group, int64_t rows_of_block, Meet how>
NVILA_INLINE void multiply_group(int32_t* sums, const int8_t* codes, int64_t stride, const uint8_t* weights, int64_t next, const Int4Sums& before) {
  constexpr int64_t kInputs = group < kTileInputs ? group : kTileInputs;  // of a tile
  constexpr int kSteps = group / kInputs;
  zero_sums<2, 2>();
#pragma GCC unroll 2
  for (int k = 0; k < kSteps; k++) {
    const uint8_t* w = weights + k * kInputs * kPanel;
    add_tiles<2, 2, true>(codes + k * kInputs, stride, w, w + next, [&](int i) {
      if (how != Meet::kNothing) meet_scales<4 * kSteps, how, rows_of_block>(before, 4 * k + i);
    });
  }
  store_tiles<2, 2>(sums, kRowsAtOnce * kPanel);
}

// Rows [row, row + count) of codes times panels of one product, or of gate and up, over groups [first_group, first_group + groups), whole blocks
// of inputs. From first_group > 0 on what lies in `out` is added: codes have one byte then, and there is no gate. Columns of scales are zeros
// behind the last row. Gate and up: codes of one byte, all groups, two at least, and `out` has room for kReadRows more rows and for whole panels.
template <int group, int products>
class Int4Wide {
 public:
  static size_t bytes(int64_t inputs) {
    return static_cast<size_t>(2 * kSumsOfUnit + products * 2 * kBlockRows * kPanel) * sizeof(float) + static_cast<size_t>(products * 2 * inputs * kPanel);
  }

  Int4Wide(const Int4Product* const (&of)[products], int64_t row, int64_t count, int64_t first_group, int64_t groups, void* memory)
      : row_(row),
        count_(count),
        first_group_(first_group),
        groups_(groups),
        sums_(static_cast<int32_t*>(memory)),
        acc_(reinterpret_cast<float*>(sums_ + 2 * kSumsOfUnit)),
        unpacked_(reinterpret_cast<uint8_t*>(acc_ + products * 2 * kBlockRows * kPanel)) {
    for (int i = 0; i < products; i++) of_[i] = of[i];
  }

  // Panels [first, last), an even number of them.
  void multiply(int64_t first, int64_t last) {
    const Tiles tiles(group < kTileInputs ? group : kTileInputs);
    for (int64_t p = first; p < last; p += 2) {
      for (int i = 0; i < products * 2; i++) unpack<group>(unpacked_ + i * kPanel * inputs(), of_[i / 2]->groups(p + i % 2, first_group_), groups_);
      for (int64_t t = 0; t < count_; t += kBlockRows) block(p, t, smaller(kBlockRows, count_ - t));
    }
  }

 private:
  static constexpr int64_t kBlockRows = kRowsOfBlock<products>;

  int64_t inputs() const { return groups_ * group; }

  // The next panels are fetched while the first rows meet these, a share for every group.
  void fetch_weights(int64_t p, int64_t g) const {
    constexpr int64_t kBytes = group / 2 * kPanel;
    for (int i = 0; i < products * 2; i++) {
      const uint8_t* next = of_[i / 2]->groups(p + 2 + i % 2, first_group_).codes;
      for (int64_t line = 0; line < kBytes; line += 64) __builtin_prefetch(next + g * kBytes + line, 0, 2);
    }
  }

  // Lines that kOut or kGated of the next step write, into L1.
  static void fetch_out(const float* out, int64_t stride) {
    for (int64_t r = 0; r < kRowsAtOnce; r++, out += stride) {
      __builtin_prefetch(out, 1, 3);
      __builtin_prefetch(out + 2 * kPanel - 1, 1, 3);
    }
  }

  // Rows [t, t + rows) of these times panels p and p + 1.
  void block(int64_t p, int64_t t, int64_t rows) const {
    const Int4Product& last = *of_[products - 1];
    const bool goes_on = first_group_ > 0;
    // A single group would have to be the first and the last.
    const bool is_simple = last.bytes_of_code == 1 && !last.gate.data && (groups_ > 1 || goes_on);
    const bool is_direct = products > 1 || (is_simple && rows % kRowsAtOnce == 0 && (p + 2) * kPanel <= last.M);
    if (goes_on) load_out(p, t, rows);
    const Int4Codes x = of_[0]->codes(row_ + t, first_group_);
    Int4Sums before = {};
    before.out_stride = last.out.stride;
    float base[2 * kPanel];
    last.bases(base, p, 2);
    for (int i = 0; i < 2; i++) before.base[i] = load(base + i * kPanel);
    int32_t* sums = sums_;
    for (int64_t g = 0; g < groups_; g++) {
      if (t == 0) fetch_weights(p, g);
      for (int64_t r = 0; r < rows; r += kRowsAtOnce) {
#pragma GCC unroll 2
        for (int i = 0; i < products; i++) {
          step(sums, x.codes + r * x.stride + g * group, x.stride, unpacked_ + (i * 2 * inputs() + g * group) * kPanel, inputs() * kPanel, before);
          const bool writes = is_direct && g == groups_ - 1 && i == products - 1;
          before.how = writes ? (products > 1 ? Meet::kGated : Meet::kOut) : g == 0 && !goes_on ? Meet::kFirst : Meet::kAdd;
          before.sums = sums;
          before.acc = acc_ + (i * 2 * kBlockRows + r) * kPanel;
          before.scales_of_rows = of_[0]->rows.columns + (first_group_ + g) * of_[0]->rows.column_stride + row_ + t + r;
          for (int j = 0; j < 2; j++) before.scales[j] = load_scales(of_[i]->groups(p + j, first_group_), g, 0);
          if (writes) {
            before.out = last.out.at(row_ + t + r, p);
            fetch_out(before.out, before.out_stride);
          }
          sums = sums == sums_ ? sums_ + kSumsOfUnit : sums_;
        }
      }
    }
    meet_rest(before);
    if (!is_direct) last.finish<2>(acc_, kBlockRows * kPanel, p, row_ + t, rows);
  }

  // acc = out, where the depth block before left it.
  void load_out(int64_t p, int64_t t, int64_t rows) const {
    const Int4Product& product = *of_[0];
    for (int64_t i = 0; i < 2; i++) {
      const int columns = static_cast<int>(larger(0, smaller(kPanel, product.M - (p + i) * kPanel)));
      for (int64_t r = 0; r < rows; r++) {
        store(acc_ + (i * kBlockRows + r) * kPanel, load_first(product.out.at(row_ + t + r, p + i), columns));
      }
    }
  }

  NVILA_INLINE void step(int32_t* sums, const int8_t* codes, int64_t stride, const uint8_t* weights, int64_t next, const Int4Sums& before) {
    switch (before.how) {
      case Meet::kNothing: return multiply_group<group, kBlockRows, Meet::kNothing>(sums, codes, stride, weights, next, before);
      case Meet::kFirst: return multiply_group<group, kBlockRows, Meet::kFirst>(sums, codes, stride, weights, next, before);
      case Meet::kAdd: return multiply_group<group, kBlockRows, Meet::kAdd>(sums, codes, stride, weights, next, before);
      default: return multiply_group<group, kBlockRows, products == 1 ? Meet::kOut : Meet::kGated>(sums, codes, stride, weights, next, before);
    }
  }

  static void meet_rest(const Int4Sums& before) {
    if (before.how == Meet::kFirst) meet_scales<1, Meet::kFirst, kBlockRows>(before, 0);
    else if (before.how == Meet::kAdd) meet_scales<1, Meet::kAdd, kBlockRows>(before, 0);
    else meet_scales<1, products == 1 ? Meet::kOut : Meet::kGated, kBlockRows>(before, 0);
  }

  const Int4Product* of_[products];
  int64_t row_, count_, first_group_, groups_;
  int32_t* sums_;      // [2][kSumsOfUnit]: one is written while the other meets its scales
  float* acc_;         // [products][2 panels][kBlockRows][16]
  uint8_t* unpacked_;  // [products][2 panels][groups · group · 16]
};

}  // namespace NVILA_ISA
}  // namespace nvila
