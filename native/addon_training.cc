// JavaScript → kernels: gradients, losses and the optimiser. Unpack, check, call.
#include "addon_args.h"
#include "addon_offsets.h"

namespace nvila {

// accumulate(context, target, source)
napi_value op_accumulate(napi_env env, napi_callback_info info) {
  Args args(env, info, "accumulate", 3);
  Context* context = args.context(0);
  int64_t n = 0;
  float* target = args.f32_any(1, &n);
  const float* source = args.f32(2, n);
  return args.finish(args.ok() ? context->training->accumulate(context->pool, target, source, n) : Status::kOk);
}

// linearBackwardInput(context, dx, dy, weight, weightDType, T, C, M)
napi_value op_linearBackwardInput(napi_env env, napi_callback_info info) {
  Args args(env, info, "linearBackwardInput", 8);
  Context* context = args.context(0);
  const int64_t T = args.size(5), C = args.size(6), M = args.size(7);
  float* dx = args.f32(1, elements({T, C}));
  const float* dy = args.f32(2, elements({T, M}));
  const Weight weight = args.weight(3, elements({M, C}));
  return args.finish(args.ok() ? context->training->linear_backward_input(context->pool, dx, dy, weight, T, C, M) : Status::kOk);
}

// linearBackwardWeight(context, dWeight | null, dBias | null, dy, x, T, C, M)
napi_value op_linearBackwardWeight(napi_env env, napi_callback_info info) {
  Args args(env, info, "linearBackwardWeight", 8);
  Context* context = args.context(0);
  const int64_t T = args.size(5), C = args.size(6), M = args.size(7);
  float* d_weight = args.is_null(1) ? nullptr : args.f32(1, elements({M, C}));
  float* d_bias = args.is_null(2) ? nullptr : args.f32(2, M);
  const float* dy = args.f32(3, elements({T, M}));
  const float* x = args.f32(4, elements({T, C}));
  return args.finish(args.ok() ? context->training->linear_backward_weight(context->pool, d_weight, d_bias, dy, x, T, C, M) : Status::kOk);
}

// layerNormBackward(context, dx, dWeight | null, dBias | null, dy, x, weight, weightDType, eps, T, C)
napi_value op_layerNormBackward(napi_env env, napi_callback_info info) {
  Args args(env, info, "layerNormBackward", 11);
  Context* context = args.context(0);
  const int64_t T = args.size(9), C = args.size(10);
  float* dx = args.f32(1, elements({T, C}));
  float* d_weight = args.is_null(2) ? nullptr : args.f32(2, C);
  float* d_bias = args.is_null(3) ? nullptr : args.f32(3, C);
  const float* dy = args.f32(4, elements({T, C}));
  const float* x = args.f32(5, elements({T, C}));
  const Weight weight = args.weight(6, C);
  const double eps = args.number(8);
  if (!args.ok()) return args.finish();
  return args.finish(context->training->layer_norm_backward(context->pool, dx, d_weight, d_bias, dy, x, weight, eps, T, C));
}

// rmsNormBackward(context, dx, dWeight | null, dy, x, weight, weightDType, eps, T, C)
napi_value op_rmsNormBackward(napi_env env, napi_callback_info info) {
  Args args(env, info, "rmsNormBackward", 10);
  Context* context = args.context(0);
  const int64_t T = args.size(8), C = args.size(9);
  float* dx = args.f32(1, elements({T, C}));
  float* d_weight = args.is_null(2) ? nullptr : args.f32(2, C);
  const float* dy = args.f32(3, elements({T, C}));
  const float* x = args.f32(4, elements({T, C}));
  const Weight weight = args.weight(5, C);
  const double eps = args.number(7);
  return args.finish(args.ok() ? context->training->rms_norm_backward(context->pool, dx, d_weight, dy, x, weight, eps, T, C) : Status::kOk);
}

// attentionBackward(context, dq, dk, dv, q, k, v, out, dOut, offsetsQ | null, offsetsK | null, segments, T, S, H, Hkv, D, scale, causal)
napi_value op_attentionBackward(napi_env env, napi_callback_info info) {
  Args args(env, info, "attentionBackward", 19);
  Context* context = args.context(0);
  const int64_t segments = args.size(11), T = args.size(12), S = args.size(13), H = args.size(14), Hkv = args.size(15), D = args.size(16);
  const int64_t queries = elements({T, H, D}), keys = elements({S, Hkv, D});
  float* dq = args.f32(1, queries);
  float* dk = args.f32(2, keys);
  float* dv = args.f32(3, keys);
  const float* q = args.f32(4, queries);
  const float* k = args.f32(5, keys);
  const float* v = args.f32(6, keys);
  const float* out = args.f32(7, queries);
  const float* d_out = args.f32(8, queries);
  const int32_t* offsets_q = args.i32_or_null(9, segments + 1);
  const int32_t* offsets_k = args.i32_or_null(10, segments + 1);
  const double scale = args.number(17);
  const bool causal = args.size(18) != 0;
  check_offsets(args, offsets_q, segments, T);
  check_offsets(args, offsets_k, segments, S);
  if (args.ok() && (Hkv == 0 ? H != 0 : H % Hkv != 0)) args.fail("heads are no multiple of key heads");
  if (!args.ok()) return args.finish();
  return args.finish(context->training->attention_backward(context->pool, dq, dk, dv, q, k, v, out, d_out, offsets_q, offsets_k, segments, T,
                                                           S, H, Hkv, D, scale, causal));
}

namespace {

// name(context, dx, dy, x)
napi_value gelu_backward(napi_env env, napi_callback_info info, const char* name, GeluTanhBackwardFn* TrainingKernels::*kernel) {
  Args args(env, info, name, 4);
  Context* context = args.context(0);
  int64_t n = 0;
  float* dx = args.f32_any(1, &n);
  const float* dy = args.f32(2, n);
  const float* x = args.f32(3, n);
  return args.finish(args.ok() ? (context->training->*kernel)(context->pool, dx, dy, x, n) : Status::kOk);
}

}  // namespace

napi_value op_geluTanhBackward(napi_env env, napi_callback_info info) {
  return gelu_backward(env, info, "geluTanhBackward", &TrainingKernels::gelu_tanh_backward);
}

napi_value op_geluErfBackward(napi_env env, napi_callback_info info) {
  return gelu_backward(env, info, "geluErfBackward", &TrainingKernels::gelu_erf_backward);
}

// swigluBackward(context, dGate, dUp, dy, gate, up)
napi_value op_swigluBackward(napi_env env, napi_callback_info info) {
  Args args(env, info, "swigluBackward", 6);
  Context* context = args.context(0);
  int64_t n = 0;
  float* d_gate = args.f32_any(1, &n);
  float* d_up = args.f32(2, n);
  const float* dy = args.f32(3, n);
  const float* gate = args.f32(4, n);
  const float* up = args.f32(5, n);
  return args.finish(args.ok() ? context->training->swiglu_backward(context->pool, d_gate, d_up, dy, gate, up, n) : Status::kOk);
}

// embeddingBackward(context, dTable, ids, dy, T, V, C)
napi_value op_embeddingBackward(napi_env env, napi_callback_info info) {
  Args args(env, info, "embeddingBackward", 7);
  Context* context = args.context(0);
  const int64_t T = args.size(4), V = args.size(5), C = args.size(6);
  float* d_table = args.f32(1, elements({V, C}));
  const int32_t* ids = args.i32(2, T);
  const float* dy = args.f32(3, elements({T, C}));
  for (int64_t t = 0; args.ok() && t < T; t++) {
    if (ids[t] < 0 || ids[t] >= V) args.fail("id " + std::to_string(ids[t]) + " has no row");
  }
  return args.finish(args.ok() ? context->training->embedding_backward(context->pool, d_table, ids, dy, T, C) : Status::kOk);
}

// patchEmbedBackward(context, dWeight, dBias, dPosition, dy, pixels, B, S, patch, C)
napi_value op_patchEmbedBackward(napi_env env, napi_callback_info info) {
  Args args(env, info, "patchEmbedBackward", 10);
  Context* context = args.context(0);
  const int64_t B = args.size(6), S = args.size(7), patch = args.positive(8), C = args.size(9);
  const int64_t P = (S / patch) * (S / patch);
  float* d_weight = args.f32(1, elements({C, 3, patch, patch}));
  float* d_bias = args.f32(2, C);
  float* d_position = args.f32(3, elements({P, C}));
  const float* dy = args.f32(4, elements({B, P, C}));
  const float* pixels = args.f32(5, elements({B, 3, S, S}));
  if (!args.ok()) return args.finish();
  return args.finish(context->training->patch_embed_backward(context->pool, d_weight, d_bias, d_position, dy, pixels, B, S, patch, C));
}

// crossEntropy(context, losses, logits, targets, weights, softIds | null, softCount, std, T, V)
napi_value op_crossEntropy(napi_env env, napi_callback_info info) {
  Args args(env, info, "crossEntropy", 10);
  Context* context = args.context(0);
  const int64_t soft = args.size(6), T = args.size(8), V = args.size(9);
  float* losses = args.f32(1, T);
  float* logits = args.f32(2, elements({T, V}));
  const int32_t* targets = args.i32(3, T);
  const float* weights = args.f32(4, T);
  const int32_t* soft_ids = args.i32_or_null(5, soft);
  const double std = args.number(7);
  for (int64_t t = 0; args.ok() && t < T; t++) {
    if (targets[t] >= V) args.fail("target " + std::to_string(targets[t]) + " has no logit");
  }
  for (int64_t i = 0; args.ok() && i < soft; i++) {
    if (!soft_ids || soft_ids[i] < 0 || soft_ids[i] >= V) args.fail("a soft target has no logit");
  }
  if (!args.ok()) return args.finish();
  return args.finish(context->training->cross_entropy(context->pool, losses, logits, targets, weights, soft_ids, soft, std, T, V));
}

// sumOfSquares(context, x): Σ x²
napi_value op_sumOfSquares(napi_env env, napi_callback_info info) {
  Args args(env, info, "sumOfSquares", 2);
  Context* context = args.context(0);
  int64_t n = 0;
  const float* x = args.f32_any(1, &n);
  double sum = 0;
  const Status status = args.ok() ? context->training->sum_of_squares(context->pool, x, n, &sum) : Status::kOk;
  if (!args.ok() || status != Status::kOk) return args.finish(status);
  napi_value result = nullptr;
  napi_create_double(env, sum, &result);
  return result;
}

// adamw(context, parameter, m, v, gradient, learningRate, beta1, beta2, eps, weightDecay, correction1, correction2, gradientScale)
napi_value op_adamw(napi_env env, napi_callback_info info) {
  Args args(env, info, "adamw", 13);
  Context* context = args.context(0);
  int64_t n = 0;
  float* parameter = args.f32_any(1, &n);
  float* m = args.f32(2, n);
  float* v = args.f32(3, n);
  const float* gradient = args.f32(4, n);
  const AdamWStep step = {args.number(5), args.number(6),  args.number(7),  args.number(8),
                          args.number(9), args.number(10), args.number(11), args.number(12)};
  return args.finish(args.ok() ? context->training->adamw(context->pool, parameter, m, v, gradient, step, n) : Status::kOk);
}

}  // namespace nvila
