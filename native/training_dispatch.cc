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

const TrainingKernels* find_training_kernels(const char* isa) {
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
