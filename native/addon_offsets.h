// What attention and its gradient demand of the offsets of their segments.
#pragma once

#include "addon_args.h"

namespace nvila {

// Offsets of `segments` segments that cover `total` rows; null stands for one segment.
inline void check_offsets(Args& args, const int32_t* offsets, int64_t segments, int64_t total) {
  if (!args.ok()) return;
  bool is_good = offsets ? segments >= 1 && offsets[0] == 0 && offsets[segments] == total : segments == 1;
  for (int64_t i = 0; offsets && is_good && i < segments; i++) is_good = offsets[i] <= offsets[i + 1];
  if (!is_good) args.fail("segment offsets do not cover " + std::to_string(total) + " rows");
}

}  // namespace nvila
