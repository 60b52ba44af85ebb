// Kernels that quantise what they compute: rows of activations become int8 codes without being stored as f32. A product with int8 weights
// that follows takes them (`reuse` of LinearInt8Fn). Signatures, and the table that holds one instruction set's, as kernels.h.
#pragma once

#include "kernels.h"

namespace nvila {

// Rows that are quantised at a time, at most; a kernel here takes no more.
constexpr int64_t kMostRowsOfPart = 4096;

// Codes of layer_norm(x[T, C]); the bits that LayerNormFn and then LinearInt8Fn would give.
using QuantizeLayerNormFn = Status(ThreadPool& pool, const float* x, Weight weight, Weight bias, double eps, int64_t T, int64_t C);

// Codes of gelu(x[T, C]), by tanh or exactly.
using QuantizeGeluTanhFn = Status(ThreadPool& pool, const float* x, int64_t T, int64_t C);
using QuantizeGeluErfFn = QuantizeGeluTanhFn;

// X(Type, name): name is the function, TypeFn its signature.
#define NVILA_FUSED_KERNELS(X)                \
  X(QuantizeLayerNorm, quantize_layer_norm)   \
  X(QuantizeGeluTanh, quantize_gelu_tanh)     \
  X(QuantizeGeluErf, quantize_gelu_erf)

struct FusedKernels {
#define NVILA_FIELD(Type, name) Type##Fn* name;
  NVILA_FUSED_KERNELS(NVILA_FIELD)
#undef NVILA_FIELD
};

// The fused kernels of instruction set `isa`, one that find_kernels gave.
const FusedKernels* find_fused_kernels(const char* isa);

#if defined(NVILA_ISA)
namespace NVILA_ISA {
#define NVILA_DECLARE(Type, name) Type##Fn name;
NVILA_FUSED_KERNELS(NVILA_DECLARE)
#undef NVILA_DECLARE
extern const FusedKernels fused_kernels;
}  // namespace NVILA_ISA
#endif

}  // namespace nvila
