// One GPU: its memory, its one stream of work, and three ways to put work on it: a function of an element, a function of a row that a warp
// shares, a product of matrices. Everything is asynchronous and in order; only `download` waits. Failures are std::runtime_error.
//
// With NVILA_CUDA_ON_HOST the same sources are compiled by a C++ compiler and run as loops, a warp being one lane wide: that tests the
// arithmetic and the indices of every kernel on machines without a GPU. It is a test, not a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>

#ifdef NVILA_CUDA_ON_HOST
#include <cmath>
#define NVILA_DEVICE
#define NVILA_KERNEL inline
#else
#include <cublas_v2.h>
#include <cuda_runtime.h>
#define NVILA_DEVICE __device__
#define NVILA_KERNEL __device__ __forceinline__
#endif

namespace nvila_cuda {

#ifdef NVILA_CUDA_ON_HOST
constexpr int kWarp = 1;
template <int kLanes = kWarp, typename T>
NVILA_KERNEL T warp_sum(T x) {
  return x;
}
template <typename T>
NVILA_KERNEL T warp_max(T x) {
  return x;
}
NVILA_KERNEL void atomic_add(float* target, float x) { *target += x; }
#else
constexpr int kWarp = 32;
// The sum over every kLanes neighbouring lanes of a warp (a power of two), in all of them.
template <int kLanes = kWarp, typename T>
NVILA_KERNEL T warp_sum(T x) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}
// The largest over the lanes of a warp, in every lane.
template <typename T>
NVILA_KERNEL T warp_max(T x) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, x, step);
    x = other > x ? other : x;
  }
  return x;
}
NVILA_KERNEL void atomic_add(float* target, float x) { atomicAdd(target, x); }

constexpr int kBlock = 256;

template <typename F>
__global__ void each_kernel(uint32_t count, F f) {
  const uint32_t i = blockIdx.x * kBlock + threadIdx.x;
  if (i < count) f(i);
}

template <typename F>
__global__ void rows_kernel(uint32_t count, F f) {
  const uint32_t row = (blockIdx.x * kBlock + threadIdx.x) / kWarp;
  if (row < count) f(row, static_cast<int>(threadIdx.x) % kWarp);  // all lanes of a warp, or none
}
#endif

class Device {
 public:
  // Pieces of working memory that may be in use at once.
  enum class Scratch { kRows, kSums, kMuon, kPatches, kCount };

  // The first GPU. `may_round`: products may round their operands to TF32 (11 bits of a number, sums in f32), which tensor cores multiply.
  explicit Device(bool may_round);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const { return name_; }

  void* allocate(size_t bytes);  // null when there is not as much left
  void release(void* memory);
  void upload(void* to, const void* from, size_t bytes);
  bool is_idle();
  void download(void* to, const void* from, size_t bytes);  // waits for everything before it
  void copy(void* to, const void* from, size_t bytes);
  // `rows` pieces of `bytes`, `to_pitch` and `from_pitch` bytes apart.
  void copy_rows(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t bytes, size_t rows);
  void clear(void* memory, size_t bytes);

  // Kept and reused: a second call with the same piece may give the same memory.
  float* scratch(Scratch piece, int64_t floats);

  // c[m, n] = op(a)[m, k] · op(b)[k, n] + beta c, all row-major; a transposed operand is stored [k, m] or [n, k]. `count` such products, their
  // matrices one behind the other.
  void gemm(bool transposed_a, bool transposed_b, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float beta, float* c,
            int64_t count = 1);

  // f(i) for 0 ≤ i < count, in any order.
  template <typename F>
  void each(int64_t count, F f) {
    if (count <= 0) return;
    expect_count(count);
#ifdef NVILA_CUDA_ON_HOST
    for (int64_t i = 0; i < count; i++) f(static_cast<uint32_t>(i));
#else
    each_kernel<<<static_cast<unsigned>((count + kBlock - 1) / kBlock), kBlock, 0, stream_>>>(static_cast<uint32_t>(count), f);
    expect_launched();
#endif
  }

  // f(row, lane) for 0 ≤ row < count by the lanes of one warp, lane in 0 … kWarp − 1.
  template <typename F>
  void rows(int64_t count, F f) {
    if (count <= 0) return;
    expect_count(count * kWarp);
#ifdef NVILA_CUDA_ON_HOST
    for (int64_t row = 0; row < count; row++) f(static_cast<uint32_t>(row), 0);
#else
    constexpr int kRows = kBlock / kWarp;
    rows_kernel<<<static_cast<unsigned>((count + kRows - 1) / kRows), kBlock, 0, stream_>>>(static_cast<uint32_t>(count), f);
    expect_launched();
#endif
  }

 private:
  static void expect_count(int64_t count);
#ifndef NVILA_CUDA_ON_HOST
  void expect_launched();

  cudaStream_t stream_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
#endif
  std::string name_;
  std::unordered_set<void*> allocated_;
  void* scratch_[static_cast<int>(Scratch::kCount)] = {};
  size_t scratch_bytes_[static_cast<int>(Scratch::kCount)] = {};
};

}  // namespace nvila_cuda
