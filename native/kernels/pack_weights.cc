// Quantised weights from their canonical form into panels (native/packed_layout.h). Bound by memory: each panel is read once, written once.
#include "../packed_layout.h"
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// The f16 that is exactly `value`; false when there is none.
NVILA_INLINE bool to_f16(float value, uint16_t* half) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000u, fraction = bits & 0x7fffffu;
  const int32_t exponent = static_cast<int32_t>(bits >> 23 & 0xffu) - 127;
  if ((bits & 0x7fffffffu) == 0) {
    *half = static_cast<uint16_t>(sign);
    return true;
  }
  if (exponent > 15 || exponent < -24) return false;
  if (exponent >= -14) {
    *half = static_cast<uint16_t>(sign | static_cast<uint32_t>(exponent + 15) << 10 | fraction >> 13);
    return (fraction & 0x1fffu) == 0;
  }
  const uint32_t significand = fraction | 0x800000u;  // of a subnormal: value = significand · 2^(exponent − 23) = k · 2^-24
  const int shift = -exponent - 1;
  *half = static_cast<uint16_t>(sign | significand >> shift);
  return (significand & ((1u << shift) - 1)) == 0;
}

NVILA_INLINE uint32_t load_u32(const void* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

NVILA_INLINE void store_u32(void* p, uint32_t value) { std::memcpy(p, &value, sizeof value); }

// Four nibbles, low one first, to four bytes.
NVILA_INLINE uint32_t spread(uint32_t nibbles) {
  const uint32_t pairs = (nibbles | nibbles << 8) & 0x00ff00ffu;
  return (pairs | pairs << 4) & 0x0f0f0f0fu;
}

void write_header(uint8_t* packed, uint32_t bits, int64_t group, int64_t M, int64_t C, uint32_t scale_bytes, bool has_zeros, int64_t bytes) {
  PackedHeader header = {};
  std::memcpy(header.magic, kPackedMagic, sizeof header.magic);
  header.bits = bits;
  header.group = static_cast<uint32_t>(group);
  header.outputs = static_cast<uint32_t>(M);
  header.inputs = static_cast<uint32_t>(C);
  header.scale_bytes = scale_bytes;
  header.has_zeros = has_zeros ? 1 : 0;
  header.bytes = static_cast<uint64_t>(bytes);
  std::memcpy(packed, &header, sizeof header);
}

}  // namespace

Status pack_int8(ThreadPool& pool, uint8_t* packed, const int8_t* codes, const float* scales, int64_t M, int64_t C) {
  const PackedSizes sizes = packed_sizes(8, M, C, 0, 4, false);
  write_header(packed, 8, 0, M, C, 4, false, sizes.bytes);
  uint8_t* target_scales = packed + sizeof(PackedHeader);
  std::memset(target_scales, 0, static_cast<size_t>(sizes.first_panel) - sizeof(PackedHeader));
  std::memcpy(target_scales, scales, static_cast<size_t>(M) * sizeof(float));
  pool.parallel_for(sizes.panels, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      uint8_t* panel = packed + sizes.first_panel + p * sizes.panel_bytes;
      std::memset(panel, 128, static_cast<size_t>(sizes.panel_bytes));
      const int64_t outputs = smaller(kPanel, M - p * kPanel);
      for (int64_t o = 0; o < outputs; o++) {
        const int8_t* row = codes + (p * kPanel + o) * C;
        int64_t c = 0;
        for (; c + 4 <= C; c += 4) store_u32(panel + c / 4 * 64 + o * 4, load_u32(row + c) ^ 0x80808080u);
        for (; c < C; c++) panel[c / 4 * 64 + o * 4 + c % 4] = static_cast<uint8_t>(row[c] + 128);
      }
    }
  });
  return Status::kOk;
}

Status int4_traits(ThreadPool& pool, const float* scales, const uint8_t* zeros, int64_t n, bool* is_f16, bool* has_zeros) {
  (void)pool;
  bool all_halves = true, all_eights = true;
  uint16_t half;
  for (int64_t i = 0; i < n && all_halves; i++) all_halves = to_f16(load_any(scales + i), &half);
  for (int64_t i = 0; i < n && all_eights; i++) all_eights = zeros[i] == 8;
  *is_f16 = all_halves;
  *has_zeros = !all_eights;
  return Status::kOk;
}

Status pack_int4(ThreadPool& pool, uint8_t* packed, const uint8_t* codes, const float* scales, const uint8_t* zeros, int64_t M, int64_t C,
                 int64_t weight_group, int64_t group, bool is_f16, bool has_zeros) {
  const int64_t scale_bytes = is_f16 ? 2 : 4;
  const PackedSizes sizes = packed_sizes(4, M, C, group, scale_bytes, has_zeros);
  write_header(packed, 4, group, M, C, static_cast<uint32_t>(scale_bytes), has_zeros, sizes.bytes);
  const int64_t stored_groups = C / weight_group;
  pool.parallel_for(sizes.panels, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; p++) {
      uint8_t* panel = packed + sizes.first_panel + p * sizes.panel_bytes;
      std::memset(panel, 0, static_cast<size_t>(sizes.panel_bytes));
      const int64_t outputs = smaller(kPanel, M - p * kPanel);
      for (int64_t o = 0; o < outputs; o++) {
        const int64_t m = p * kPanel + o;
        for (int64_t g = 0; g * group < C; g++) {
          const int64_t from = m * stored_groups + g * group / weight_group, to = g * kPanel + o;
          const float scale = load_any(scales + from);
          uint16_t half = 0;
          if (is_f16) {
            to_f16(scale, &half);
            std::memcpy(panel + to * 2, &half, 2);
          } else {
            std::memcpy(panel + to * 4, &scale, 4);
          }
          if (has_zeros) panel[sizes.zeros + to] = zeros[from];
        }
        const uint8_t* row = codes + m * C / 2;
        uint8_t* target = panel + sizes.codes + o * 4;
        for (int64_t c = 0; c < C; c += kBlock) {
          const uint8_t* low = row + c / 2;
          const bool is_half = c + 32 == C;  // a last block of 32 inputs
          for (int j = 0; j < 8; j++) {
            uint16_t a, b = 0;
            std::memcpy(&a, low + 2 * j, 2);
            if (!is_half) std::memcpy(&b, low + 16 + 2 * j, 2);
            store_u32(target + c / kBlock * kBlockBytes + j * 64, spread(a) | spread(b) << 4);
          }
        }
      }
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
