// Finds the fused kernels beside those that dispatch.cc chose.
#include <cstring>

#include "kernels/fused.h"

namespace nvila {

namespace scalar {
extern const FusedKernels fused_kernels;
}
#if defined(NVILA_HAS_AVX2)
namespace avx2 {
extern const FusedKernels fused_kernels;
}
#endif
#if defined(NVILA_HAS_AVX512)
namespace avx512 {
extern const FusedKernels fused_kernels;
}
#endif

const FusedKernels* find_fused_kernels(const char* isa) {
#if defined(NVILA_HAS_AVX512)
  if (std::strcmp(isa, "avx512") == 0 || std::strncmp(isa, "amx", 3) == 0) return &avx512::fused_kernels;
#endif
#if defined(NVILA_HAS_AVX2)
  if (std::strcmp(isa, "avx2") == 0) return &avx2::fused_kernels;
#endif
  (void)isa;
  return &scalar::fused_kernels;
}

}  // namespace nvila
