// Attention of a segment, cut up for the kernels. One key head at a time; its rows are the (query, head) pairs that read it, query
// by query: row r of key head g is query r / group, head g · group + r % group. So grouped heads share every key and value that
// is fetched, and what a causal row sees never shrinks from row to row.
#pragma once

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

// Rows of a pool's blocks come in multiples of this, so that few keys in a row never span two blocks.
constexpr int64_t kBlockUnit = 8;

struct Segment {
  float* out;      // [Tq, H, D]
  const float* q;  // [Tq, H, D]
  const float* k;  // [Tk, Hkv, D], or the pool [rows, Hkv, D] that `table` points into
  const float* v;  // as k
  int64_t Tq, Tk, H, Hkv, D;
  bool causal;
  bool may_round;  // to bf16: queries, keys, values and weights
  float scale, scale_rest;  // their sum is scale · log2(e): scores are made for 2^x
  const int32_t* table;     // blocks of a pool in the order of the keys; null: keys lie in a row
  int64_t block_rows;       // of such a block; a multiple of kBlockUnit
  const int8_t* k_codes;    // not null: keys and values are these codes times the scale of their row and head, k and v are null
  const int8_t* v_codes;
  const float* k_scales;    // [rows, Hkv]
  const float* v_scales;

  // The row of k and v that holds a key.
  int64_t place(int64_t key) const { return table ? table[key / block_rows] * block_rows + key % block_rows : key; }

  int64_t group() const { return H / Hkv; }
  int64_t rows() const { return Tq * group(); }
  // Keys that a row sees: [0, seen).
  int64_t seen(int64_t row) const { return causal ? larger(0, Tk - Tq + row / group() + 1) : Tk; }
  // Where a row lies in q and out.
  int64_t offset(int64_t head, int64_t row) const { return ((row / group()) * H + head * group() + row % group()) * D; }
};

// Few rows per key head: bound by reading keys and values; blocks of keys of all segments run in parallel and are merged afterwards.
// The segments agree in H, Hkv and D.
constexpr int64_t kFewAttentionRows = 24;
Status attention_few(ThreadPool& pool, const Segment* segments, int64_t count);

// Many rows per key head: bound by arithmetic; rows run in parallel, each over all its keys.
Status attention_many(ThreadPool& pool, const Segment& segment);

// Both, each segment the way that its own rows ask for. The result of a segment does not depend on the others.
Status attention_segments(ThreadPool& pool, const Segment* segments, int64_t count);

// A segment with all but its arrays and lengths set.
Segment segment_of(int64_t H, int64_t Hkv, int64_t D, double scale, bool causal);

}  // namespace NVILA_ISA
}  // namespace nvila
