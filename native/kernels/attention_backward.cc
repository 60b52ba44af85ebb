// Gradients of attention. A task is one key head of one segment; it takes its rows (query, head) in blocks past all the keys they see:
//   P = softmax(scale · Q Kᵀ), made again;  dS = scale · P ∘ (dO Vᵀ − Σ_d dO O);  dQ = dS K;  dV += Pᵀ dO;  dK += dSᵀ Q
// Five small products per block of rows. P and dS exist for one block of rows only, so memory grows with T, not with T².
// Each sum runs in one fixed order and one thread, so the bits do not depend on the threads.
#include "attention.h"
#include "backward.h"
#include "exp2.h"
#include "row_count.h"

namespace nvila {
namespace NVILA_ISA {

namespace {

constexpr int kVectors = F32::width == 1 ? 4 : 2;  // of a tile's row
constexpr int kWidth = kVectors * F32::width;      // columns of a tile
constexpr int kTile = F32::width == 1 ? 4 : F32::width == 8 ? 6 : 12;  // rows of a tile
constexpr int64_t kBlockBytes = int64_t{128} << 10;  // of P, as of dS

NVILA_INLINE int64_t padded(int64_t n) { return ceil_div(n, kWidth) * kWidth; }

// A left factor a[row · row_step + k · depth_step], and a right one in panels of kWidth columns: b[panel · panel_step + k · depth_step + m].
struct Left {
  const float* data;
  int64_t row_step, depth_step;
};
struct Right {
  const float* data;
  int64_t panel_step, depth_step;
};

template <int R>
NVILA_INLINE void product_tile(float* out, int64_t stride, Left a, const float* b, int64_t b_step, int64_t depth, bool adds) {
  F32 acc[R][kVectors];
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < kVectors; v++) acc[r][v] = adds ? load(out + r * stride + v * F32::width) : zero();
  }
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; k++) {
    F32 row[kVectors];
    for (int v = 0; v < kVectors; v++) row[v] = load(b + k * b_step + v * F32::width);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
      const F32 value = splat(a.data[r * a.row_step + k * a.depth_step]);
      for (int v = 0; v < kVectors; v++) acc[r][v] = fma(value, row[v], acc[r][v]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < kVectors; v++) store(out + r * stride + v * F32::width, acc[r][v]);
  }
}

// out[rows][panels · kWidth] (+)= a[rows][depth] · b[depth][panels · kWidth]
void product(float* out, int64_t stride, Left a, Right b, int64_t rows, int64_t panels, int64_t depth, bool adds) {
  for (int64_t panel = 0; panel < panels; panel++) {
    const float* right = b.data + panel * b.panel_step;
    float* target = out + panel * kWidth;
    for (int64_t r = 0; r < rows; r += kTile) {
      const Left left = {a.data + r * a.row_step, a.row_step, a.depth_step};
      float* at = target + r * stride;
      with_rows<kTile>(smaller(kTile, rows - r), [&](auto count) {
        product_tile<decltype(count)::count>(at, stride, left, right, b.depth_step, depth, adds);
      });
    }
  }
}

// target[0, width) = source[0, n), then zeros.
NVILA_INLINE void copy_padded(float* target, const float* source, int64_t n, int64_t width) {
  int64_t i = 0;
  for (; i + F32::width <= n; i += F32::width) store(target + i, load(source + i));
  for (; i < width; i++) target[i] = i < n ? source[i] : 0.0f;
}

NVILA_INLINE void clear(float* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = 0.0f;
}

// panels[S / kWidth][D][kWidth] from x[S][stride]
void turn(float* panels, const float* x, int64_t stride, int64_t S, int64_t D) {
  for (int64_t s = 0; s < padded(S); s++) {
    float* target = panels + s / kWidth * D * kWidth + s % kWidth;
    for (int64_t d = 0; d < D; d++) target[d * kWidth] = s < S ? x[s * stride + d] : 0.0f;
  }
}

// scores[0, seen) become their softmax, [seen, width) zeros. factor = scale · log2(e).
void softmax(float* scores, int64_t seen, int64_t width, float factor) {
  F32 most = splat(-__builtin_inff());
  for (int64_t j = seen; j < width; j++) scores[j] = -__builtin_inff();
  for (int64_t j = 0; j < width; j += F32::width) most = max(load(scores + j) * splat(factor), most);
  const F32 shift = splat(max_lanes(most));
  F32 sum = zero();
  for (int64_t j = 0; j < width; j += F32::width) {
    const F32 e = exp2(load(scores + j) * splat(factor) - shift);
    store(scores + j, e);
    sum = sum + e;
  }
  const F32 total = splat(1.0f / sum_lanes(sum));
  for (int64_t j = 0; j < width; j += F32::width) store(scores + j, load(scores + j) * total);
  for (int64_t j = seen; j < width; j++) scores[j] = 0.0f;
}

struct Problem {
  Segment segment;  // q, k, v, out as forward
  float* dq;
  float* dk;
  float* dv;
  const float* d_out;
  float scale;
};

int64_t block_rows(int64_t S) { return larger(2, smaller(16, kBlockBytes / (larger(1, padded(S)) * 4 * kTile))) * kTile; }

// Floats of a task's working memory.
int64_t task_size(int64_t S, int64_t D) {
  const int64_t Sp = padded(S), Dp = padded(D), rows = block_rows(S);
  return Sp * (2 * D + 3 * Dp) + rows * (3 * Dp + 2 * Sp);
}

