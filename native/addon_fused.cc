// JavaScript → kernels that quantise what they compute. Unpack, check, call.
#include "addon_args.h"

namespace nvila {

namespace {

// Every part of the rows must lie in the scratch memory together.
int64_t rows_of(Args& args, uint32_t index) {
  const int64_t T = args.size(index);
  if (T > kMostRowsOfPart) args.fail("more than " + std::to_string(kMostRowsOfPart) + " rows");
  return T;
}

}  // namespace

// quantizeLayerNorm(context, x, weight, weightDType, bias, biasDType, eps, T, C)
napi_value op_quantizeLayerNorm(napi_env env, napi_callback_info info) {
  Args args(env, info, "quantize_layer_norm", 9);
  Context* context = args.context(0);
  const int64_t T = rows_of(args, 7), C = args.size(8);
  const float* x = args.f32(1, elements({T, C}));
  const Weight weight = args.weight(2, C), bias = args.weight(4, C);
  const double eps = args.number(6);
  if (!args.ok()) return args.finish();
  return args.finish(context->fused->quantize_layer_norm(context->pool, x, weight, bias, eps, T, C));
}

// quantizeGelu(context, x, isExact, T, C)
napi_value op_quantizeGelu(napi_env env, napi_callback_info info) {
  Args args(env, info, "quantize_gelu", 5);
  Context* context = args.context(0);
  const int64_t T = rows_of(args, 3), C = args.size(4);
  const float* x = args.f32(1, elements({T, C}));
  const bool is_exact = args.size(2) != 0;
  if (!args.ok()) return args.finish();
  const auto kernel = is_exact ? context->fused->quantize_gelu_erf : context->fused->quantize_gelu_tanh;
  return args.finish(kernel(context->pool, x, T, C));
}

}  // namespace nvila
