// JavaScript → kernels: norms, rotary positions and functions of one element. Unpack, check, call.
#include "addon_args.h"

namespace nvila {

// layerNorm(context, out, x, weight, weightDType, bias, biasDType, eps, T, C)
napi_value op_layerNorm(napi_env env, napi_callback_info info) {
  Args args(env, info, "layerNorm", 10);
  Context* context = args.context(0);
  const int64_t T = args.size(8), C = args.size(9);
  float* out = args.f32(1, elements({T, C}));
  const float* x = args.f32(2, elements({T, C}));
  const Weight weight = args.weight(3, C);
  const Weight bias = args.weight(5, C);
  const double eps = args.number(7);
  return args.finish(args.ok() ? context->kernels->layer_norm(context->pool, out, x, weight, bias, eps, T, C) : Status::kOk);
}

// rmsNorm(context, out, x, weight, weightDType, eps, T, C)
napi_value op_rmsNorm(napi_env env, napi_callback_info info) {
  Args args(env, info, "rmsNorm", 8);
  Context* context = args.context(0);
  const int64_t T = args.size(6), C = args.size(7);
  float* out = args.f32(1, elements({T, C}));
  const float* x = args.f32(2, elements({T, C}));
  const Weight weight = args.weight(3, C);
  const double eps = args.number(5);
  return args.finish(args.ok() ? context->kernels->rms_norm(context->pool, out, x, weight, eps, T, C) : Status::kOk);
}

// rope(context, out, x, positions, theta, T, H, D)
napi_value op_rope(napi_env env, napi_callback_info info) {
  Args args(env, info, "rope", 8);
  Context* context = args.context(0);
  const int64_t T = args.size(5), H = args.size(6), D = args.size(7);
  if (D % 2 != 0) args.fail("D is odd");
  float* out = args.f32(1, elements({T, H, D}));
  const float* x = args.f32(2, elements({T, H, D}));
  const int32_t* positions = args.i32(3, T);
  const double theta = args.number(4);
  return args.finish(args.ok() ? context->kernels->rope(context->pool, out, x, positions, theta, T, H, D) : Status::kOk);
}

// geluTanh(context, out, x)
napi_value op_geluTanh(napi_env env, napi_callback_info info) {
  Args args(env, info, "geluTanh", 3);
  Context* context = args.context(0);
  int64_t n = 0;
  float* out = args.f32_any(1, &n);
  const float* x = args.f32(2, n);
  return args.finish(args.ok() ? context->kernels->gelu_tanh(context->pool, out, x, n) : Status::kOk);
}

// geluErf(context, out, x)
napi_value op_geluErf(napi_env env, napi_callback_info info) {
  Args args(env, info, "geluErf", 3);
  Context* context = args.context(0);
  int64_t n = 0;
  float* out = args.f32_any(1, &n);
  const float* x = args.f32(2, n);
  return args.finish(args.ok() ? context->kernels->gelu_erf(context->pool, out, x, n) : Status::kOk);
}

// swiglu(context, out, gate, up)
napi_value op_swiglu(napi_env env, napi_callback_info info) {
  Args args(env, info, "swiglu", 4);
  Context* context = args.context(0);
  int64_t n = 0;
  float* out = args.f32_any(1, &n);
  const float* gate = args.f32(2, n);
  const float* up = args.f32(3, n);
  return args.finish(args.ok() ? context->kernels->swiglu(context->pool, out, gate, up, n) : Status::kOk);
}

}  // namespace nvila
