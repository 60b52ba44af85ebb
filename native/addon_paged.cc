// JavaScript → kernels: keys and values in the blocks of a pool. Unpack, check, call.
#include "addon_args.h"

namespace nvila {

namespace {

// What a call says about its sequences: queries, keys and the blocks that hold them.
struct Sequences {
  const int32_t* offsets_q;  // [count + 1]
  const int32_t* lengths;    // [count]
  const int32_t* tables;     // [count, width]
};

// Every query sees a key, every key lies in a block, every block in the pool. The rest of a table is not looked at.
void check_sequences(Args& args, const Sequences& s, int64_t count, int64_t width, int64_t block_rows, int64_t pool_rows, int64_t T) {
  if (!args.ok()) return;
  if (block_rows % 8 != 0) args.fail("blocks of " + std::to_string(block_rows) + " rows are no multiple of 8");
  if (s.offsets_q[0] != 0 || s.offsets_q[count] != T) args.fail("offsets do not cover " + std::to_string(T) + " queries");
  for (int64_t i = 0; args.ok() && i < count; i++) {
    const int64_t queries = int64_t{s.offsets_q[i + 1]} - s.offsets_q[i], keys = s.lengths[i];
    if (queries < 0 || keys < queries || keys > width * block_rows) {
      args.fail("sequence " + std::to_string(i) + " has " + std::to_string(queries) + " queries and " + std::to_string(keys) + " keys");
      return;
    }
    for (int64_t b = 0; b * block_rows < keys; b++) {
      const int64_t block = s.tables[i * width + b];
      if (block < 0 || (block + 1) * block_rows > pool_rows) {
        args.fail("block " + std::to_string(block) + " is not in the pool");
        return;
      }
    }
  }
}

void check_heads(Args& args, int64_t H, int64_t Hkv) {
  if (args.ok() && (Hkv == 0 ? H != 0 : H % Hkv != 0)) args.fail("heads are no multiple of key heads");
}

// Nothing is written outside the target.
void check_rows(Args& args, const int32_t* rows, int64_t T, int64_t target_rows) {
  for (int64_t t = 0; args.ok() && t < T; t++) {
    if (rows[t] < 0 || rows[t] >= target_rows) args.fail("row " + std::to_string(rows[t]) + " is not in the target");
  }
}

}  // namespace

// pagedAttention(context, out, q, k, v, offsetsQ, lengths, tables, sequences, tableWidth, blockRows, poolRows, T, H, Hkv, D, scale,
//                mayRound)
napi_value op_pagedAttention(napi_env env, napi_callback_info info) {
  Args args(env, info, "pagedAttention", 18);
  Context* context = args.context(0);
  const int64_t sequences = args.size(8), width = args.size(9), block_rows = args.positive(10), pool_rows = args.size(11);
  const int64_t T = args.size(12), H = args.size(13), Hkv = args.size(14), D = args.size(15);
  float* out = args.f32(1, elements({T, H, D}));
  const float* q = args.f32(2, elements({T, H, D}));
  const float* k = args.f32(3, elements({pool_rows, Hkv, D}));
  const float* v = args.f32(4, elements({pool_rows, Hkv, D}));
  const Sequences s = {args.i32(5, sequences + 1), args.i32(6, sequences), args.i32(7, elements({sequences, width}))};
  const double scale = args.number(16);
  const bool may_round = args.size(17) != 0;
  check_sequences(args, s, sequences, width, block_rows, pool_rows, T);
  check_heads(args, H, Hkv);
  if (!args.ok()) return args.finish();
  return args.finish(context->kernels->paged_attention(context->pool, out, q, k, v, s.offsets_q, s.lengths, s.tables, sequences, width,
                                                       block_rows, H, Hkv, D, scale, may_round));
}

// pagedAttentionInt8(context, out, q, k, kScales, v, vScales, offsetsQ, lengths, tables, sequences, tableWidth, blockRows, poolRows, T, H,
//                    Hkv, D, scale)
napi_value op_pagedAttentionInt8(napi_env env, napi_callback_info info) {
  Args args(env, info, "pagedAttentionInt8", 19);
  Context* context = args.context(0);
  const int64_t sequences = args.size(10), width = args.size(11), block_rows = args.positive(12), pool_rows = args.size(13);
  const int64_t T = args.size(14), H = args.size(15), Hkv = args.size(16), D = args.size(17);
  float* out = args.f32(1, elements({T, H, D}));
  const float* q = args.f32(2, elements({T, H, D}));
  const int8_t* k = args.i8(3, elements({pool_rows, Hkv, D}));
  const float* k_scales = args.f32(4, elements({pool_rows, Hkv}));
  const int8_t* v = args.i8(5, elements({pool_rows, Hkv, D}));
  const float* v_scales = args.f32(6, elements({pool_rows, Hkv}));
  const Sequences s = {args.i32(7, sequences + 1), args.i32(8, sequences), args.i32(9, elements({sequences, width}))};
  const double scale = args.number(18);
  check_sequences(args, s, sequences, width, block_rows, pool_rows, T);
  check_heads(args, H, Hkv);
  if (!args.ok()) return args.finish();
  return args.finish(context->kernels->paged_attention_int8(context->pool, out, q, k, k_scales, v, v_scales, s.offsets_q, s.lengths, s.tables,
                                                            sequences, width, block_rows, H, Hkv, D, scale));
}

// scatterRowsInt8(context, codes, scales, rows, source, targetRows, T, Hkv, D)
napi_value op_scatterRowsInt8(napi_env env, napi_callback_info info) {
  Args args(env, info, "scatterRowsInt8", 9);
  Context* context = args.context(0);
  const int64_t target_rows = args.size(5), T = args.size(6), Hkv = args.size(7), D = args.size(8);
  int8_t* codes = args.i8(1, elements({target_rows, Hkv, D}));
  float* scales = args.f32(2, elements({target_rows, Hkv}));
  const int32_t* rows = args.i32(3, T);
  const float* source = args.f32(4, elements({T, Hkv, D}));
  check_rows(args, rows, T, target_rows);
  return args.finish(args.ok() ? context->kernels->scatter_rows_int8(context->pool, codes, scales, rows, source, T, Hkv, D) : Status::kOk);
}

// scatterRows(context, target, rows, source, targetRows, T, C)
napi_value op_scatterRows(napi_env env, napi_callback_info info) {
  Args args(env, info, "scatterRows", 7);
  Context* context = args.context(0);
  const int64_t target_rows = args.size(4), T = args.size(5), C = args.size(6);
  float* target = args.f32(1, elements({target_rows, C}));
  const int32_t* rows = args.i32(2, T);
  const float* source = args.f32(3, elements({T, C}));
  check_rows(args, rows, T, target_rows);
  return args.finish(args.ok() ? context->kernels->scatter_rows(context->pool, target, rows, source, T, C) : Status::kOk);
}

}  // namespace nvila
