// The kernels of training: signatures, and the table that holds one instruction set's. As kernels.h: raw pointers and sizes, checked by the
// caller; arrays are row-major and contiguous. "Adds" means that the target already holds a sum. Targets that may be null are not wanted.
#pragma once

#include "kernels.h"

namespace nvila {

// target[n] += source[n]
using AccumulateFn = Status(ThreadPool& pool, float* target, const float* source, int64_t n);

// dx[T, C] = dy[T, M] · weight[M, C]
using LinearBackwardInputFn = Status(ThreadPool& pool, float* dx, const float* dy, Weight weight, int64_t T, int64_t C, int64_t M);

// Adds dy[T, M]ᵀ · x[T, C] to d_weight[M, C] and the columns' sums of dy to d_bias[M]; each may be null.
using LinearBackwardWeightFn = Status(ThreadPool& pool, float* d_weight, float* d_bias, const float* dy, const float* x, int64_t T, int64_t C,
                                      int64_t M);

// Writes dx[T, C], adds to d_weight[C] and d_bias[C]; each may be null.
using LayerNormBackwardFn = Status(ThreadPool& pool, float* dx, float* d_weight, float* d_bias, const float* dy, const float* x, Weight weight,
                                   double eps, int64_t T, int64_t C);
using RmsNormBackwardFn = Status(ThreadPool& pool, float* dx, float* d_weight, const float* dy, const float* x, Weight weight, double eps,
                                 int64_t T, int64_t C);

// Writes dq[T, H, D], dk and dv[S, Hkv, D]; the other arguments are those of AttentionFn, out is what that gave.
using AttentionBackwardFn = Status(ThreadPool& pool, float* dq, float* dk, float* dv, const float* q, const float* k, const float* v,
                                   const float* out, const float* d_out, const int32_t* segments_q, const int32_t* segments_k,
                                   int64_t segments, int64_t T, int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale, bool causal);

// dx[n] = dy[n] · gelu'(x[n])
using GeluTanhBackwardFn = Status(ThreadPool& pool, float* dx, const float* dy, const float* x, int64_t n);
using GeluErfBackwardFn = Status(ThreadPool& pool, float* dx, const float* dy, const float* x, int64_t n);

// d_gate[n], d_up[n] of silu(gate) · up
using SwigluBackwardFn = Status(ThreadPool& pool, float* d_gate, float* d_up, const float* dy, const float* gate, const float* up, int64_t n);

// Adds dy[t] to row ids[t] of d_table[V, C]; ids are in 0 … V − 1.
using EmbeddingBackwardFn = Status(ThreadPool& pool, float* d_table, const int32_t* ids, const float* dy, int64_t T, int64_t C);

// Adds to d_weight[C, 3, patch, patch], d_bias[C], d_position[P, C] from dy[B · P, C], pixels[B, 3, S, S].
using PatchEmbedBackwardFn = Status(ThreadPool& pool, float* d_weight, float* d_bias, float* d_position, const float* dy, const float* pixels,
                                    int64_t B, int64_t S, int64_t patch, int64_t C);

// losses[T] of targets[T] (negative: none, loss 0); logits[T, V] become weights[t] · (softmax − target). soft_ids[soft]: ids among which a
// target is spread by a normal distribution with the deviation std; soft may be 0.
using CrossEntropyFn = Status(ThreadPool& pool, float* losses, float* logits, const int32_t* targets, const float* weights,
                              const int32_t* soft_ids, int64_t soft, double std, int64_t T, int64_t V);

// *sum = Σ x², in f64
using SumOfSquaresFn = Status(ThreadPool& pool, const float* x, int64_t n, double* sum);

// One step of AdamW. The corrections are 1 − β^step.
struct AdamWStep {
  double learning_rate, beta1, beta2, eps, weight_decay, correction1, correction2, gradient_scale;
};
using AdamWFn = Status(ThreadPool& pool, float* parameter, float* m, float* v, const float* gradient, AdamWStep step, int64_t n);

// X(Type, name): name is the function, TypeFn its signature.
#define NVILA_TRAINING_KERNELS(X)                  \
  X(Accumulate, accumulate)                        \
  X(AdamW, adamw)                                  \
  X(AttentionBackward, attention_backward)         \
  X(CrossEntropy, cross_entropy)                   \
  X(EmbeddingBackward, embedding_backward)         \
  X(GeluErfBackward, gelu_erf_backward)            \
  X(GeluTanhBackward, gelu_tanh_backward)          \
  X(LayerNormBackward, layer_norm_backward)        \
  X(LinearBackwardInput, linear_backward_input)    \
  X(LinearBackwardWeight, linear_backward_weight)  \
  X(PatchEmbedBackward, patch_embed_backward)      \
  X(RmsNormBackward, rms_norm_backward)            \
  X(SumOfSquares, sum_of_squares)                  \
  X(SwigluBackward, swiglu_backward)

struct TrainingKernels {
#define NVILA_FIELD(Type, name) Type##Fn* name;
  NVILA_TRAINING_KERNELS(NVILA_FIELD)
#undef NVILA_FIELD
};

// The training kernels of instruction set `isa`, one that find_kernels gave.
const TrainingKernels* find_training_kernels(const char* isa);

#if defined(NVILA_ISA)
namespace NVILA_ISA {
#define NVILA_DECLARE(Type, name) Type##Fn name;
NVILA_TRAINING_KERNELS(NVILA_DECLARE)
#undef NVILA_DECLARE
extern const TrainingKernels training_kernels;
}  // namespace NVILA_ISA
#endif

}  // namespace nvila
