// Device on an NVIDIA GPU: the CUDA runtime and cuBLAS in f32.
#ifndef NVILA_CUDA_ON_HOST
#include <stdexcept>

#include "device.h"

namespace nvila_cuda {

namespace {

void expect(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

void expect(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) throw std::runtime_error(std::string(what) + ": " + cublasGetStatusString(status));
}

}  // namespace

Device::Device(bool may_round) {
  expect(cudaSetDevice(0), "choosing the GPU");
  cudaDeviceProp properties;
  expect(cudaGetDeviceProperties(&properties, 0), "asking the GPU");
  name_ = properties.name;
  expect(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  expect(cublasCreate(&cublas_), "starting cuBLAS");
  expect(cublasSetStream(cublas_, stream_), "starting cuBLAS");
  expect(cublasSetMathMode(cublas_, may_round ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH), "starting cuBLAS");
}

Device::~Device() {
  if (stream_) cudaStreamSynchronize(stream_);
  for (void* memory : allocated_) cudaFree(memory);
  if (cublas_) cublasDestroy(cublas_);
  if (stream_) cudaStreamDestroy(stream_);
}

void* Device::allocate(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // forget it: the caller may give memory back and try again
    return nullptr;
  }
  expect(status, "allocating");
  allocated_.insert(memory);
  return memory;
}

void Device::release(void* memory) {
  expect(cudaStreamSynchronize(stream_), "waiting");
  expect(cudaFree(memory), "freeing");
  allocated_.erase(memory);
}

void Device::upload(void* to, const void* from, size_t bytes) {
  // From pageable memory this returns when the source has been read.
  if (bytes > 0) expect(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
}

bool Device::is_idle() {
  const cudaError_t status = cudaStreamQuery(stream_);
  if (status == cudaErrorNotReady) return false;
  expect(status, "computing");
  return true;
}

void Device::download(void* to, const void* from, size_t bytes) {
  if (bytes > 0) expect(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
  expect(cudaStreamSynchronize(stream_), "computing");
}

void Device::copy(void* to, const void* from, size_t bytes) {
  if (bytes > 0) expect(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copying");
}

void Device::copy_rows(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t bytes, size_t rows) {
  if (bytes == 0 || rows == 0) return;
  expect(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, bytes, rows, cudaMemcpyDeviceToDevice, stream_), "copying rows");
}

void Device::clear(void* memory, size_t bytes) {
  if (bytes > 0) expect(cudaMemsetAsync(memory, 0, bytes, stream_), "clearing");
}

float* Device::scratch(Scratch piece, int64_t floats) {
  const int at = static_cast<int>(piece);
  const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
  if (bytes > scratch_bytes_[at]) {
    if (scratch_[at]) release(scratch_[at]);
    scratch_[at] = nullptr;
    scratch_bytes_[at] = 0;
    scratch_[at] = allocate(bytes + bytes / 4);
    if (!scratch_[at]) throw std::runtime_error("the GPU is out of memory");
    scratch_bytes_[at] = bytes + bytes / 4;
  }
  return static_cast<float*>(scratch_[at]);
}

void Device::gemm(bool transposed_a, bool transposed_b, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float beta, float* c,
                  int64_t count) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta == 0) clear(c, static_cast<size_t>(count * m * n) * sizeof(float));
    return;
  }
  // cuBLAS is column-major: it computes cᵀ = op(b)ᵀ · op(a)ᵀ, and a row-major matrix is its own transpose there.
  const float one = 1;
  const auto op = [](bool is_transposed) { return is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  expect(cublasSgemmStridedBatched(cublas_, op(transposed_b), op(transposed_a), static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), &one,
                                   b, static_cast<int>(transposed_b ? k : n), n * k, a, static_cast<int>(transposed_a ? m : k), m * k, &beta, c,
                                   static_cast<int>(n), m * n, static_cast<int>(count)),
         "multiplying");
}

void Device::expect_count(int64_t count) {
  if (count > INT32_MAX) throw std::runtime_error("one operation has more than 2^31 elements. You can use smaller micro-batches");
}

void Device::expect_launched() { expect(cudaGetLastError(), "starting a kernel"); }

}  // namespace nvila_cuda
#endif
