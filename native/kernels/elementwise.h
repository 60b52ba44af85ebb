// A loop over single elements on all threads: full vectors, then the rest masked.
#pragma once

#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

// A multiple of every vector's width.
constexpr int64_t kElementsPerChunk = 1 << 13;

// out[i] = f(x[i])
template <typename F>
NVILA_INLINE Status map_elements(ThreadPool& pool, float* out, const float* x, int64_t n, F&& f) {
  pool.parallel_for(n, kElementsPerChunk, [&](int64_t begin, int64_t end, int) {
    int64_t i = begin;
    for (; i + F32::width <= end; i += F32::width) store(out + i, f(load(x + i)));
    if (i < end) store_first(out + i, f(load_first(x + i, static_cast<int>(end - i))), static_cast<int>(end - i));
  });
  return Status::kOk;
}

// out[i] = f(a[i], b[i])
template <typename F>
NVILA_INLINE Status map_pairs(ThreadPool& pool, float* out, const float* a, const float* b, int64_t n, F&& f) {
  pool.parallel_for(n, kElementsPerChunk, [&](int64_t begin, int64_t end, int) {
    int64_t i = begin;
    for (; i + F32::width <= end; i += F32::width) store(out + i, f(load(a + i), load(b + i)));
    const int rest = static_cast<int>(end - i);
    if (rest > 0) store_first(out + i, f(load_first(a + i, rest), load_first(b + i, rest)), rest);
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
