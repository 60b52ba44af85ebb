// A number of rows that the compiler knows, for tiles whose sums stay in registers.
#pragma once

#include "../simd.h"

namespace nvila {
namespace NVILA_ISA {

template <int R>
struct Rows {
  static constexpr int count = R;
};

// Calls f(Rows<n>()); 1 ≤ n ≤ most.
template <int most, typename F>
NVILA_INLINE void with_rows(int64_t n, F&& f) {
  if constexpr (most == 1) {
    f(Rows<1>());
  } else {
    if (n == most) f(Rows<most>());
    else with_rows<most - 1>(n, f);
  }
}

// Calls f(first, Rows<count>()) for pieces of n that are at most `most` long and differ by at most 1.
template <int most, typename F>
NVILA_INLINE void in_pieces(int64_t n, F&& f) {
  const int64_t pieces = ceil_div(n, most);
  for (int64_t i = 0; i < pieces; i++) {
    const int64_t first = i * n / pieces;
    with_rows<most>((i + 1) * n / pieces - first, [&](auto rows) { f(first, rows); });
  }
}

}  // namespace NVILA_ISA
}  // namespace nvila
