// Collects the training kernels of one instruction set. Compiled once per set.
#include "backward.h"

namespace nvila {
namespace NVILA_ISA {

#define NVILA_ENTRY(Type, name) name,
extern const TrainingKernels training_kernels = {NVILA_TRAINING_KERNELS(NVILA_ENTRY)};
#undef NVILA_ENTRY

}  // namespace NVILA_ISA
}  // namespace nvila
