// Unpacks and checks the arguments of one call from JavaScript. The TypeScript side has checked shapes already, so a failure
// here is our own mistake: it becomes an "internal:" Error, never a crash. Only addon*.cc include this file.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/backward.h"
#include "kernels/fused.h"
#include "kernels/kernels.h"

namespace nvila {

// What a backend owns: threads and the kernels it chose.
struct Context {
  Context(int threads, const Kernels* chosen)
      : pool(threads), kernels(chosen), training(find_training_kernels(chosen->isa)),
        fused(find_fused_kernels(chosen->isa)) {}
  ThreadPool pool;
  const Kernels* kernels;
  const TrainingKernels* training;
  const FusedKernels* fused;
};

// Product of sizes; they are below 2^31 each, and more than 2^52 elements are no array.
int64_t elements(std::initializer_list<int64_t> sizes);

class Args {
 public:
  static constexpr size_t kMax = 20;

  // `where` names the operation in messages. Exactly `count` arguments are expected.
  Args(napi_env env, napi_callback_info info, const char* where, size_t count);

  bool ok() const { return error_.empty(); }

  // Each returns a harmless value (null, 0) after a failure; check ok() before use.
  Context* context(size_t index);
  int64_t size(size_t index);  // integer in 0 … 2^31 − 1
  int64_t positive(size_t index);  // integer in 1 … 2^31 − 1; 1 after a failure
  double number(size_t index);
  std::string text(size_t index);
  float* f32(size_t index, int64_t length);  // Float32Array of exactly `length`
  int32_t* i32(size_t index, int64_t length);  // Int32Array of exactly `length`
  const int32_t* i32_or_null(size_t index, int64_t length);  // the same, or null
  uint8_t* u8(size_t index, int64_t length);   // Uint8Array of exactly `length`
  int8_t* i8(size_t index, int64_t length);    // Int8Array of exactly `length`
  double* f64(size_t index, int64_t length);   // Float64Array of exactly `length`
  float* f32_any(size_t index, int64_t* length);  // Float32Array of any length
  const uint8_t* packed(size_t index);  // Uint8Array that is a whole packed weight (packed_layout.h)
  // Float32Array (dtype 0) or Uint16Array (1 = bf16, 2 = f16) of `length`; the dtype is argument index + 1.
  Weight weight(size_t index, int64_t length);
  Weight weight_or_null(size_t index, int64_t length);
  napi_value raw(size_t index) const { return values_[index]; }
  bool is_null(size_t index);

  // Throws what went wrong, or the status of the kernel; returns undefined when all is well.
  napi_value finish(Status status = Status::kOk);
  void fail(const std::string& message);

 private:
  void* typed(size_t index, napi_typedarray_type type, int64_t length, int64_t* actual);

  napi_env env_;
  const char* where_;
  napi_value values_[kMax] = {};
  std::string error_;
};

// The addon's functions, one line per op. Defined in addon_*.cc as napi_value op_<name>(napi_env, napi_callback_info).
#define NVILA_OPS(X) \
  X(add)             \
  X(areaResize)      \
  X(attention)       \
  X(copyColumns)     \
  X(embedding)       \
  X(embeddingPacked) \
  X(gatedMlpInt4)    \
  X(geluErf)         \
  X(geluTanh)        \
  X(layerNorm)       \
  X(linear)          \
  X(linearInt4)      \
  X(linearInt8)      \
  X(mapOpen)         \
  X(mapSize)         \
  X(mapView)         \
  X(packInt4)        \
  X(packInt8)        \
  X(pagedAttention)  \
  X(pagedAttentionInt8) \
  X(patchEmbed)      \
  X(peakFma)         \
  X(pool3d)          \
  X(quantizeGelu)    \
  X(quantizeInt4)    \
  X(quantizeInt8)    \
  X(quantizeLayerNorm) \
  X(readAll)         \
  X(rmsNorm)         \
  X(rope)            \
  X(scatterRows)     \
  X(scatterRowsInt8)    \
  X(spaceToChannel)  \
  X(splitTiles)      \
  X(stitchTiles)     \
  X(swiglu)          \
  X(accumulate)      \
  X(adamw)           \
  X(attentionBackward) \
  X(crossEntropy)    \
  X(embeddingBackward) \
  X(geluErfBackward) \
  X(geluTanhBackward) \
  X(layerNormBackward) \
  X(linearBackwardInput) \
  X(linearBackwardWeight) \
  X(patchEmbedBackward) \
  X(rmsNormBackward) \
  X(sumOfSquares)    \
  X(swigluBackward)

#define NVILA_DECLARE_OP(name) napi_value op_##name(napi_env env, napi_callback_info info);
NVILA_OPS(NVILA_DECLARE_OP)
#undef NVILA_DECLARE_OP

}  // namespace nvila
