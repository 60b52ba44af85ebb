// What the machine can do at best, for benchmarks: multiply-adds per second out of registers, bytes per second out of memory.
#include "../simd.h"
#include "kernels.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

// Enough independent chains to cover the latency of two units (4 cycles × 2 on Zen, 4 × 2 on Intel), within 16 registers.
constexpr int kChains = 12;

float fma_chains(int64_t rounds) {
  F32 acc[kChains];
  for (int i = 0; i < kChains; i++) acc[i] = splat(static_cast<float>(i));
  F32 a = splat(0.999f), b = splat(0.001f);
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) acc[i] = fma(acc[i], a, b);
  }
  F32 total = zero();
  for (int i = 0; i < kChains; i++) total = total + acc[i];
  return sum_lanes(total);
}

}  // namespace

Status peak_fma(ThreadPool& pool, int64_t rounds, double* flops) {
  // Two chunks per thread and core imbalance would show; one chunk of equal work per thread does not.
  const int64_t threads = pool.threads();
  volatile float sink = 0;
  pool.parallel_for(threads * 8, 1, [&](int64_t, int64_t, int) { sink = fma_chains(rounds); });
  (void)sink;
  *flops = 2.0 * kChains * F32::width * static_cast<double>(rounds) * static_cast<double>(threads) * 8;
  return Status::kOk;
}

Status read_all(ThreadPool& pool, const float* data, int64_t n, double* sum) {
  constexpr int64_t kGrain = 1 << 18;
  constexpr int kStep = 8 * F32::width;
  float* partial = static_cast<float*>(pool.shared_scratch(static_cast<size_t>(pool.threads()) * 64, ThreadPool::Shared::kLinear));
  if (!partial) return Status::kOutOfMemory;
  for (int t = 0; t < pool.threads(); t++) partial[t * 16] = 0;
  pool.parallel_for(n, kGrain, [&](int64_t begin, int64_t end, int thread) {
    F32 acc[8];
    for (F32& a : acc) a = zero();
    int64_t i = begin;
    for (; i + kStep <= end; i += kStep) {
      __builtin_prefetch(data + i + 1024, 0, 0);
      __builtin_prefetch(data + i + 1040, 0, 0);
      __builtin_prefetch(data + i + 1056, 0, 0);
      __builtin_prefetch(data + i + 1072, 0, 0);
#pragma GCC unroll 8
      for (int j = 0; j < 8; j++) acc[j] = acc[j] + load(data + i + j * F32::width);
    }
    float rest = 0;
    for (; i < end; i++) rest += data[i];
    for (int j = 1; j < 8; j++) acc[0] = acc[0] + acc[j];
    partial[thread * 16] += sum_lanes(acc[0]) + rest;
  });
  *sum = 0;
  for (int t = 0; t < pool.threads(); t++) *sum += partial[t * 16];
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
