// JavaScript → kernels: add, linear and the two measurements of limits. Unpack, check, call.
#include "addon_args.h"

namespace nvila {

// add(context, out, a, b)
napi_value op_add(napi_env env, napi_callback_info info) {
  Args args(env, info, "add", 4);
  Context* context = args.context(0);
  int64_t n = 0;
  float* out = args.f32_any(1, &n);
  const float* a = args.f32(2, n);
  const float* b = args.f32(3, n);
  return args.finish(args.ok() ? context->kernels->add(context->pool, out, a, b, n) : Status::kOk);
}

// linear(context, out, x, weight, weightDType, bias | null, biasDType, T, C, M)
napi_value op_linear(napi_env env, napi_callback_info info) {
  Args args(env, info, "linear", 10);
  Context* context = args.context(0);
  const int64_t T = args.size(7), C = args.size(8), M = args.size(9);
  float* out = args.f32(1, elements({T, M}));
  const float* x = args.f32(2, elements({T, C}));
  const Weight weight = args.weight(3, elements({M, C}));
  const Weight bias = args.weight_or_null(5, M);
  return args.finish(args.ok() ? context->kernels->linear(context->pool, out, x, weight, bias, T, C, M) : Status::kOk);
}

// peakFma(context, rounds): floating-point operations done
napi_value op_peakFma(napi_env env, napi_callback_info info) {
  Args args(env, info, "peakFma", 2);
  Context* context = args.context(0);
  const int64_t rounds = args.size(1);
  if (!args.ok()) return args.finish();
  double flops = 0;
  context->kernels->peak_fma(context->pool, rounds, &flops);
  napi_value result = nullptr;
  napi_create_double(env, flops, &result);
  return result;
}

// readAll(context, data): the sum of data, read once
napi_value op_readAll(napi_env env, napi_callback_info info) {
  Args args(env, info, "readAll", 2);
  Context* context = args.context(0);
  int64_t n = 0;
  const float* data = args.f32_any(1, &n);
  double sum = 0;
  const Status status = args.ok() ? context->kernels->read_all(context->pool, data, n, &sum) : Status::kOk;
  if (!args.ok() || status != Status::kOk) return args.finish(status);
  napi_value result = nullptr;
  napi_create_double(env, sum, &result);
  return result;
}

}  // namespace nvila
