#include "addon_args.h"

#include <cmath>

#include "packed_layout.h"

namespace nvila {

namespace {

const char* type_name(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
      return "Float32Array";
    case napi_int8_array:
      return "Int8Array";
    case napi_uint8_array:
      return "Uint8Array";
    case napi_int32_array:
      return "Int32Array";
    case napi_uint16_array:
      return "Uint16Array";
    default:
      return "typed array";
  }
}

}  // namespace

int64_t elements(std::initializer_list<int64_t> sizes) {
  constexpr int64_t kLimit = int64_t{1} << 52;
  int64_t product = 1;
  for (const int64_t size : sizes) {
    if (__builtin_mul_overflow(product, size, &product) || product > kLimit) return kLimit;
  }
  return product;
}

Args::Args(napi_env env, napi_callback_info info, const char* where, size_t count) : env_(env), where_(where) {
  size_t got = kMax;
  if (napi_get_cb_info(env, info, &got, values_, nullptr, nullptr) != napi_ok || got != count) {
    fail("expected " + std::to_string(count) + " arguments, got " + std::to_string(got));
  }
}

void Args::fail(const std::string& message) {
  if (error_.empty()) error_ = std::string("internal: [") + where_ + "] " + message;
}

Context* Args::context(size_t index) {
  void* data = nullptr;
  if (!ok()) return nullptr;
  if (napi_get_value_external(env_, values_[index], &data) != napi_ok || !data) fail("expected a context");
  return static_cast<Context*>(data);
}

double Args::number(size_t index) {
  double value = 0;
  if (ok() && napi_get_value_double(env_, values_[index], &value) != napi_ok) {
    fail("argument " + std::to_string(index) + " is no number");
  }
  return value;
}

int64_t Args::size(size_t index) {
  const double value = number(index);
  if (!(value >= 0 && value < 2147483648.0) || value != std::floor(value)) {
    fail("argument " + std::to_string(index) + " is no size: " + std::to_string(value));
    return 0;
  }
  return static_cast<int64_t>(value);
}

int64_t Args::positive(size_t index) {
  const int64_t value = size(index);
  if (value == 0) fail("argument " + std::to_string(index) + " must be positive");
  return value == 0 ? 1 : value;
}

std::string Args::text(size_t index) {
  if (!ok()) return "";
  size_t length = 0;
  if (napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) != napi_ok) {
    fail("argument " + std::to_string(index) + " is no string");
    return "";
  }
  std::string text(length + 1, '\0');
  napi_get_value_string_utf8(env_, values_[index], text.data(), text.size(), &length);
  text.resize(length);
  return text;
}

bool Args::is_null(size_t index) {
  napi_valuetype type = napi_undefined;
  return ok() && napi_typeof(env_, values_[index], &type) == napi_ok && type == napi_null;
}

void* Args::typed(size_t index, napi_typedarray_type type, int64_t length, int64_t* actual) {
  if (!ok()) return nullptr;
  bool is_typed = false;
  napi_typedarray_type got_type;
  size_t got_length = 0;
  void* data = nullptr;
  if (napi_is_typedarray(env_, values_[index], &is_typed) != napi_ok || !is_typed ||
      napi_get_typedarray_info(env_, values_[index], &got_type, &got_length, &data, nullptr, nullptr) != napi_ok ||
      got_type != type) {
    fail("argument " + std::to_string(index) + " is no " + type_name(type));
    return nullptr;
  }
  if (actual) *actual = static_cast<int64_t>(got_length);
  else if (static_cast<int64_t>(got_length) != length) {
    fail("argument " + std::to_string(index) + " holds " + std::to_string(got_length) + " elements, expected " +
         std::to_string(length));
    return nullptr;
  }
  // An empty array may have no memory; kernels get a valid address in any case.
  static double nothing;
  return data ? data : &nothing;
}

float* Args::f32(size_t index, int64_t length) {
  return static_cast<float*>(typed(index, napi_float32_array, length, nullptr));
}

float* Args::f32_any(size_t index, int64_t* length) {
  return static_cast<float*>(typed(index, napi_float32_array, 0, length));
}

int32_t* Args::i32(size_t index, int64_t length) {
  return static_cast<int32_t*>(typed(index, napi_int32_array, length, nullptr));
}

uint8_t* Args::u8(size_t index, int64_t length) {
  return static_cast<uint8_t*>(typed(index, napi_uint8_array, length, nullptr));
}

int8_t* Args::i8(size_t index, int64_t length) {
  return static_cast<int8_t*>(typed(index, napi_int8_array, length, nullptr));
}

double* Args::f64(size_t index, int64_t length) {
  return static_cast<double*>(typed(index, napi_float64_array, length, nullptr));
}

const int32_t* Args::i32_or_null(size_t index, int64_t length) {
  return is_null(index) ? nullptr : i32(index, length);
}

const uint8_t* Args::packed(size_t index) {
  int64_t length = 0;
  const uint8_t* bytes = static_cast<const uint8_t*>(typed(index, napi_uint8_array, 0, &length));
  if (ok() && !is_packed(bytes, length)) fail("argument " + std::to_string(index) + " is no packed weight");
  return bytes;
}

Weight Args::weight(size_t index, int64_t length) {
  const int64_t dtype = size(index + 1);
  if (dtype > 2) fail("argument " + std::to_string(index + 1) + " is no dtype: " + std::to_string(dtype));
  const void* data = typed(index, dtype == 0 ? napi_float32_array : napi_uint16_array, length, nullptr);
  return {data, static_cast<DType>(dtype)};
}

Weight Args::weight_or_null(size_t index, int64_t length) {
  return is_null(index) ? Weight{nullptr, DType::kF32} : weight(index, length);
}

napi_value Args::finish(Status status) {
  if (ok() && status == Status::kOutOfMemory) fail("out of memory for working buffers");
  if (!ok()) napi_throw_error(env_, nullptr, error_.c_str());
  napi_value undefined = nullptr;
  napi_get_undefined(env_, &undefined);
  return undefined;
}

}  // namespace nvila
