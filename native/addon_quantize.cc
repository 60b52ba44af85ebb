// JavaScript → rounding of weights. Unpack, check, call.
#include "addon_args.h"

namespace nvila {

// quantizeInt8(context, codes, scales, sums, weight, weightDType, M, C)
napi_value op_quantizeInt8(napi_env env, napi_callback_info info) {
  Args args(env, info, "quantize_int8", 8);
  Context* context = args.context(0);
  const int64_t M = args.size(6), C = args.positive(7);
  int8_t* codes = args.i8(1, elements({M, C}));
  float* scales = args.f32(2, M);
  double* sums = args.f64(3, elements({M, 2}));
  const Weight weight = args.weight(4, elements({M, C}));
  return args.finish(args.ok() ? context->kernels->quantize_int8(context->pool, codes, scales, sums, weight, M, C) : Status::kOk);
}

// quantizeInt4(context, codes, scales, zeros, sums, weight, weightDType, M, C, group, symmetric, halfScales)
napi_value op_quantizeInt4(napi_env env, napi_callback_info info) {
  Args args(env, info, "quantize_int4", 12);
  Context* context = args.context(0);
  const int64_t M = args.size(7), C = args.positive(8), group = args.positive(9);
  if (args.ok() && (group % 2 != 0 || group > 256 || C % group != 0)) args.fail("groups do not fit");
  const int64_t G = args.ok() ? C / group : 0;
  uint8_t* codes = args.u8(1, elements({M, C}) / 2);
  float* scales = args.f32(2, elements({M, G}));
  uint8_t* zeros = args.u8(3, elements({M, G}));
  double* sums = args.f64(4, elements({M, 2}));
  const Weight weight = args.weight(5, elements({M, C}));
  const bool symmetric = args.size(10) != 0, half_scales = args.size(11) != 0;
  if (!args.ok()) return args.finish();
  return args.finish(context->kernels->quantize_int4(context->pool, codes, scales, zeros, sums, weight, M, C, group, symmetric, half_scales));
}

}  // namespace nvila
