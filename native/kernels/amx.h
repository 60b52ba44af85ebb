// Tiles of Intel AMX: eight registers of 16 rows of 64 bytes. One instruction adds the products of a tile of codes [16 rows][64 inputs] and a
// tile of weights [16 · 4 inputs][16 outputs] to a tile of sums [16 rows][16 outputs]; 16 lines of a panel (packed_layout.h) are such a tile
// of weights as they lie. Only the amx set includes this. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, TDPBSUD.
#pragma once

#include <immintrin.h>

#include "../packed_layout.h"
#include "../simd.h"
#include "row_count.h"

namespace nvila {
namespace NVILA_ISA {

constexpr int kAmxRows = 16;                        // of codes, as of sums
constexpr int64_t kTileInputs = 64;
constexpr int64_t kTileBytes = kTileInputs * kPanel;  // of weights
constexpr int64_t kTileLines = 16;                   // of weights: steps of four inputs

struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t filling[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// While one of these lives, this thread's tiles 0 … 3 hold sums, 4 and 5 codes, 6 and 7 weights, of `inputs` inputs (a multiple of 4, ≤ 64)
// and of `rows` rows (≤ 32), the first 16 in even numbers of sums and in 4, the others in odd ones and in 5: fewer take less time.
class Tiles {
 public:
  explicit Tiles(int64_t inputs, int64_t rows = 2 * kAmxRows) {
    TileShapes shapes;
    for (int i = 0; i < 8; i++) {
      const int64_t own = i % 2 == 0 || rows <= kAmxRows ? smaller(rows, kAmxRows) : rows - kAmxRows;
      shapes.rows[i] = static_cast<uint8_t>(i < 6 ? own : inputs / 4);
      shapes.row_bytes[i] = static_cast<uint16_t>(i == 4 || i == 5 ? inputs : 64);
    }
    _tile_loadconfig(&shapes);
  }
  // Registers in use make every switch of threads dearer.
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// sums[1 or 2 panels][1 or 2 tiles of rows][16][16] stay in tiles 0 … 3: number 2 · panel + tile.
template <int tiles, int panels>
NVILA_INLINE void zero_sums() {
  _tile_zero(0);
  if (tiles > 1) _tile_zero(1);
  if (panels > 1) _tile_zero(2);
  if (panels > 1 && tiles > 1) _tile_zero(3);
}

// The sums of a panel lie in rows of 16, panels `panel_stride` numbers apart.
template <int tiles, int panels>
NVILA_INLINE void load_sums(const int32_t* sums, int64_t panel_stride) {
  _tile_loadd(0, sums, 64);
  if (tiles > 1) _tile_loadd(1, sums + kAmxRows * kPanel, 64);
  if (panels > 1) _tile_loadd(2, sums + panel_stride, 64);
  if (panels > 1 && tiles > 1) _tile_loadd(3, sums + panel_stride + kAmxRows * kPanel, 64);
}

template <int tiles, int panels>
NVILA_INLINE void store_tiles(int32_t* sums, int64_t panel_stride) {
  _tile_stored(0, sums, 64);
  if (tiles > 1) _tile_stored(1, sums + kAmxRows * kPanel, 64);
  if (panels > 1) _tile_stored(2, sums + panel_stride, 64);
  if (panels > 1 && tiles > 1) _tile_stored(3, sums + panel_stride + kAmxRows * kPanel, 64);
}

// Adds codes[16 · tiles][stride] times one tile of weights of each panel. Weights are unsigned bytes, or signed ones. `meanwhile(i)` is called
// behind product i of tiles · panels: what it does runs while the unit of tiles is at work. All tiles are loaded in front of the products: while
// another thread shares the core, loads and products wait for each other, and each change from one to the other costs as much as a product.
template <int tiles, int panels, bool is_signed, typename Meanwhile>
NVILA_INLINE void add_tiles(const int8_t* codes, int64_t stride, const uint8_t* weights0, const uint8_t* weights1, Meanwhile&& meanwhile) {
  _tile_loadd(6, weights0, 64);
  _tile_loadd(4, codes, static_cast<size_t>(stride));
  if (tiles > 1) _tile_loadd(5, codes + kAmxRows * stride, static_cast<size_t>(stride));
  if (panels > 1) _tile_loadd(7, weights1, 64);
  if (is_signed) _tile_dpbssd(0, 4, 6);
  else _tile_dpbsud(0, 4, 6);
  meanwhile(0);
  if (panels > 1) {
    if (is_signed) _tile_dpbssd(2, 4, 7);
    else _tile_dpbsud(2, 4, 7);
    meanwhile(1);
  }
  if (tiles > 1) {
    if (is_signed) _tile_dpbssd(1, 5, 6);
    else _tile_dpbsud(1, 5, 6);
    meanwhile(panels);
    if (panels > 1) {
      if (is_signed) _tile_dpbssd(3, 5, 7);
      else _tile_dpbsud(3, 5, 7);
      meanwhile(3);
    }
  }
}

template <int tiles, int panels, bool is_signed>
NVILA_INLINE void add_tiles(const int8_t* codes, int64_t stride, const uint8_t* weights0, const uint8_t* weights1) {
  add_tiles<tiles, panels, is_signed>(codes, stride, weights0, weights1, [](int) {});
}

}  // namespace NVILA_ISA
}  // namespace nvila
