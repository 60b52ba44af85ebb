// JavaScript → operations on a GPU. A pointer into the device's memory is a number (addresses are below 2^48, null is 0); the TypeScript side
// owns the memory and has checked shapes. A call returns at once; failures are thrown as Errors.
#include <node_api.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "ops.h"

namespace nvila_cuda {

namespace {

// One for each thread of JavaScript: what several of them ask for runs side by side.
thread_local std::unique_ptr<Device> opened;

// Thrown when Node-API reports a failure; an exception may be pending already.
struct NapiFailure {};

void expect(napi_status status) {
  if (status != napi_ok) throw NapiFailure{};
}

double number_of(napi_env env, napi_value value) {
  double number = 0;
  expect(napi_get_value_double(env, value, &number));
  return number;
}

// How an argument of each C++ type is read from JavaScript.
template <typename T>
struct Argument {
  static T from(napi_env env, napi_value value) { return static_cast<T>(number_of(env, value)); }
};
template <typename T>
struct Argument<T*> {
  static T* from(napi_env env, napi_value value) { return reinterpret_cast<T*>(static_cast<uintptr_t>(number_of(env, value))); }
};
template <>
struct Argument<bool> {
  static bool from(napi_env env, napi_value value) {
    bool result = false;
    expect(napi_get_value_bool(env, value, &result));
    return result;
  }
};

Device& device() {
  if (!opened) throw std::runtime_error("no GPU was opened");
  return *opened;
}

template <typename Body>
napi_value guarded(napi_env env, Body body) {
  try {
    return body();
  } catch (const NapiFailure&) {
    bool is_pending = false;
    if (napi_is_exception_pending(env, &is_pending) == napi_ok && !is_pending) napi_throw_error(env, nullptr, "[cuda] internal: a bad argument");
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, (std::string("[cuda] ") + error.what()).c_str());
  }
  return nullptr;
}

template <size_t kCount>
void arguments_of(napi_env env, napi_callback_info info, napi_value (&values)[kCount]) {
  size_t count = kCount;
  expect(napi_get_cb_info(env, info, &count, values, nullptr, nullptr));
  if (count != kCount) throw std::runtime_error("internal: expected " + std::to_string(kCount) + " arguments, got " + std::to_string(count));
}

template <typename... T, size_t... I>
void call_with(void (*operation)(Device&, T...), napi_env env, const napi_value* values, std::index_sequence<I...>) {
  operation(device(), Argument<T>::from(env, values[I])...);
}

template <typename... T>
void call(void (*operation)(Device&, T...), napi_env env, napi_callback_info info) {
  napi_value values[sizeof...(T)];
  arguments_of(env, info, values);
  call_with(operation, env, values, std::index_sequence_for<T...>{});
}

template <auto kOperation>
napi_value bound(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    call(kOperation, env, info);
    return nullptr;
  });
}

// The bytes of a typed array.
std::pair<uint8_t*, size_t> bytes_of(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length = 0, offset = 0;
  void* data = nullptr;
  napi_value buffer;
  expect(napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset));
  const size_t size = type == napi_uint8_array || type == napi_int8_array ? 1 : type == napi_uint16_array ? 2 : 4;
  return {static_cast<uint8_t*>(data), length * size};
}

napi_value as_number(napi_env env, double number) {
  napi_value result;
  expect(napi_create_double(env, number, &result));
  return result;
}

// open(may round): the name of the GPU. A second call in the same thread returns it again.
napi_value open(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value values[1];
    arguments_of(env, info, values);
    if (!opened) opened = std::make_unique<Device>(Argument<bool>::from(env, values[0]));
    napi_value name;
    expect(napi_create_string_utf8(env, opened->name().c_str(), NAPI_AUTO_LENGTH, &name));
    return name;
  });
}

