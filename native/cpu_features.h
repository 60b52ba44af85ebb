// Which instruction sets this processor and operating system can run. Knows no kernels.
#pragma once

namespace nvila {

// AVX2 with FMA and F16C (Intel Haswell, AMD Zen and later).
bool has_avx2();

// The above, and AVX-512 F, BW, DQ, VL and VNNI (Intel Ice Lake, AMD Zen 4 and later).
bool has_avx512();

// The above, and AMX with tiles of int8 and bf16 (Intel Sapphire Rapids and later), which Linux lends to a process that asks: asks for it.
bool take_amx();

}  // namespace nvila
