// Attention of one segment, cut up for the kernels. One key head at a time; its rows are the (query, head) pairs that read it, query
// by query: row r of key head g is query r / group, head g · group + r % group. So grouped heads share every key and value that
// is fetched, and what a causal row sees never shrinks from row to row.
#pragma once

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

struct Segment {
  float* out;      // [Tq, H, D]
  const float* q;  // [Tq, H, D]
  const float* k;  // [Tk, Hkv, D]
  const float* v;  // [Tk, Hkv, D]
  int64_t Tq, Tk, H, Hkv, D;
  bool causal;
  float scale, scale_rest;  // their sum is scale · log2(e): scores are made for 2^x

  int64_t group() const { return H / Hkv; }
  int64_t rows() const { return Tq * group(); }
  // Keys that a row sees: [0, seen).
  int64_t seen(int64_t row) const { return causal ? larger(0, Tk - Tq + row / group() + 1) : Tk; }
  // Where a row lies in q and out.
  int64_t offset(int64_t head, int64_t row) const { return ((row / group()) * H + head * group() + row % group()) * D; }
};

// Few rows per key head: bound by reading keys and values; blocks of keys run in parallel and are merged afterwards.
constexpr int64_t kFewAttentionRows = 24;
Status attention_few(ThreadPool& pool, const Segment& segment);

// Many rows per key head: bound by arithmetic; rows run in parallel, each over all its keys.
Status attention_many(ThreadPool& pool, const Segment& segment);

}  // namespace NVILA_ISA
}  // namespace nvila
