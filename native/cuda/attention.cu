// Attention within segments, one query (or one key) of one head to a thread, its numbers in registers. Neighbouring threads are neighbouring
// rows of one head, so a key that all of them read is fetched once. Nothing of the size T × S exists.
#include <initializer_list>
#include <stdexcept>

#include "ops.h"

namespace nvila_cuda {

namespace {

// Where the operands of one call lie.
struct Call {
  const float *q, *k, *v;
  const int32_t *offsets_q, *offsets_k;
  int32_t segments;
  int64_t T, S, H, Hkv, D;
  float scale;
  bool causal;
};

struct Segment {
  int64_t first_q, count_q, first_k, count_k;
};

// The segment that row `row` of q (or of k) lies in: the last one that begins at or before it.
NVILA_KERNEL Segment segment_of(const Call& call, const int32_t* offsets, int64_t row) {
  if (!call.offsets_q && !call.offsets_k) return {0, call.T, 0, call.S};
  int32_t low = 0, high = call.segments - 1;
  while (low < high) {
    const int32_t middle = (low + high + 1) / 2;
    if (offsets[middle] <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const int64_t first_q = call.offsets_q ? call.offsets_q[low] : 0, end_q = call.offsets_q ? call.offsets_q[low + 1] : call.T;
  const int64_t first_k = call.offsets_k ? call.offsets_k[low] : 0, end_k = call.offsets_k ? call.offsets_k[low + 1] : call.S;
  return {first_q, end_q - first_q, first_k, end_k - first_k};
}

// Keys of its segment that query number i of it sees, never below 0.
NVILA_KERNEL int64_t keys_seen(const Call& call, const Segment& segment, int64_t i) {
  if (!call.causal) return segment.count_k;
  const int64_t seen = segment.count_k - segment.count_q + i + 1;
  return seen > 0 ? seen : 0;
}

// How many numbers a head has: kSize in registers; kIsExact: as many in memory, in rows that begin at multiples of 16 bytes.
template <int kSize, bool kIsExact>
struct Head {
  static constexpr int kCount = kSize;
};

struct alignas(16) Four {
  float at[4];
};

// f(d, row[d]) for every number of a row.
template <int kSize, typename F>
NVILA_KERNEL void each_of(Head<kSize, true>, const float* row, int64_t, F f) {
#pragma unroll
  for (int d = 0; d < kSize; d += 4) {
    const Four four = *reinterpret_cast<const Four*>(row + d);
#pragma unroll
    for (int i = 0; i < 4; i++) f(d + i, four.at[i]);
  }
}

template <int kSize, typename F>
NVILA_KERNEL void each_of(Head<kSize, false>, const float* row, int64_t D, F f) {
#pragma unroll
  for (int d = 0; d < kSize; d++) {
    if (d < D) f(d, row[d]);
  }
}

template <typename H>
NVILA_KERNEL void load(H head, float* registers, const float* row, int64_t D) {
#pragma unroll
  for (int d = 0; d < H::kCount; d++) registers[d] = 0;
  each_of(head, row, D, [registers] NVILA_DEVICE(int d, float x) { registers[d] = x; });
}

template <typename H>
NVILA_KERNEL void store(H, float* row, const float* registers, float factor, int64_t D) {
#pragma unroll
  for (int d = 0; d < H::kCount; d++) {
    if (d < D) row[d] = registers[d] * factor;
  }
}

template <typename H>
NVILA_KERNEL float dot(H head, const float* registers, const float* row, int64_t D) {
  float sum = 0;
  each_of(head, row, D, [registers, &sum] NVILA_DEVICE(int d, float x) { sum += registers[d] * x; });
  return sum;
}

// registers += factor · row
template <typename H>
NVILA_KERNEL void add_row(H head, float* registers, float factor, const float* row, int64_t D) {
  each_of(head, row, D, [registers, factor] NVILA_DEVICE(int d, float x) { registers[d] += factor * x; });
}

template <typename Sizes>
void forward(Device& device, float* out, const Call& call) {
  device.each(call.T * call.H, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t h = at / call.T, t = at % call.T, D = call.D;
    const int64_t head = h * call.Hkv / call.H;
    const Segment segment = segment_of(call, call.offsets_q ? call.offsets_q : call.offsets_k, t);
    const int64_t seen = keys_seen(call, segment, t - segment.first_q);
    float query[Sizes::kCount], sums[Sizes::kCount] = {};
    load(Sizes{}, query, call.q + (t * call.H + h) * D, D);
    float largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < seen; j++) {
      const int64_t key = ((segment.first_k + j) * call.Hkv + head) * D;
      const float score = call.scale * dot(Sizes{}, query, call.k + key, D);
      if (score > largest) {
        const float shrink = expf(largest - score);
        largest = score;
        total *= shrink;
#pragma unroll
        for (int d = 0; d < Sizes::kCount; d++) sums[d] *= shrink;
      }
      // A row of −∞ alone has the differences NaN, as the definition has.
      const float weight = expf(score - largest);
      total += weight;
      add_row(Sizes{}, sums, weight, call.v + key, D);
    }
    store(Sizes{}, out + (t * call.H + h) * D, sums, seen > 0 ? 1 / total : 0, D);
  });
}

// dq, and for the keys' turn log Σ e^score and dOut · out of every query and head.
template <typename Sizes>
void backward_queries(Device& device, float* dq, float* log_sums, float* offsets, const float* out, const float* d_out, const Call& call) {
  device.each(call.T * call.H, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t h = at / call.T, t = at % call.T, D = call.D;
    const int64_t head = h * call.Hkv / call.H, row = (t * call.H + h) * D;
    const Segment segment = segment_of(call, call.offsets_q ? call.offsets_q : call.offsets_k, t);
    const int64_t seen = keys_seen(call, segment, t - segment.first_q);
    float query[Sizes::kCount], upstream[Sizes::kCount], sums[Sizes::kCount] = {};
    load(Sizes{}, query, call.q + row, D);
    load(Sizes{}, upstream, d_out + row, D);
    float largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < seen; j++) {
      const float score = call.scale * dot(Sizes{}, query, call.k + ((segment.first_k + j) * call.Hkv + head) * D, D);
      if (score > largest) {
        total *= expf(largest - score);
        largest = score;
      }
      total += expf(score - largest);
    }
    const float log_sum = largest + logf(total);
    const float offset = dot(Sizes{}, upstream, out + row, D);
    for (int64_t j = 0; j < seen; j++) {
      const int64_t key = ((segment.first_k + j) * call.Hkv + head) * D;
      const float weight = expf(call.scale * dot(Sizes{}, query, call.k + key, D) - log_sum);
      add_row(Sizes{}, sums, call.scale * weight * (dot(Sizes{}, upstream, call.v + key, D) - offset), call.k + key, D);
    }
    store(Sizes{}, dq + row, sums, 1, D);
    log_sums[at] = log_sum;
    offsets[at] = offset;
  });
}

