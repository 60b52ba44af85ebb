// JavaScript → products with packed weights, packing, rows of a packed table. Unpack, check, call.
#include <cstdlib>

#include "addon_args.h"
#include "packed_layout.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace nvila {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Memory of packed weights: lines start at lines, and large ones lie in huge pages, which streaming them through the cores needs.
uint8_t* allocate(size_t bytes) {
  const bool is_large = bytes >= 2 * kHugePage;
  const size_t alignment = is_large ? kHugePage : 64;
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#if defined(__linux__)
  if (memory && is_large) madvise(memory, bytes, MADV_HUGEPAGE);  // only advice
#endif
  return static_cast<uint8_t*>(memory);
}

// The engine collects garbage again and again while ArrayBuffers of a model's size appear. Weights stay as long as their model, so
// they are taken off its account.
void count_as_heap(napi_env env, int64_t bytes) {
  int64_t total = 0;
  napi_adjust_external_memory(env, bytes, &total);
}

// The packed bytes as an ArrayBuffer that frees them.
napi_value give(napi_env env, Args& args, uint8_t* packed, int64_t bytes) {
  napi_value buffer = nullptr;
  const auto release = [](napi_env of, void* data, void*) {
    count_as_heap(of, static_cast<int64_t>(packed_header(static_cast<const uint8_t*>(data)).bytes));
    std::free(data);
  };
  if (napi_create_external_arraybuffer(env, packed, static_cast<size_t>(bytes), release, nullptr, &buffer) == napi_ok) {
    count_as_heap(env, -bytes);
    return buffer;
  }
  std::free(packed);
  args.fail("this runtime cannot make a buffer of " + std::to_string(bytes) + " bytes");
  return args.finish();
}

}  // namespace

// packInt8(context, codes, scales, M, C): ArrayBuffer
napi_value op_packInt8(napi_env env, napi_callback_info info) {
  Args args(env, info, "pack_int8", 5);
  Context* context = args.context(0);
  const int64_t M = args.size(3), C = args.size(4);
  const int8_t* codes = args.i8(1, elements({M, C}));
  const float* scales = args.f32(2, M);
  if (C > kMostInputs) args.fail("more than " + std::to_string(kMostInputs) + " inputs");
  if (!args.ok()) return args.finish();
  const int64_t bytes = packed_sizes(8, M, C, 0, 4, false).bytes;
  uint8_t* packed = allocate(static_cast<size_t>(bytes));
  if (!packed) return args.finish(Status::kOutOfMemory);
  context->kernels->pack_int8(context->pool, packed, codes, scales, M, C);
  return give(env, args, packed, bytes);
}

// packInt4(context, codes, scales, zeros, M, C, weightGroup, group): ArrayBuffer
napi_value op_packInt4(napi_env env, napi_callback_info info) {
  Args args(env, info, "pack_int4", 8);
  Context* context = args.context(0);
  const int64_t M = args.size(4), C = args.size(5), weight_group = args.size(6), group = args.size(7);
  if (args.ok() && (group != 32 && group != 64 && group != 128)) args.fail("groups of " + std::to_string(group));
  if (args.ok() && (weight_group == 0 || weight_group % group != 0 || C % weight_group != 0 || C > kMostInputs)) {
    args.fail("groups of " + std::to_string(weight_group) + " in " + std::to_string(C) + " inputs");
  }
  if (!args.ok()) return args.finish();
  const int64_t count = M * (C / weight_group);
  const uint8_t* codes = args.u8(1, M * (C / 2));
  const float* scales = args.f32(2, count);
  const uint8_t* zeros = args.u8(3, count);
  if (!args.ok()) return args.finish();
  bool is_f16 = false, has_zeros = false;
  context->kernels->int4_traits(context->pool, scales, zeros, count, &is_f16, &has_zeros);
  const int64_t bytes = packed_sizes(4, M, C, group, is_f16 ? 2 : 4, has_zeros).bytes;
  uint8_t* packed = allocate(static_cast<size_t>(bytes));
  if (!packed) return args.finish(Status::kOutOfMemory);
  context->kernels->pack_int4(context->pool, packed, codes, scales, zeros, M, C, weight_group, group, is_f16, has_zeros);
  return give(env, args, packed, bytes);
}