// allocate(bytes): a pointer, 0 when there is not as much left.
napi_value allocate(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value values[1];
    arguments_of(env, info, values);
    void* memory = device().allocate(static_cast<size_t>(number_of(env, values[0])));
    return as_number(env, static_cast<double>(reinterpret_cast<uintptr_t>(memory)));
  });
}

void release(Device& device, void* memory) { device.release(memory); }
void copy(Device& device, void* to, const void* from, int64_t bytes) { device.copy(to, from, static_cast<size_t>(bytes)); }
void clear(Device& device, void* memory, int64_t bytes) { device.clear(memory, static_cast<size_t>(bytes)); }

// upload(pointer, typed array)
napi_value upload(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value values[2];
    arguments_of(env, info, values);
    const auto [data, bytes] = bytes_of(env, values[1]);
    device().upload(Argument<void*>::from(env, values[0]), data, bytes);
    return nullptr;
  });
}

// isIdle(): whether everything that was asked for is done.
napi_value is_idle(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    napi_value result;
    expect(napi_get_boolean(env, device().is_idle(), &result));
    return result;
  });
}

// download(typed array, pointer): waits.
napi_value download(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value values[2];
    arguments_of(env, info, values);
    const auto [data, bytes] = bytes_of(env, values[0]);
    device().download(data, Argument<const void*>::from(env, values[1]), bytes);
    return nullptr;
  });
}

napi_value init(napi_env env, napi_value exports) {
  const std::pair<const char*, napi_callback> functions[] = {
      {"open", open},
      {"allocate", allocate},
      {"release", bound<release>},
      {"isIdle", is_idle},
      {"upload", upload},
      {"download", download},
      {"copy", bound<copy>},
      {"clear", bound<clear>},
      {"linear", bound<linear>},
      {"linearBackwardInput", bound<linear_backward_input>},
      {"linearBackwardWeight", bound<linear_backward_weight>},
      {"pixelValues", bound<pixel_values>},
      {"patchEmbed", bound<patch_embed>},
      {"patchEmbedBackward", bound<patch_embed_backward>},
      {"layerNorm", bound<layer_norm>},
      {"rmsNorm", bound<rms_norm>},
      {"layerNormBackward", bound<layer_norm_backward>},
      {"rmsNormBackward", bound<rms_norm_backward>},
      {"attention", bound<attention>},
      {"attentionBackward", bound<attention_backward>},
      {"add", bound<add>},
      {"accumulate", bound<accumulate>},
      {"gelu", bound<gelu>},
      {"geluBackward", bound<gelu_backward>},
      {"swiglu", bound<swiglu>},
      {"swigluBackward", bound<swiglu_backward>},
      {"rope", bound<rope>},
      {"embedding", bound<embedding>},
      {"embeddingBackward", bound<embedding_backward>},
      {"scatterRows", bound<scatter_rows>},
      {"copyColumns", bound<copy_columns>},
      {"spaceToChannel", bound<space_to_channel>},
      {"spaceToChannelBackward", bound<space_to_channel_backward>},
      {"stitchTiles", bound<stitch_tiles>},
      {"splitTiles", bound<split_tiles>},
      {"areaResize", bound<area_resize>},
      {"areaResizeBackward", bound<area_resize_backward>},
      {"pool3d", bound<pool3d>},
      {"pool3dBackward", bound<pool3d_backward>},
      {"crossEntropy", bound<cross_entropy>},
      {"sumOfSquares", bound<sum_of_squares>},
      {"adamw", bound<adamw>},
      {"muonTake", bound<muon_take>},
      {"muonRounds", bound<muon_rounds>},
      {"muonGive", bound<muon_give>},
  };
  for (const auto& [name, function] : functions) {
    napi_value value;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) != napi_ok ||
        napi_set_named_property(env, exports, name, value) != napi_ok) {
      return nullptr;
    }
  }
  return exports;
}

}  // namespace

}  // namespace nvila_cuda

NAPI_MODULE_INIT() { return nvila_cuda::init(env, exports); }
