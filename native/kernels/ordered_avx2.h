// AVX2 instructions that stay in the order in which they are written. For inner loops of integer products: on Zen 3 additions go to any of
// four units and multiplications to two of them, and which order the stream has decides how often an addition takes a multiplier's
// place. The compiler's own order costs 6 to 20 % (int8 tile: 150 to 175 instead of 184 GOP/s a thread). Only avx2 sources include this.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace nvila {
namespace NVILA_ISA {

#define NVILA_ORDERED static inline __attribute__((always_inline))

// 16 sums a[2i] · b[2i] + a[2i + 1] · b[2i + 1], a unsigned, b signed bytes.
NVILA_ORDERED __m256i o_maddubs(__m256i a, __m256i b) {
  __m256i r;
  asm volatile("vpmaddubsw %2,%1,%0" : "=x"(r) : "x"(a), "x"(b));
  return r;
}

// 8 sums a[2i] · b[2i] + a[2i + 1] · b[2i + 1] of 16-bit numbers.
NVILA_ORDERED __m256i o_madd(__m256i a, __m256i b) {
  __m256i r;
  asm volatile("vpmaddwd %2,%1,%0" : "=x"(r) : "x"(a), "x"(b));
  return r;
}

NVILA_ORDERED void o_add32(__m256i& sum, __m256i a) { asm volatile("vpaddd %1,%0,%0" : "+x"(sum) : "x"(a)); }
NVILA_ORDERED void o_add16(__m256i& sum, __m256i a) { asm volatile("vpaddw %1,%0,%0" : "+x"(sum) : "x"(a)); }

NVILA_ORDERED __m256i o_and(__m256i a, __m256i b) {
  __m256i r;
  asm volatile("vpand %2,%1,%0" : "=x"(r) : "x"(a), "x"(b));
  return r;
}

NVILA_ORDERED __m256i o_shift_right_4(__m256i a) {
  __m256i r;
  asm volatile("vpsrlw $4,%1,%0" : "=x"(r) : "x"(a));
  return r;
}

NVILA_ORDERED __m256i o_load(const uint8_t* p) {
  __m256i r;
  asm volatile("vmovdqu %1,%0" : "=x"(r) : "m"(*reinterpret_cast<const __m256i_u*>(p)));
  return r;
}

NVILA_ORDERED void o_store(uint8_t* p, __m256i a) {
  asm volatile("vmovdqa %1,%0" : "=m"(*reinterpret_cast<__m256i*>(p)) : "x"(a));
}

// The same four bytes in every lane.
NVILA_ORDERED __m256i o_four(const int8_t* p) {
  struct __attribute__((packed, may_alias)) Four {
    int32_t value;
  };
  __m256i r;
  asm volatile("vbroadcastss %1,%0" : "=x"(r) : "m"(*reinterpret_cast<const Four*>(p)));
  return r;
}

}  // namespace NVILA_ISA
}  // namespace nvila
