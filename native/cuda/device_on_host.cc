// Device for tests without a GPU: host memory and loops (see device.h).
#ifdef NVILA_CUDA_ON_HOST
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "device.h"

namespace nvila_cuda {

Device::Device(bool) : name_("no GPU: kernels run as loops, for tests") {}

Device::~Device() {
  for (void* memory : allocated_) std::free(memory);
}

void* Device::allocate(size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory) allocated_.insert(memory);
  return memory;
}

void Device::release(void* memory) {
  allocated_.erase(memory);
  std::free(memory);
}
void Device::upload(void* to, const void* from, size_t bytes) { copy(to, from, bytes); }
bool Device::is_idle() { return true; }
void Device::download(void* to, const void* from, size_t bytes) { copy(to, from, bytes); }

void Device::copy(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void Device::copy_rows(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t bytes, size_t rows) {
  for (size_t row = 0; row < rows; row++) {
    copy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, bytes);
  }
}

void Device::clear(void* memory, size_t bytes) {
  if (bytes > 0) std::memset(memory, 0, bytes);
}

float* Device::scratch(Scratch piece, int64_t floats) {
  const int at = static_cast<int>(piece);
  const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
  if (bytes > scratch_bytes_[at]) {
    if (scratch_[at]) release(scratch_[at]);
    scratch_[at] = allocate(bytes);
    scratch_bytes_[at] = bytes;
  }
  return static_cast<float*>(scratch_[at]);
}

void Device::gemm(bool transposed_a, bool transposed_b, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float beta, float* c,
                  int64_t count) {
  for (int64_t at = 0; at < count; at++, a += m * k, b += n * k, c += m * n) {
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        for (int64_t l = 0; l < k; l++) {
          sum += static_cast<double>(a[transposed_a ? l * m + i : i * k + l]) * b[transposed_b ? j * k + l : l * n + j];
        }
        c[i * n + j] = static_cast<float>(sum + (beta == 0 ? 0 : beta * c[i * n + j]));
      }
    }
  }
}

void Device::expect_count(int64_t count) {
  if (count > INT32_MAX) throw std::runtime_error("one operation has more than 2^31 elements. You can use smaller micro-batches");
}

}  // namespace nvila_cuda
#endif
