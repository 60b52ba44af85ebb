// out[T, C]: row ids[t] of table[V, C], widened to f32.
#include "weights.h"

namespace nvila {
namespace NVILA_ISA {

Status embedding(ThreadPool& pool, float* out, const int32_t* ids, Weight table, int64_t T, int64_t C) {
  const int64_t grain = larger(1, (1 << 14) / larger(C, 1));
  with_dtype(table, [&](auto* rows) {
    pool.parallel_for(T, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; t++) widen_row(out + t * C, rows + static_cast<int64_t>(ids[t]) * C, C);
    });
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
