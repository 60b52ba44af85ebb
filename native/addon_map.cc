// JavaScript → kernels: what makes rows and maps and moves them. Unpack, check, call.
#include "addon_args.h"

namespace nvila {

// embedding(context, out, ids, table, tableDType, T, V, C)
napi_value op_embedding(napi_env env, napi_callback_info info) {
  Args args(env, info, "embedding", 8);
  Context* context = args.context(0);
  const int64_t T = args.size(5), V = args.size(6), C = args.size(7);
  float* out = args.f32(1, elements({T, C}));
  const int32_t* ids = args.i32(2, T);
  const Weight table = args.weight(3, elements({V, C}));
  for (int64_t t = 0; args.ok() && t < T; t++) {
    if (ids[t] < 0 || ids[t] >= V) args.fail("id " + std::to_string(ids[t]) + " is not in the table");
  }
  return args.finish(args.ok() ? context->kernels->embedding(context->pool, out, ids, table, T, C) : Status::kOk);
}

// patchEmbed(context, out, pixels, weight, weightDType, bias, biasDType, position, positionDType, B, S, patch, C)
napi_value op_patchEmbed(napi_env env, napi_callback_info info) {
  Args args(env, info, "patchEmbed", 13);
  Context* context = args.context(0);
  const int64_t B = args.size(9), S = args.size(10), patch = args.positive(11), C = args.size(12);
  const int64_t P = S / patch * (S / patch);
  float* out = args.f32(1, elements({B, P, C}));
  const float* pixels = args.f32(2, elements({B, 3, S, S}));
  const Weight weight = args.weight(3, elements({C, 3, patch, patch}));
  const Weight bias = args.weight(5, C);
  const Weight position = args.weight(7, elements({P, C}));
  return args.finish(
      args.ok() ? context->kernels->patch_embed(context->pool, out, pixels, weight, bias, position, B, S, patch, C) : Status::kOk);
}

// spaceToChannel(context, out, x, B, s, C, k)
napi_value op_spaceToChannel(napi_env env, napi_callback_info info) {
  Args args(env, info, "spaceToChannel", 7);
  Context* context = args.context(0);
  const int64_t B = args.size(3), s = args.size(4), C = args.size(5), k = args.positive(6);
  const int64_t t = (s + k - 1) / k;
  float* out = args.f32(1, elements({B, t, t, k, k, C}));
  const float* x = args.f32(2, elements({B, s, s, C}));
  return args.finish(args.ok() ? context->kernels->space_to_channel(context->pool, out, x, B, s, C, k) : Status::kOk);
}

// areaResize(context, out, x, h, w, C, height, width)
napi_value op_areaResize(napi_env env, napi_callback_info info) {
  Args args(env, info, "areaResize", 8);
  Context* context = args.context(0);
  const int64_t h = args.size(3), w = args.size(4), C = args.size(5), height = args.size(6), width = args.size(7);
  float* out = args.f32(1, elements({height, width, C}));
  const float* x = args.f32(2, elements({h, w, C}));
  return args.finish(args.ok() ? context->kernels->area_resize(context->pool, out, x, h, w, C, height, width) : Status::kOk);
}

// pool3d(context, out, x, F, h, w, C, pt, ph, pw)
napi_value op_pool3d(napi_env env, napi_callback_info info) {
  Args args(env, info, "pool3d", 10);
  Context* context = args.context(0);
  const int64_t F = args.size(3), h = args.size(4), w = args.size(5), C = args.size(6);
  const int64_t pt = args.positive(7), ph = args.positive(8), pw = args.positive(9);
  float* out = args.f32(1, elements({F / pt, h / ph, w / pw, C}));
  const float* x = args.f32(2, elements({F, h, w, C}));
  return args.finish(args.ok() ? context->kernels->pool3d(context->pool, out, x, F, h, w, C, pt, ph, pw) : Status::kOk);
}

namespace {

// name(context, out, x, gy, gx, h, w, C)
napi_value move_tiles(napi_env env, napi_callback_info info, const char* name, StitchTilesFn* Kernels::*kernel) {
  Args args(env, info, name, 8);
  Context* context = args.context(0);
  const int64_t gy = args.size(3), gx = args.size(4), h = args.size(5), w = args.size(6), C = args.size(7);
  float* out = args.f32(1, elements({gy, gx, h, w, C}));
  const float* x = args.f32(2, elements({gy, gx, h, w, C}));
  return args.finish(args.ok() ? (context->kernels->*kernel)(context->pool, out, x, gy, gx, h, w, C) : Status::kOk);
}

}  // namespace

// stitchTiles(context, out, x, gy, gx, h, w, C)
napi_value op_stitchTiles(napi_env env, napi_callback_info info) {
  return move_tiles(env, info, "stitchTiles", &Kernels::stitch_tiles);
}

// splitTiles(context, out, x, gy, gx, h, w, C)
napi_value op_splitTiles(napi_env env, napi_callback_info info) {
  return move_tiles(env, info, "splitTiles", &Kernels::split_tiles);
}

// copyColumns(context, out, x, T, C, width, column)
napi_value op_copyColumns(napi_env env, napi_callback_info info) {
  Args args(env, info, "copyColumns", 7);
  Context* context = args.context(0);
  const int64_t T = args.size(3), C = args.size(4), width = args.size(5), column = args.size(6);
  if (column + C > width) args.fail("the columns are not inside the output");
  float* out = args.f32(1, elements({T, width}));
  const float* x = args.f32(2, elements({T, C}));
  return args.finish(args.ok() ? context->kernels->copy_columns(context->pool, out, x, T, C, width, column) : Status::kOk);
}

}  // namespace nvila
