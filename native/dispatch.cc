// Chooses the instruction set. The only place that knows which sets this build has.
#include <cstring>

#include "cpu_features.h"
#include "kernels/kernels.h"

namespace nvila {

namespace scalar {
extern const Kernels kernels;
}
#if defined(NVILA_HAS_AVX2)
namespace avx2 {
extern const Kernels kernels;
}
#endif
#if defined(NVILA_HAS_AVX512)
namespace avx512 {
extern const Kernels kernels;
}
#endif
#if defined(NVILA_HAS_AMX)
namespace amx {
AttentionFn attention;
GatedMlpInt4Fn gated_mlp_int4;
LinearInt4Fn linear_int4;
LinearInt8Fn linear_int8;
PagedAttentionFn paged_attention;

// The kernels of avx512 but for those that have tiles.
Kernels kernels() {
  Kernels kernels = avx512::kernels;
  kernels.isa = "amx";
  kernels.attention = attention;
  kernels.gated_mlp_int4 = gated_mlp_int4;
  kernels.linear_int4 = linear_int4;
  kernels.linear_int8 = linear_int8;
  kernels.paged_attention = paged_attention;
  return kernels;
}
}  // namespace amx

namespace amx_bf16 {
LinearFn linear;
PatchEmbedFn patch_embed;

// The kernels of amx but for products of f32 matrices.
Kernels kernels() {
  Kernels kernels = amx::kernels();
  kernels.isa = "amx-bf16";
  kernels.linear = linear;
  kernels.patch_embed = patch_embed;
  return kernels;
}
}  // namespace amx_bf16
#endif

const Kernels* find_kernels(const char* isa) {
  const bool is_any = isa[0] == '\0';
#if defined(NVILA_HAS_AMX)
  if ((is_any || std::strcmp(isa, "amx") == 0) && take_amx()) {
    static const Kernels kernels = amx::kernels();
    return &kernels;
  }
#endif
#if defined(NVILA_HAS_AMX)
  if (std::strcmp(isa, "amx-bf16") == 0 && take_amx()) {
    static const Kernels kernels = amx_bf16::kernels();
    return &kernels;
  }
#endif
#if defined(NVILA_HAS_AVX512)
  if ((is_any || std::strcmp(isa, "avx512") == 0) && has_avx512()) return &avx512::kernels;
#endif
#if defined(NVILA_HAS_AVX2)
  if ((is_any || std::strcmp(isa, "avx2") == 0) && has_avx2()) return &avx2::kernels;
#endif
  if (is_any || std::strcmp(isa, "scalar") == 0) return &scalar::kernels;
  return nullptr;
}

}  // namespace nvila
