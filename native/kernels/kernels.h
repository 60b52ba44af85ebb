// Every kernel's signature, and the table that holds one instruction set's kernels. Raw pointers and sizes only; the caller
// has checked them. Sizes follow docs/notation.md, all arrays are row-major and contiguous, `out` overlaps no input.
// To add one: a signature here, a line in NVILA_KERNELS, and kernels/<op>.cc defining it inside namespace NVILA_ISA.
#pragma once

#include <cstdint>

#include "../thread_pool.h"

namespace nvila {

enum class Status { kOk, kOutOfMemory };

enum class DType : int32_t { kF32 = 0, kBf16 = 1, kF16 = 2 };

// A weight as the checkpoint stores it, possibly at an odd address of a mapped file. data may be null: absent.
struct Weight {
  const void* data;
  DType dtype;
};

// out[n] = a[n] + b[n]
using AddFn = Status(ThreadPool& pool, float* out, const float* a, const float* b, int64_t n);

// out[T, M] = x[T, C] · weight[M, C]ᵀ + bias[M] (bias.data may be null)
using LinearFn = Status(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, int64_t T, int64_t C, int64_t M);

// Packed weights (native/packed_layout.h; the caller has checked is_packed). M is at most the packed outputs: the first M of them.
// reuse: x is what the last call of these two quantised, for the same width, groups and bits; its codes are still there.
// Activations in front of int4 weights become codes of 1, 2 or 3 bytes.
using LinearInt8Fn = Status(ThreadPool& pool, float* out, const float* x, const uint8_t* packed, Weight bias, int64_t T, int64_t M, bool reuse);
using LinearInt4Fn = Status(ThreadPool& pool, float* out, const float* x, const uint8_t* packed, Weight bias, int64_t T, int64_t M,
                            int64_t bytes_of_code, bool reuse);

// out[T, M] = (silu(x · gateᵀ) · (x · upᵀ)) · downᵀ for int4 weights, gate and up of the same width and groups: the bits of LinearInt4Fn and
// SwigluFn. What lies between becomes codes right away and is never stored.
using GatedMlpInt4Fn = Status(ThreadPool& pool, float* out, const float* x, const uint8_t* gate, const uint8_t* up, const uint8_t* down, int64_t T,
                              int64_t M, int64_t bytes_of_code, bool reuse);

// out[T, C] = rows ids[T] of a packed table; ids are in 0 … V − 1
using EmbedPackedFn = Status(ThreadPool& pool, float* out, const int32_t* ids, const uint8_t* packed, int64_t T);

// packed (packed_sizes bytes) from codes[M, C], scales[M]
using PackInt8Fn = Status(ThreadPool& pool, uint8_t* packed, const int8_t* codes, const float* scales, int64_t M, int64_t C);

// Whether all of scales[n] are exact as f16, and whether one of zeros[n] is not 8.
using Int4TraitsFn = Status(ThreadPool& pool, const float* scales, const uint8_t* zeros, int64_t n, bool* is_f16, bool* has_zeros);

// packed from codes[M, C / 2], scales and zeros[M, C / weight_group]; group divides weight_group
using PackInt4Fn = Status(ThreadPool& pool, uint8_t* packed, const uint8_t* codes, const float* scales, const uint8_t* zeros, int64_t M, int64_t C,
                          int64_t weight_group, int64_t group, bool is_f16, bool has_zeros);

// out[T, H, D] = softmax(scale · q[T, H, D] · k[S, Hkv, D]ᵀ) · v[S, Hkv, D] within each segment; head h reads key head h · Hkv / H, H a
// multiple of Hkv. segments_q and segments_k hold segments + 1 row offsets, 0 first and T or S last; null: one segment.
// causal: query i of a segment sees keys 0 … Tk − Tq + i of it. may_round: products may be of numbers rounded to bf16.
using AttentionFn = Status(ThreadPool& pool, float* out, const float* q, const float* k, const float* v, const int32_t* segments_q,
                           const int32_t* segments_k, int64_t segments, int64_t T, int64_t S, int64_t H, int64_t Hkv, int64_t D,
                           double scale, bool causal, bool may_round);

// The same for sequences whose keys and values lie in blocks of block_rows rows of k and v [pool rows, Hkv, D]; always causal. Key s of
// sequence i is row s % block_rows of block tables[i, s / block_rows]. segments_q[sequences + 1], lengths[sequences] are its keys,
// no fewer than its queries, tables[sequences, table_width]. block_rows is a multiple of 8.
using PagedAttentionFn = Status(ThreadPool& pool, float* out, const float* q, const float* k, const float* v, const int32_t* segments_q,
                                const int32_t* lengths, const int32_t* tables, int64_t sequences, int64_t table_width, int64_t block_rows,
                                int64_t H, int64_t Hkv, int64_t D, double scale, bool may_round);

// target[rows[T], C] = source[T, C]; rows are in the target, none twice
using ScatterRowsFn = Status(ThreadPool& pool, float* target, const int32_t* rows, const float* source, int64_t T, int64_t C);

// The same two with keys and values as codes [rows, Hkv, D] and a scale per row and head [rows, Hkv].
using PagedAttentionInt8Fn = Status(ThreadPool& pool, float* out, const float* q, const int8_t* k, const float* k_scales, const int8_t* v,
                                    const float* v_scales, const int32_t* segments_q, const int32_t* lengths, const int32_t* tables,
                                    int64_t sequences, int64_t table_width, int64_t block_rows, int64_t H, int64_t Hkv, int64_t D,
                                    double scale);
using ScatterRowsInt8Fn = Status(ThreadPool& pool, int8_t* codes, float* scales, const int32_t* rows, const float* source, int64_t T,
                                 int64_t Hkv, int64_t D);

// out[T, C] = (x − mean) / sqrt(variance + eps) · weight[C] + bias[C]
using LayerNormFn = Status(ThreadPool& pool, float* out, const float* x, Weight weight, Weight bias, double eps, int64_t T, int64_t C);

// out[T, C] = x / sqrt(mean(x²) + eps) · weight[C]
using RmsNormFn = Status(ThreadPool& pool, float* out, const float* x, Weight weight, double eps, int64_t T, int64_t C);

// out[T, H, D] from x[T, H, D], positions[T]; D even
using RopeFn = Status(ThreadPool& pool, float* out, const float* x, const int32_t* positions, double theta, int64_t T, int64_t H, int64_t D);

// out[n] = gelu(x[n]), by tanh or exactly
using GeluTanhFn = Status(ThreadPool& pool, float* out, const float* x, int64_t n);
using GeluErfFn = Status(ThreadPool& pool, float* out, const float* x, int64_t n);

// out[n] = silu(gate[n]) · up[n]
using SwigluFn = Status(ThreadPool& pool, float* out, const float* gate, const float* up, int64_t n);

// out[T, C] = table[ids[T]] from table[V, C]; ids are in 0 … V − 1
using EmbeddingFn = Status(ThreadPool& pool, float* out, const int32_t* ids, Weight table, int64_t T, int64_t C);

// out[B · P, C] from pixels[B, 3, S, S], weight[C, 3, patch, patch], bias[C], position[P, C]; P = ⌊S / patch⌋²
using PatchEmbedFn = Status(ThreadPool& pool, float* out, const float* pixels, Weight weight, Weight bias, Weight position, int64_t B, int64_t S,
                            int64_t patch, int64_t C);

// out[B, ⌈s/k⌉, ⌈s/k⌉, k · k · C] from x[B, s, s, C]
using SpaceToChannelFn = Status(ThreadPool& pool, float* out, const float* x, int64_t B, int64_t s, int64_t C, int64_t k);

// out[height, width, C] from x[h, w, C]
using AreaResizeFn = Status(ThreadPool& pool, float* out, const float* x, int64_t h, int64_t w, int64_t C, int64_t height, int64_t width);

// out[F/pt, h/ph, w/pw, C] from x[F, h, w, C]
using Pool3dFn = Status(ThreadPool& pool, float* out, const float* x, int64_t F, int64_t h, int64_t w, int64_t C, int64_t pt, int64_t ph, int64_t pw);

// out[gy · h, gx · w, C] from x[gy · gx, h, w, C], and back
using StitchTilesFn = Status(ThreadPool& pool, float* out, const float* x, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C);
using SplitTilesFn = StitchTilesFn;

// out[T, column … column + C) = x[T, C], out[T, width]
using CopyColumnsFn = Status(ThreadPool& pool, float* out, const float* x, int64_t T, int64_t C, int64_t width, int64_t column);

// Rounds weight[M, C] to codes[M, C] with scales[M]; sums[M, 2] = Σ (w − ŵ)² and Σ w² of every row. C ≥ 1.
using QuantizeInt8Fn = Status(ThreadPool& pool, int8_t* codes, float* scales, double* sums, Weight weight, int64_t M, int64_t C);

// The same to codes[M, C/2] (low nibble = even column), scales[M, C/group] and zeros[M, C/group]; group is a multiple of 2, at most 256,
// and divides C. half_scales: scales are rounded to halves before they are used.
using QuantizeInt4Fn = Status(ThreadPool& pool, uint8_t* codes, float* scales, uint8_t* zeros, double* sums, Weight weight, int64_t M,
                              int64_t C, int64_t group, bool symmetric, bool half_scales);

// For benchmarks: `rounds` rounds of independent multiply-adds on every thread; *flops: how many were done in all.
using PeakFmaFn = Status(ThreadPool& pool, int64_t rounds, double* flops);

// For benchmarks: reads data[n] once; *sum keeps the reads alive.
using ReadAllFn = Status(ThreadPool& pool, const float* data, int64_t n, double* sum);

// X(Type, name): name is the function, TypeFn its signature.
#define NVILA_KERNELS(X)              \
  X(Add, add)                         \
  X(AreaResize, area_resize)          \
  X(Attention, attention)             \
  X(CopyColumns, copy_columns)        \
  X(EmbedPacked, embed_packed)        \
  X(Embedding, embedding)             \
  X(GeluErf, gelu_erf)                \
  X(GeluTanh, gelu_tanh)              \
  X(Int4Traits, int4_traits)          \
  X(LayerNorm, layer_norm)            \
  X(Linear, linear)                   \
  X(LinearInt4, linear_int4)          \
  X(GatedMlpInt4, gated_mlp_int4)     \
  X(LinearInt8, linear_int8)          \
  X(PackInt4, pack_int4)              \
  X(PackInt8, pack_int8)              \
  X(PagedAttention, paged_attention)  \
  X(PagedAttentionInt8, paged_attention_int8) \
  X(PatchEmbed, patch_embed)          \
  X(PeakFma, peak_fma)                \
  X(Pool3d, pool3d)                   \
  X(QuantizeInt4, quantize_int4)      \
  X(QuantizeInt8, quantize_int8)      \
  X(ReadAll, read_all)                \
  X(RmsNorm, rms_norm)                \
  X(Rope, rope)                       \
  X(ScatterRows, scatter_rows)        \
  X(ScatterRowsInt8, scatter_rows_int8) \
  X(SpaceToChannel, space_to_channel) \
  X(SplitTiles, split_tiles)          \
  X(StitchTiles, stitch_tiles)        \
  X(Swiglu, swiglu)

struct Kernels {
  const char* isa;
#define NVILA_FIELD(Type, name) Type##Fn* name;
  NVILA_KERNELS(NVILA_FIELD)
#undef NVILA_FIELD
};

// The kernels of instruction set `isa` ("scalar", "avx2", "avx512", "amx"), or of the best one when `isa` is empty; "amx-bf16": amx with the products
// of f32 matrices rounded to bf16, for training, only by name.
// Null when this build does not have it or this processor cannot run it.
const Kernels* find_kernels(const char* isa);

#if defined(NVILA_ISA)
namespace NVILA_ISA {
#define NVILA_DECLARE(Type, name) Type##Fn name;
NVILA_KERNELS(NVILA_DECLARE)
#undef NVILA_DECLARE
extern const Kernels kernels;
}  // namespace NVILA_ISA
#endif

}  // namespace nvila