void head_backward(const Problem& problem, int64_t head, float* memory) {
  const Segment& segment = problem.segment;
  const int64_t D = segment.D, S = segment.Tk, Sp = padded(S), Dp = padded(D), key_stride = segment.Hkv * D;
  const int64_t rows = segment.rows(), most = block_rows(S);
  float* keys_turned = memory;
  float* values_turned = keys_turned + Sp * D;
  float* keys = values_turned + Sp * D;
  float* d_keys = keys + Sp * Dp;
  float* d_values = d_keys + Sp * Dp;
  float* queries = d_values + Sp * Dp;
  float* upstream = queries + most * Dp;
  float* d_queries = upstream + most * Dp;
  float* weights = d_queries + most * Dp;
  float* d_scores = weights + most * Sp;
  turn(keys_turned, segment.k + head * D, key_stride, S, D);
  turn(values_turned, segment.v + head * D, key_stride, S, D);
  for (int64_t s = 0; s < S; s++) copy_padded(keys + s * Dp, segment.k + head * D + s * key_stride, D, Dp);
  clear(d_keys, 2 * Sp * Dp);
  const float factor = static_cast<float>(static_cast<double>(problem.scale) * kLog2E);

  for (int64_t first = 0; first < rows; first += most) {
    const int64_t count = smaller(most, rows - first), seen = segment.seen(first + count - 1), panels = ceil_div(seen, kWidth);
    for (int64_t r = 0; r < count; r++) {
      copy_padded(queries + r * Dp, segment.q + segment.offset(head, first + r), D, Dp);
      copy_padded(upstream + r * Dp, problem.d_out + segment.offset(head, first + r), D, Dp);
    }
    product(weights, Sp, {queries, Dp, 1}, {keys_turned, D * kWidth, kWidth}, count, panels, D, false);
    product(d_scores, Sp, {upstream, Dp, 1}, {values_turned, D * kWidth, kWidth}, count, panels, D, false);
    for (int64_t r = 0; r < count; r++) {
      float* p = weights + r * Sp;
      float* ds = d_scores + r * Sp;
      const int64_t own = segment.seen(first + r);
      if (own == 0) {
        clear(p, panels * kWidth);
        clear(ds, panels * kWidth);
        continue;
      }
      softmax(p, own, panels * kWidth, factor);
      const float* result = segment.out + segment.offset(head, first + r);
      F32 dots = zero();
      for (int64_t d = 0; d < D; d += F32::width) {
        const int lanes = static_cast<int>(smaller(F32::width, D - d));
        dots = fma(load_first(upstream + r * Dp + d, lanes), load_first(result + d, lanes), dots);
      }
      const F32 dot = splat(sum_lanes(dots)), scale = splat(problem.scale);
      for (int64_t j = 0; j < panels * kWidth; j += F32::width) store(ds + j, (load(ds + j) - dot) * load(p + j) * scale);
    }
    product(d_queries, Dp, {d_scores, Sp, 1}, {keys, kWidth, Dp}, count, Dp / kWidth, seen, false);
    product(d_values, Dp, {weights, 1, Sp}, {upstream, kWidth, Dp}, seen, Dp / kWidth, count, true);
    product(d_keys, Dp, {d_scores, 1, Sp}, {queries, kWidth, Dp}, seen, Dp / kWidth, count, true);
    for (int64_t r = 0; r < count; r++) copy_padded(problem.dq + segment.offset(head, first + r), d_queries + r * Dp, D, D);
  }
  for (int64_t s = 0; s < S; s++) {
    copy_padded(problem.dk + head * D + s * key_stride, d_keys + s * Dp, D, D);
    copy_padded(problem.dv + head * D + s * key_stride, d_values + s * Dp, D, D);
  }
}

}  // namespace

Status attention_backward(ThreadPool& pool, float* dq, float* dk, float* dv, const float* q, const float* k, const float* v, const float* out,
                          const float* d_out, const int32_t* segments_q, const int32_t* segments_k, int64_t segments, int64_t T, int64_t S,
                          int64_t H, int64_t Hkv, int64_t D, double scale, bool causal) {
  if (D == 0 || H == 0) return Status::kOk;
  const auto start_q = [&](int64_t i) { return segments_q ? static_cast<int64_t>(segments_q[i]) : i * T; };
  const auto start_k = [&](int64_t i) { return segments_k ? static_cast<int64_t>(segments_k[i]) : i * S; };
  // A shorter segment may need more than a longer one: its blocks have more rows.
  int64_t most = 0;
  for (int64_t i = 0; i < segments; i++) most = larger(most, task_size(start_k(i + 1) - start_k(i), D));
  for (int thread = 0; thread < pool.threads(); thread++) {
    if (!pool.scratch(thread, static_cast<size_t>(most) * sizeof(float))) return Status::kOutOfMemory;
  }
  pool.parallel_for(segments * Hkv, 1, [&](int64_t task, int64_t, int thread) {
    const int64_t i = task / Hkv, q0 = start_q(i), k0 = start_k(i);
    Problem problem = {segment_of(H, Hkv, D, scale, causal), dq + q0 * H * D, dk + k0 * Hkv * D, dv + k0 * Hkv * D, d_out + q0 * H * D,
                       static_cast<float>(scale)};
    problem.segment.q = q + q0 * H * D;
    problem.segment.k = k + k0 * Hkv * D;
    problem.segment.v = v + k0 * Hkv * D;
    problem.segment.out = const_cast<float*>(out) + q0 * H * D;
    problem.segment.Tq = start_q(i + 1) - q0;
    problem.segment.Tk = start_k(i + 1) - k0;
    head_backward(problem, task % Hkv, static_cast<float*>(pool.scratch(thread, 0)));
  });
  return Status::kOk;
}

}  // namespace NVILA_ISA
}  // namespace nvila