// dv, or dk: each holds as much in registers as one thread has.
template <typename Sizes, bool kIsValue>
void backward_keys(Device& device, float* target, const float* log_sums, const float* offsets, const float* d_out, const Call& call) {
  device.each(call.S * call.Hkv, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t head = at / call.S, s = at % call.S, D = call.D, row = (s * call.Hkv + head) * D;
    const Segment segment = segment_of(call, call.offsets_k ? call.offsets_k : call.offsets_q, s);
    const int64_t j = s - segment.first_k;
    const int64_t first = call.causal && j > segment.count_k - segment.count_q ? j - (segment.count_k - segment.count_q) : 0;
    float key[Sizes::kCount], value[Sizes::kCount], sums[Sizes::kCount] = {};
    load(Sizes{}, key, call.k + row, D);
    if (!kIsValue) load(Sizes{}, value, call.v + row, D);
    const int64_t first_head = (head * call.H + call.Hkv - 1) / call.Hkv, end_head = ((head + 1) * call.H + call.Hkv - 1) / call.Hkv;
    for (int64_t h = first_head; h < end_head; h++) {
      // Neighbouring keys begin at neighbouring queries: all wait for the first of 32, so that they read the same query at the same time.
      for (int64_t i = first - first % 32; i < segment.count_q; i++) {
        if (i < first) continue;
        const int64_t t = segment.first_q + i, query = (t * call.H + h) * D, known = h * call.T + t;
        const float weight = expf(call.scale * dot(Sizes{}, key, call.q + query, D) - log_sums[known]);
        if (kIsValue) {
          add_row(Sizes{}, sums, weight, d_out + query, D);
        } else {
          const float share = dot(Sizes{}, value, d_out + query, D) - offsets[known];
          add_row(Sizes{}, sums, call.scale * weight * share, call.q + query, D);
        }
      }
    }
    store(Sizes{}, target + row, sums, 1, D);
  });
}

