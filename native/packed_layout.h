// Bytes of packed weights: what pack_* writes, linear_* and embedding_* read, and files keep. Layout "nvila-panels-1", little-endian:
//   header, 64 bytes: PackedHeader
//   scales of int8 weights: float[⌈M/16⌉ · 16], filled up to a multiple of 64 bytes
//   ⌈M/16⌉ panels of 16 outputs each, one behind the other; missing outputs are zeros
//
// Panel of int8 weights [M, C]: ⌈C/16⌉ · 4 steps of 64 bytes: [output 0 … 15][4 inputs], byte = code + 128. Inputs behind C hold 128.
//
// Panel of int4 weights in groups of g ∈ {32, 64, 128} inputs; G = ⌈C/64⌉ · 64 / g groups, the last of 32 may be filling (scale 0):
//   scales [G][output 0 … 15], f16 when every scale of the matrix is exact as f16, else f32; zero points u8 [G][16] unless all are 8;
//   both filled up to a multiple of 64 bytes together; then ⌈C/64⌉ blocks of 8 rows of 64 bytes: [output 0 … 15][4 bytes], byte i of row j
//   = code of input 4j + i of the block | code of input 32 + 4j + i << 4.
//
// Why: a vector register holds outputs in its 32-bit lanes and 4 inputs in each lane, as maddubs + madd (AVX2), vpdpbusd (VNNI) and
// sdot/usdot (NEON) add them up, so no sum crosses lanes; 64 bytes are one line and one AVX-512 register; the two nibbles are two
// planes of inputs, so unpacking is an AND and a shift; a panel is one stream for products with one row and a block that stays in a
// cache for many.
#pragma once

#include <cstdint>
#include <cstring>

namespace nvila {

constexpr char kPackedMagic[8] = {'N', 'V', 'P', 'A', 'N', 'E', 'L', '1'};
constexpr int64_t kPanel = 16;       // outputs of a panel
constexpr int64_t kInt8Inputs = 16;  // C of int8 weights is filled up to a multiple of this
constexpr int64_t kBlock = 64;       // inputs of an int4 block
constexpr int64_t kBlockBytes = kBlock / 2 * kPanel;
// 255 · 128 · C must stay within int32.
constexpr int64_t kMostInputs = 65536;

struct PackedHeader {
  char magic[8];
  uint32_t bits;         // 8 or 4
  uint32_t group;        // 0 for int8
  uint32_t outputs;      // M
  uint32_t inputs;       // C
  uint32_t scale_bytes;  // of one scale: 4, or 2 for f16
  uint32_t has_zeros;    // 1: zero points are stored
  uint64_t bytes;        // of everything, header included
  uint8_t filling[24];
};
static_assert(sizeof(PackedHeader) == 64, "header");

#define NVILA_LAYOUT static inline __attribute__((always_inline))

NVILA_LAYOUT int64_t up_to_multiple(int64_t n, int64_t of) { return (n + of - 1) / of * of; }

// Sizes that follow from a header.
struct PackedSizes {
  int64_t panels;
  int64_t inputs;       // C filled up
  int64_t groups;       // of a row; 0 for int8
  int64_t zeros;        // offset of zero points in a panel
  int64_t codes;        // offset of codes in a panel
  int64_t panel_bytes;
  int64_t first_panel;  // offset of the first panel
  int64_t bytes;
};

NVILA_LAYOUT PackedSizes packed_sizes(int64_t bits, int64_t M, int64_t C, int64_t group, int64_t scale_bytes, bool has_zeros) {
  PackedSizes s;
  s.panels = (M + kPanel - 1) / kPanel;
  const int64_t header = static_cast<int64_t>(sizeof(PackedHeader));
  if (bits == 8) {
    s.inputs = up_to_multiple(C, kInt8Inputs);
    s.groups = 0;
    s.zeros = 0;
    s.codes = 0;
    s.panel_bytes = s.inputs * kPanel;
    s.first_panel = header + up_to_multiple(s.panels * kPanel * 4, 64);
  } else {
    s.inputs = up_to_multiple(C, kBlock);
    s.groups = s.inputs / group;
    s.zeros = s.groups * kPanel * scale_bytes;
    s.codes = up_to_multiple(s.zeros + (has_zeros ? s.groups * kPanel : 0), 64);
    s.panel_bytes = s.codes + s.inputs / kBlock * kBlockBytes;
    s.first_panel = header;
  }
  s.bytes = s.first_panel + s.panels * s.panel_bytes;
  return s;
}

NVILA_LAYOUT PackedHeader packed_header(const uint8_t* packed) {
  PackedHeader header;
  std::memcpy(&header, packed, sizeof header);
  return header;
}

NVILA_LAYOUT PackedSizes packed_sizes(const PackedHeader& h) {
  return packed_sizes(h.bits, h.outputs, h.inputs, h.group, h.scale_bytes, h.has_zeros != 0);
}

// True when these bytes are a whole packed weight. What kernels rely on: nothing else in them can lead outside.
NVILA_LAYOUT bool is_packed(const uint8_t* packed, int64_t bytes) {
  if (bytes < static_cast<int64_t>(sizeof(PackedHeader))) return false;
  const PackedHeader h = packed_header(packed);
  if (std::memcmp(h.magic, kPackedMagic, sizeof h.magic) != 0 || h.outputs >= (1u << 31) || h.inputs > kMostInputs) return false;
  const bool is_int8 = h.bits == 8 && h.group == 0 && h.scale_bytes == 4 && h.has_zeros == 0;
  const bool is_int4 = h.bits == 4 && (h.group == 32 || h.group == 64 || h.group == 128) && (h.scale_bytes == 2 || h.scale_bytes == 4) &&
                       h.has_zeros <= 1 && h.inputs % h.group == 0;
  if (!is_int8 && !is_int4) return false;
  return packed_sizes(h).bytes == bytes && h.bytes == static_cast<uint64_t>(bytes);
}

}  // namespace nvila
