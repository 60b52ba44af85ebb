// JavaScript → kernels: attention. Unpack, check, call.
#include "addon_args.h"
#include "addon_offsets.h"

namespace nvila {

// attention(context, out, q, k, v, offsetsQ | null, offsetsK | null, segments, T, S, H, Hkv, D, scale, causal, mayRound)
napi_value op_attention(napi_env env, napi_callback_info info) {
  Args args(env, info, "attention", 16);
  Context* context = args.context(0);
  const int64_t segments = args.size(7), T = args.size(8), S = args.size(9), H = args.size(10), Hkv = args.size(11), D = args.size(12);
  float* out = args.f32(1, elements({T, H, D}));
  const float* q = args.f32(2, elements({T, H, D}));
  const float* k = args.f32(3, elements({S, Hkv, D}));
  const float* v = args.f32(4, elements({S, Hkv, D}));
  const int32_t* offsets_q = args.i32_or_null(5, segments + 1);
  const int32_t* offsets_k = args.i32_or_null(6, segments + 1);
  const double scale = args.number(13);
  const bool causal = args.size(14) != 0;
  const bool may_round = args.size(15) != 0;
  check_offsets(args, offsets_q, segments, T);
  check_offsets(args, offsets_k, segments, S);
  if (args.ok() && (Hkv == 0 ? H != 0 : H % Hkv != 0)) args.fail("heads are no multiple of key heads");
  if (!args.ok()) return args.finish();
  return args.finish(context->kernels->attention(context->pool, out, q, k, v, offsets_q, offsets_k, segments, T, S, H, Hkv, D, scale, causal,
                                                  may_round));
}

}  // namespace nvila
