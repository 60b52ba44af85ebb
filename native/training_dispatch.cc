// Finds the training kernels beside those that dispatch.cc chose.
#include <cstring>

#include "kernels/backward.h"

namespace nvila {

namespace scalar {
extern const TrainingKernels training_kernels;
}
#if defined(NVILA_HAS_AVX2)
namespace avx2 {
extern const TrainingKernels training_kernels;
}
#endif
#if defined(NVILA_HAS_AVX512)
namespace avx512 {
extern const TrainingKernels training_kernels;
}
#endif

#if defined(NVILA_HAS_AMX)
namespace amx_bf16 {
LinearBackwardInputFn linear_backward_input;
LinearBackwardWeightFn linear_backward_weight;

// The kernels of avx512 but for products of f32 matrices.
TrainingKernels training_kernels() {
  TrainingKernels kernels = avx512::training_kernels;
  kernels.linear_backward_input = linear_backward_input;
  kernels.linear_backward_weight = linear_backward_weight;
  return kernels;
}
}  // namespace amx_bf16
#endif

const TrainingKernels* find_training_kernels(const char* isa) {
#if defined(NVILA_HAS_AMX)
  if (std::strcmp(isa, "amx-bf16") == 0) {
    static const TrainingKernels kernels = amx_bf16::training_kernels();
    return &kernels;
  }
#endif
#if defined(NVILA_HAS_AVX512)
  if (std::strcmp(isa, "avx512") == 0 || std::strcmp(isa, "amx") == 0) return &avx512::training_kernels;
#endif
#if defined(NVILA_HAS_AVX2)
  if (std::strcmp(isa, "avx2") == 0) return &avx2::training_kernels;
#endif
  (void)isa;
  return &scalar::training_kernels;
}

}  // namespace nvila