Call call_of(const float* q, const float* k, const float* v, const int32_t* offsets_q, const int32_t* offsets_k, int64_t segments, int64_t T,
             int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale, bool causal) {
  if (D > kMaxHead) throw std::runtime_error("heads of more than 128 numbers");
  return {q, k, v, offsets_q, offsets_k, static_cast<int32_t>(segments), T, S, H, Hkv, D, static_cast<float>(scale), causal};
}

template <typename Sizes>
void backward(Device& device, float* dq, float* dk, float* dv, const float* out, const float* d_out, const Call& call) {
  const int64_t n = call.T * call.H;
  float* log_sums = device.scratch(Device::Scratch::kRows, 2 * n);
  float* offsets = log_sums + n;
  backward_queries<Sizes>(device, dq, log_sums, offsets, out, d_out, call);
  backward_keys<Sizes, true>(device, dv, log_sums, offsets, d_out, call);
  backward_keys<Sizes, false>(device, dk, log_sums, offsets, d_out, call);
}

bool is_aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// Calls `body` with the sizes of the call's heads. Every head of an exact size whose rows all begin at multiples of 16 bytes has a kernel of its own.
template <typename Body>
void with_sizes(int64_t D, std::initializer_list<const float*> operands, Body body) {
  bool is_exact = true;
  for (const float* operand : operands) is_exact = is_exact && is_aligned(operand);
  if (D == 32 && is_exact) {
    body(Head<32, true>{});
  } else if (D == 64 && is_exact) {
    body(Head<64, true>{});
  } else if (D == kMaxHead && is_exact) {
    body(Head<kMaxHead, true>{});
  } else if (D <= 32) {
    body(Head<32, false>{});
  } else if (D <= 64) {
    body(Head<64, false>{});
  } else {
    body(Head<kMaxHead, false>{});
  }
}

}  // namespace

void attention(Device& device, float* out, const float* q, const float* k, const float* v, const int32_t* offsets_q, const int32_t* offsets_k,
               int64_t segments, int64_t T, int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale, bool causal) {
  const Call call = call_of(q, k, v, offsets_q, offsets_k, segments, T, S, H, Hkv, D, scale, causal);
  with_sizes(D, {q, k, v, out}, [&](auto sizes) { forward<decltype(sizes)>(device, out, call); });
}

void attention_backward(Device& device, float* dq, float* dk, float* dv, const float* q, const float* k, const float* v, const float* out,
                        const float* d_out, const int32_t* offsets_q, const int32_t* offsets_k, int64_t segments, int64_t T, int64_t S, int64_t H,
                        int64_t Hkv, int64_t D, double scale, bool causal) {
  const Call call = call_of(q, k, v, offsets_q, offsets_k, segments, T, S, H, Hkv, D, scale, causal);
  with_sizes(D, {q, k, v, out, d_out, dq, dk, dv}, [&](auto sizes) { backward<decltype(sizes)>(device, dq, dk, dv, out, d_out, call); });
}

}  // namespace nvila_cuda