namespace {

// What both products share: (context, out, x, packed, bias | null, biasDType, T, M, …).
struct Product {
  Product(Args& args, uint32_t bits) : context(args.context(0)), T(args.size(6)), M(args.size(7)), packed(args.packed(3)) {
    if (!args.ok()) return;
    const PackedHeader header = packed_header(packed);
    if (header.bits != bits || M > static_cast<int64_t>(header.outputs)) args.fail("another packed weight was expected");
    out = args.f32(1, elements({T, M}));
    x = args.f32(2, elements({T, static_cast<int64_t>(header.inputs)}));
    bias = args.weight_or_null(4, M);
  }
  Context* context;
  int64_t T, M;
  const uint8_t* packed;
  float* out = nullptr;
  const float* x = nullptr;
  Weight bias = {nullptr, DType::kF32};
};

}  // namespace

// linearInt8(context, out, x, packed, bias | null, biasDType, T, M, reuse)
napi_value op_linearInt8(napi_env env, napi_callback_info info) {
  Args args(env, info, "linear_int8", 9);
  const Product p(args, 8);
  const bool reuse = args.size(8) != 0;
  if (!args.ok()) return args.finish();
  return args.finish(p.context->kernels->linear_int8(p.context->pool, p.out, p.x, p.packed, p.bias, p.T, p.M, reuse));
}

// linearInt4(context, out, x, packed, bias | null, biasDType, T, M, bytesOfCode, reuse)
napi_value op_linearInt4(napi_env env, napi_callback_info info) {
  Args args(env, info, "linear_int4", 10);
  const Product p(args, 4);
  const int64_t bytes_of_code = args.size(8);
  const bool reuse = args.size(9) != 0;
  if (args.ok() && (bytes_of_code < 1 || bytes_of_code > 3)) args.fail("codes of " + std::to_string(bytes_of_code) + " bytes");
  if (!args.ok()) return args.finish();
  return args.finish(p.context->kernels->linear_int4(p.context->pool, p.out, p.x, p.packed, p.bias, p.T, p.M, bytes_of_code, reuse));
}

// gatedMlpInt4(context, out, x, gate, up, down, T, M, bytesOfCode, reuse)
napi_value op_gatedMlpInt4(napi_env env, napi_callback_info info) {
  Args args(env, info, "gated_mlp_int4", 10);
  Context* context = args.context(0);
  const int64_t T = args.size(6), M = args.size(7), bytes_of_code = args.size(8);
  const bool reuse = args.size(9) != 0;
  const uint8_t* gate = args.packed(3);
  const uint8_t* up = args.packed(4);
  const uint8_t* down = args.packed(5);
  if (!args.ok()) return args.finish();
  const PackedHeader gates = packed_header(gate), ups = packed_header(up), downs = packed_header(down);
  const bool are_int4 = gates.bits == 4 && ups.bits == 4 && downs.bits == 4;
  const bool are_alike = gates.inputs == ups.inputs && gates.group == ups.group;
  const bool meet = downs.inputs <= gates.outputs && downs.inputs <= ups.outputs && M <= static_cast<int64_t>(downs.outputs);
  if (!are_int4 || !are_alike || !meet) args.fail("another packed weight was expected");
  if (bytes_of_code < 1 || bytes_of_code > 3) args.fail("codes of " + std::to_string(bytes_of_code) + " bytes");
  float* out = args.f32(1, elements({T, M}));
  const float* x = args.f32(2, elements({T, static_cast<int64_t>(ups.inputs)}));
  if (!args.ok()) return args.finish();
  return args.finish(context->kernels->gated_mlp_int4(context->pool, out, x, gate, up, down, T, M, bytes_of_code, reuse));
}

// embeddingPacked(context, out, ids, packed, T)
napi_value op_embeddingPacked(napi_env env, napi_callback_info info) {
  Args args(env, info, "embedding_packed", 5);
  Context* context = args.context(0);
  const int64_t T = args.size(4);
  const uint8_t* packed = args.packed(3);
  const int32_t* ids = args.i32(2, T);
  if (!args.ok()) return args.finish();
  const PackedHeader header = packed_header(packed);
  float* out = args.f32(1, elements({T, static_cast<int64_t>(header.inputs)}));
  for (int64_t t = 0; args.ok() && t < T; t++) {
    if (ids[t] < 0 || static_cast<uint32_t>(ids[t]) >= header.outputs) args.fail("id " + std::to_string(ids[t]) + " has no row");
  }
  return args.finish(args.ok() ? context->kernels->embed_packed(context->pool, out, ids, packed, T) : Status::kOk);
}

}  // namespace nvila
