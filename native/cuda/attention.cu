// Attention within segments. A query (or a key) of one head belongs to a few neighbouring lanes of a warp, 16 of its numbers in the registers of
// each; neighbouring groups are neighbouring rows of one head, so that a key that all of them read is fetched once. Nothing of the size
// T × S exists.
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
  int32_t first_q, count_q, first_k, count_k;
};

// The segment that row `row` of q (or of k) lies in: the last one that begins at or before it.
NVILA_KERNEL Segment segment_of(const Call& call, const int32_t* offsets, int32_t row) {
  const int32_t T = static_cast<int32_t>(call.T), S = static_cast<int32_t>(call.S);
  if (!call.offsets_q && !call.offsets_k) return {0, T, 0, S};
  int32_t low = 0, high = call.segments - 1;
  while (low < high) {
    const int32_t middle = (low + high + 1) / 2;
    if (offsets[middle] <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const int32_t first_q = call.offsets_q ? call.offsets_q[low] : 0, end_q = call.offsets_q ? call.offsets_q[low + 1] : T;
  const int32_t first_k = call.offsets_k ? call.offsets_k[low] : 0, end_k = call.offsets_k ? call.offsets_k[low + 1] : S;
  return {first_q, end_q - first_q, first_k, end_k - first_k};
}

// Keys of its segment that query number i of it sees, never below 0.
NVILA_KERNEL int32_t keys_seen(const Call& call, const Segment& segment, int32_t i) {
  if (!call.causal) return segment.count_k;
  const int32_t seen = segment.count_k - segment.count_q + i + 1;
  return seen > 0 ? seen : 0;
}

// Row number i of `count` rows from `first` on; the nearest of them for one beyond, so that every lane has something to read.
NVILA_KERNEL int32_t row_of(int32_t first, int32_t count, int32_t i) {
  const int32_t row = first + (i < count ? i : count - 1);
  return row > 0 ? row : 0;
}

// How the numbers of a head lie in registers: up to kSize of them; kIsExact: as many in memory, in rows that begin at multiples of 16 bytes.
template <int kSize, bool kIsExact>
struct Head {
  static constexpr int kLanes = kSize / 16 < kWarp ? kSize / 16 : kWarp;
  static constexpr int kCount = kSize / kLanes;  // numbers of a lane: fours of neighbours, a four of every lane in turn
};

// What a lane works on: part `part` of item `at`. Lanes behind the last item help with it and keep nothing.
struct Item {
  int32_t at;
  int part;
  bool is_real;
};

template <typename H>
NVILA_KERNEL Item item_of(H, uint32_t warp, int lane, int64_t count) {
  const int64_t at = static_cast<int64_t>(warp) * (kWarp / H::kLanes) + lane / H::kLanes;
  return {static_cast<int32_t>(at < count ? at : count - 1), lane % H::kLanes, at < count};
}

template <typename H>
int64_t warps_for(H, int64_t count) {
  constexpr int64_t kItems = kWarp / H::kLanes;
  return (count + kItems - 1) / kItems;
}

struct alignas(16) Four {
  float at[4];
};

// f(i, row[…]) for every number of a row that belongs to this part.
template <int kSize, bool kIsExact, typename F>
NVILA_KERNEL void each_of(Head<kSize, kIsExact>, int part, const float* row, int64_t D, F f) {
  using H = Head<kSize, kIsExact>;
#pragma unroll
  for (int i = 0; i < H::kCount; i += 4) {
    const int d = i * H::kLanes + 4 * part;
    if constexpr (kIsExact) {
      const Four four = *reinterpret_cast<const Four*>(row + d);
#pragma unroll
      for (int n = 0; n < 4; n++) f(i + n, four.at[n]);
    } else {
#pragma unroll
      for (int n = 0; n < 4; n++) {
        if (d + n < D) f(i + n, row[d + n]);
      }
    }
  }
}

template <typename H>
NVILA_KERNEL void load(H head, float* registers, int part, const float* row, int64_t D) {
#pragma unroll
  for (int i = 0; i < H::kCount; i++) registers[i] = 0;
  each_of(head, part, row, D, [registers] NVILA_DEVICE(int i, float x) { registers[i] = x; });
}

template <typename H>
NVILA_KERNEL void store(H, float* row, int part, const float* registers, float factor, int64_t D) {
#pragma unroll
  for (int i = 0; i < H::kCount; i++) {
    const int d = i / 4 * 4 * H::kLanes + 4 * part + i % 4;
    if (d < D) row[d] = registers[i] * factor;
  }
}

// Over this part alone.
template <typename Sum = float, typename H>
NVILA_KERNEL Sum dot(H head, int part, const float* registers, const float* row, int64_t D) {
  Sum sum = 0;
  each_of(head, part, row, D, [registers, &sum] NVILA_DEVICE(int i, float x) { sum += static_cast<Sum>(registers[i]) * x; });
  return sum;
}

// registers += factor · row
template <typename H>
NVILA_KERNEL void add_row(H head, int part, float* registers, float factor, const float* row, int64_t D) {
  each_of(head, part, row, D, [registers, factor] NVILA_DEVICE(int i, float x) { registers[i] += factor * x; });
}

// Keys (or queries) that are read at a time, so that no lane waits for one sum after the other.
constexpr int kKeysAtOnce = 4;
constexpr int kQueriesAtOnce = 2;

// One query of one head and the keys that it sees.
struct Query {
  int64_t row;        // of q and out, in numbers
  int64_t head;       // of its keys
  Segment segment;
  int32_t seen;       // 0 for lanes behind the last query
};

NVILA_KERNEL Query query_of(const Call& call, const Item& item) {
  const int32_t h = item.at / static_cast<int32_t>(call.T), t = item.at % static_cast<int32_t>(call.T);
  const Segment segment = segment_of(call, call.offsets_q ? call.offsets_q : call.offsets_k, t);
  const int32_t seen = item.is_real ? keys_seen(call, segment, t - segment.first_q) : 0;
  return {(t * call.H + h) * call.D, h * call.Hkv / call.H, segment, seen};
}

// Where key number j of the query's segment begins in k and v.
NVILA_KERNEL int64_t key_of(const Call& call, const Query& query, int32_t j) {
  return (row_of(query.segment.first_k, query.segment.count_k, j) * call.Hkv + query.head) * call.D;
}

// scores[a] = scale · q · k of the keys from j on.
template <typename H>
NVILA_KERNEL void scores_of(H head, const Call& call, const Query& query, int part, const float* q, int32_t j, float (&scores)[kKeysAtOnce]) {
#pragma unroll
  for (int a = 0; a < kKeysAtOnce; a++) scores[a] = dot(head, part, q, call.k + key_of(call, query, j + a), call.D);
#pragma unroll
  for (int a = 0; a < kKeysAtOnce; a++) scores[a] = call.scale * warp_sum<H::kLanes>(scores[a]);
}

// Takes `scores` of the keys from j on into the largest score so far and the sum of e^(score − largest); returns what that sum shrank by.
NVILA_KERNEL float take_scores(const float (&scores)[kKeysAtOnce], int32_t j, int32_t seen, float& largest, float& total) {
  float top = largest;
#pragma unroll
  for (int a = 0; a < kKeysAtOnce; a++) {
    if (j + a < seen && scores[a] > top) top = scores[a];
  }
  // A row of −∞ alone has the differences NaN, as the definition has.
  const float shrink = expf(largest - top);
  largest = top;
  total *= shrink;
#pragma unroll
  for (int a = 0; a < kKeysAtOnce; a++) {
    if (j + a < seen) total += expf(scores[a] - top);
  }
  return shrink;
}

template <typename H>
void forward(Device& device, float* out, const Call& call) {
  const int64_t count = call.T * call.H;
  device.rows(warps_for(H{}, count), [=] NVILA_DEVICE(uint32_t warp, int lane) {
    const Item item = item_of(H{}, warp, lane, count);
    const Query query = query_of(call, item);
    float q[H::kCount], sums[H::kCount] = {};
    load(H{}, q, item.part, call.q + query.row, call.D);
    float largest = -INFINITY, total = 0;
    const int32_t end = warp_max(query.seen);
    for (int32_t j = 0; j < end; j += kKeysAtOnce) {
      float scores[kKeysAtOnce];
      scores_of(H{}, call, query, item.part, q, j, scores);
      if (j >= query.seen) continue;
      const float shrink = take_scores(scores, j, query.seen, largest, total);
#pragma unroll
      for (int i = 0; i < H::kCount; i++) sums[i] *= shrink;
#pragma unroll
      for (int a = 0; a < kKeysAtOnce; a++) {
        if (j + a < query.seen) add_row(H{}, item.part, sums, expf(scores[a] - largest), call.v + key_of(call, query, j + a), call.D);
      }
    }
    if (item.is_real) store(H{}, out + query.row, item.part, sums, query.seen > 0 ? 1 / total : 0, call.D);
  });
}

// What a query of a head leaves for the keys' turn: a score's weight is e^(score − largest) · share.
struct Known {
  float largest, share;
  float offset;  // dOut · out
};

NVILA_KERNEL float weight_of(const Known& known, float score) { return expf(score - known.largest) * known.share; }

// dq, and what the keys' turn needs of every query and head.
template <typename H>
void backward_queries(Device& device, float* dq, Known* known, const float* out, const float* d_out, const Call& call) {
  const int64_t count = call.T * call.H;
  device.rows(warps_for(H{}, count), [=] NVILA_DEVICE(uint32_t warp, int lane) {
    const Item item = item_of(H{}, warp, lane, count);
    const Query query = query_of(call, item);
    float q[H::kCount], upstream[H::kCount], sums[H::kCount] = {};
    load(H{}, q, item.part, call.q + query.row, call.D);
    load(H{}, upstream, item.part, d_out + query.row, call.D);
    float largest = -INFINITY, total = 0;
    const int32_t end = warp_max(query.seen);
    for (int32_t j = 0; j < end; j += kKeysAtOnce) {
      float scores[kKeysAtOnce];
      scores_of(H{}, call, query, item.part, q, j, scores);
      if (j < query.seen) take_scores(scores, j, query.seen, largest, total);
    }
    // In f64: an error of the offset does not cancel over the keys.
    const double offset = warp_sum<H::kLanes>(dot<double>(H{}, item.part, upstream, out + query.row, call.D));
    const Known mine = {largest, 1 / total, static_cast<float>(offset)};
    for (int32_t j = 0; j < end; j += kKeysAtOnce) {
      float scores[kKeysAtOnce], shares[kKeysAtOnce];
      scores_of(H{}, call, query, item.part, q, j, scores);
#pragma unroll
      for (int a = 0; a < kKeysAtOnce; a++) shares[a] = dot(H{}, item.part, upstream, call.v + key_of(call, query, j + a), call.D);
#pragma unroll
      for (int a = 0; a < kKeysAtOnce; a++) shares[a] = warp_sum<H::kLanes>(shares[a]) - mine.offset;
#pragma unroll
      for (int a = 0; a < kKeysAtOnce; a++) {
        if (j + a >= query.seen) continue;
        const float factor = call.scale * weight_of(mine, scores[a]) * shares[a];
        add_row(H{}, item.part, sums, factor, call.k + key_of(call, query, j + a), call.D);
      }
    }
    if (!item.is_real) return;
    store(H{}, dq + query.row, item.part, sums, 1, call.D);
    if (item.part == 0) known[item.at] = mine;
  });
}

template <typename H>
void backward_keys(Device& device, float* dk, float* dv, const Known* known, const float* d_out, const Call& call) {
  const int64_t count = call.S * call.Hkv;
  device.rows(warps_for(H{}, count), [=] NVILA_DEVICE(uint32_t warp, int lane) {
    const Item item = item_of(H{}, warp, lane, count);
    const int32_t head = item.at / static_cast<int32_t>(call.S), s = item.at % static_cast<int32_t>(call.S);
    const int64_t row = (s * call.Hkv + head) * call.D;
    const Segment segment = segment_of(call, call.offsets_k ? call.offsets_k : call.offsets_q, s);
    // Queries first … count_q − 1 of the segment see this key.
    const int32_t hidden = s - segment.first_k - (segment.count_k - segment.count_q), first = call.causal && hidden > 0 ? hidden : 0;
    float k[H::kCount], v[H::kCount], k_sums[H::kCount] = {}, v_sums[H::kCount] = {};
    load(H{}, k, item.part, call.k + row, call.D);
    load(H{}, v, item.part, call.v + row, call.D);
    const int64_t first_head = (head * call.H + call.Hkv - 1) / call.Hkv, heads = ((head + 1) * call.H + call.Hkv - 1) / call.Hkv - first_head;
    // All lanes of a warp take the same turns; who has nothing to do in one keeps nothing of it.
    const int32_t begin = -warp_max(-first), end = warp_max(item.is_real ? segment.count_q : 0);
    const int32_t turns = warp_max(static_cast<int32_t>(heads));
    for (int32_t turn = 0; turn < turns; turn++) {
      const int64_t h = first_head + (turn < heads ? turn : 0);
      for (int32_t i = begin; i < end; i += kQueriesAtOnce) {
        float scores[kQueriesAtOnce], shares[kQueriesAtOnce];
        int64_t rows[kQueriesAtOnce], queries[kQueriesAtOnce];
#pragma unroll
        for (int a = 0; a < kQueriesAtOnce; a++) {
          const int32_t t = row_of(segment.first_q, segment.count_q, i + a);
          rows[a] = (t * call.H + h) * call.D;
          queries[a] = h * call.T + t;
          scores[a] = dot(H{}, item.part, k, call.q + rows[a], call.D);
          shares[a] = dot(H{}, item.part, v, d_out + rows[a], call.D);
        }
#pragma unroll
        for (int a = 0; a < kQueriesAtOnce; a++) {
          scores[a] = warp_sum<H::kLanes>(scores[a]);
          shares[a] = warp_sum<H::kLanes>(shares[a]);
        }
#pragma unroll
        for (int a = 0; a < kQueriesAtOnce; a++) {
          if (turn >= heads || i + a < first || i + a >= segment.count_q) continue;
          const Known query = known[queries[a]];
          const float weight = weight_of(query, call.scale * scores[a]);
          add_row(H{}, item.part, v_sums, weight, d_out + rows[a], call.D);
          add_row(H{}, item.part, k_sums, call.scale * weight * (shares[a] - query.offset), call.q + rows[a], call.D);
        }
      }
    }
    if (!item.is_real) return;
    store(H{}, dk + row, item.part, k_sums, 1, call.D);
    store(H{}, dv + row, item.part, v_sums, 1, call.D);
  });
}

Call call_of(const float* q, const float* k, const float* v, const int32_t* offsets_q, const int32_t* offsets_k, int64_t segments, int64_t T,
             int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale, bool causal) {
  if (D > kMaxHead) throw std::runtime_error("heads of more than 128 numbers");
  return {q, k, v, offsets_q, offsets_k, static_cast<int32_t>(segments), T, S, H, Hkv, D, static_cast<float>(scale), causal};
}

template <typename H>
void backward(Device& device, float* dq, float* dk, float* dv, const float* out, const float* d_out, const Call& call) {
  constexpr int64_t kFloats = sizeof(Known) / sizeof(float);
  Known* known = reinterpret_cast<Known*>(device.scratch(Device::Scratch::kRows, kFloats * call.T * call.H));
  backward_queries<H>(device, dq, known, out, d_out, call);
  backward_keys<H>(device, dk, dv, known, d_out, call);
}

bool is_aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// Calls `body` with the head that the call's heads fit into.
template <typename Body>
void with_head(int64_t D, std::initializer_list<const float*> operands, Body body) {
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
  with_head(D, {q, k, v, out}, [&](auto head) { forward<decltype(head)>(device, out, call); });
}

void attention_backward(Device& device, float* dq, float* dk, float* dv, const float* q, const float* k, const float* v, const float* out,
                        const float* d_out, const int32_t* offsets_q, const int32_t* offsets_k, int64_t segments, int64_t T, int64_t S, int64_t H,
                        int64_t Hkv, int64_t D, double scale, bool causal) {
  const Call call = call_of(q, k, v, offsets_q, offsets_k, segments, T, S, H, Hkv, D, scale, causal);
  with_head(D, {q, k, v, out, d_out, dq, dk, dv}, [&](auto head) { backward<decltype(head)>(device, dq, dk, dv, out, d_out, call); });
}

}  // namespace nvila_cuda
