// Cross entropy of rows of logits, which become their gradient in place: the largest, then e^(x − max) with its sum, then one scaling.
#include <math.h>

#include "backward.h"
#include "functions.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int64_t kBlock = 1024;  // exponentials summed in f32 before the sum goes to f64

float largest(const float* x, int64_t n) {
  F32 most = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + F32::width <= n; i += F32::width) most = max(load(x + i), most);
  float result = max_lanes(most);
  for (; i < n; i++) result = x[i] > result ? x[i] : result;
  return result;
}

// x[i] = e^(x[i] − shift); returns their sum.
double exponentials(float* x, float shift, int64_t n) {
  double total = 0.0;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = smaller(n, start + kBlock);
    F32 sum = zero();
    for (int64_t i = start; i < end; i += F32::width) {
      const int count = static_cast<int>(smaller(F32::width, end - i));
      const F32 e = exp(load_first(x + i, count) - splat(shift));
      store_first(x + i, e, count);
      sum = sum + load_first(x + i, count);  // lanes beyond the end count 0
    }
    total += static_cast<double>(sum_lanes(sum));
  }
  return total;
}

// What soft id j gets of a target y, not yet normalised.
double share(int32_t y, int32_t id, double std) {
  const double distance = static_cast<double>(y) - static_cast<double>(id);
  return ::exp(-distance * distance / (2.0 * std * std));
}

}  // namespace

Status cross_entropy(ThreadPool& pool, float* losses, float* logits, const int32_t* targets, const float* weights, const int32_t* soft_ids,
                     int64_t soft, double std, int64_t T, int64_t V) {
  pool.parallel_for(T, larger(1, (1 << 13) / larger(V, 1)), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      float* row = logits + t * V;
      const int32_t y = targets[t];
      if (y < 0) {
        losses[t] = 0.0f;
        for (int64_t v = 0; v < V; v++) row[v] = 0.0f;
        continue;
      }
      bool is_soft = false;
      double shares = 0.0;
      for (int64_t i = 0; i < soft; i++) is_soft = is_soft || soft_ids[i] == y;
      for (int64_t i = 0; is_soft && i < soft; i++) shares += share(y, soft_ids[i], std);
      double wanted = is_soft ? 0.0 : static_cast<double>(row[y]);  // Σ q x
      for (int64_t i = 0; is_soft && i < soft; i++) wanted += share(y, soft_ids[i], std) / shares * static_cast<double>(row[soft_ids[i]]);
      const float most = largest(row, V);
      const double total = exponentials(row, most, V);
      losses[t] = static_cast<float>(::log(total) + static_cast<double>(most) - wanted);
      const float weight = weights[t];
      const F32 factor = splat(static_cast<float>(static_cast<double>(weight) / total));
      int64_t v = 0;
      for (; v + F32::width <= V; v += F32::width) store(row + v, load(row + v) * factor);
      if (v < V) store_first(row + v, load_first(row + v, static_cast<int>(V - v)) * factor, static_cast<int>(V - v));
      if (!is_soft) row[y] -= weight;
      for (int64_t i = 0; is_soft && i < soft; i++) row[soft_ids[i]] -= static_cast<float>(weight * (share(y, soft_ids[i], std) / shares));
    }
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
