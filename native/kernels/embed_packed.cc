// out[t] = row ids[t] of a packed table: code · scale or (code − zero) · scale, rounded once. A few kilobytes for each token.
#include "../packed_layout.h"
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

void int8_row(float* out, const uint8_t* packed, const PackedSizes& sizes, int64_t C, int64_t id) {
  const float scale = load_any(reinterpret_cast<const float*>(packed + sizeof(PackedHeader)) + id);
  const uint8_t* panel = packed + sizes.first_panel + id / kPanel * sizes.panel_bytes + id % kPanel * 4;
  for (int64_t c = 0; c < C; c++) out[c] = static_cast<float>(panel[c / 4 * 64 + c % 4] - 128) * scale;
}

void int4_row(float* out, const uint8_t* packed, const PackedHeader& header, const PackedSizes& sizes, int64_t id) {
  const uint8_t* panel = packed + sizes.first_panel + id / kPanel * sizes.panel_bytes;
  const int64_t group = header.group, C = header.inputs, o = id % kPanel;
  for (int64_t c = 0; c < C; c++) {
    const int64_t at = c / group * kPanel + o;
    const float scale = header.scale_bytes == 2 ? widen(reinterpret_cast<const F16*>(panel) + at)
                                                : load_any(reinterpret_cast<const float*>(panel) + at);
    const int zero = header.has_zeros ? panel[sizes.zeros + at] : 8;
    const uint8_t byte = panel[sizes.codes + c / kBlock * kBlockBytes + c % 32 / 4 * 64 + o * 4 + c % 4];
    const int code = c % kBlock < 32 ? byte & 15 : byte >> 4;
    out[c] = static_cast<float>(code - zero) * scale;
  }
}

}  // namespace

Status embed_packed(ThreadPool& pool, float* out, const int32_t* ids, const uint8_t* packed, int64_t T) {
  const PackedHeader header = packed_header(packed);
  const PackedSizes sizes = packed_sizes(header);
  const int64_t C = header.inputs;
  pool.parallel_for(T, larger(1, (1 << 14) / larger(C, 1)), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      if (header.bits == 8) int8_row(out + t * C, packed, sizes, C, ids[t]);
      else int4_row(out + t * C, packed, header, sizes, ids[t]);
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
