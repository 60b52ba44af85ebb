// Collects the kernels of one instruction set. Compiled once per set.
#include "kernels.h"

#define NVILA_STRING(x) #x
#define NVILA_NAME_OF(x) NVILA_STRING(x)

namespace nvila {
namespace NVILA_ISA {

#define NVILA_ENTRY(Type, name) name,
extern const Kernels kernels = {NVILA_NAME_OF(NVILA_ISA), NVILA_KERNELS(NVILA_ENTRY)};
#undef NVILA_ENTRY

}  // namespace NVILA_ISA
}  // namespace nvila
