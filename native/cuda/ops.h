// The operations of src/backend/backend.ts and training-backend.ts on a GPU. All memory is the device's, contiguous and row-major, f32 but for
// ids, positions and offsets (i32). A null target is not wanted; "adds" means that the target holds a sum already. Definitions: the plain
// loops of src/backend/reference.
#pragma once

#include "device.h"

namespace nvila_cuda {

// linear.cu
void linear(Device&, float* out, const float* x, const float* weight, const float* bias, int64_t T, int64_t C, int64_t M);
void linear_backward_input(Device&, float* dx, const float* dy, const float* weight, int64_t T, int64_t C, int64_t M);
void linear_backward_weight(Device&, float* d_weight, float* d_bias, const float* dy, const float* x, int64_t T, int64_t C, int64_t M);
void patch_embed(Device&, float* out, const float* pixels, const float* weight, const float* bias, const float* position, int64_t B, int64_t S,
                 int64_t patch, int64_t C);
void patch_embed_backward(Device&, float* d_weight, float* d_bias, float* d_position, const float* dy, const float* pixels, int64_t B, int64_t S,
                          int64_t patch, int64_t C);
// out[n, 3, S, S] from bytes[n, S, S, 3], each looked up in its channel of table[3, 256].
void pixel_values(Device&, float* out, const uint8_t* bytes, const float* table, int64_t n, int64_t S);
// Adds the column sums of source[T, C] to target[C].
void add_column_sums(Device&, float* target, const float* source, int64_t T, int64_t C);

// norm.cu
void layer_norm(Device&, float* out, const float* x, const float* weight, const float* bias, double eps, int64_t T, int64_t C);
void rms_norm(Device&, float* out, const float* x, const float* weight, double eps, int64_t T, int64_t C);
void layer_norm_backward(Device&, float* dx, float* d_weight, float* d_bias, const float* dy, const float* x, const float* weight, double eps,
                         int64_t T, int64_t C);
void rms_norm_backward(Device&, float* dx, float* d_weight, const float* dy, const float* x, const float* weight, double eps, int64_t T,
                       int64_t C);

// attention.cu: heads of at most kMaxHead numbers. offsets_q, offsets_k: row offsets of `segments` segments, null for one.
constexpr int kMaxHead = 128;
void attention(Device&, float* out, const float* q, const float* k, const float* v, const int32_t* offsets_q, const int32_t* offsets_k,
               int64_t segments, int64_t T, int64_t S, int64_t H, int64_t Hkv, int64_t D, double scale, bool causal);
void attention_backward(Device&, float* dq, float* dk, float* dv, const float* q, const float* k, const float* v, const float* out,
                        const float* d_out, const int32_t* offsets_q, const int32_t* offsets_k, int64_t segments, int64_t T, int64_t S, int64_t H,
                        int64_t Hkv, int64_t D, double scale, bool causal);

// elementwise.cu
void add(Device&, float* out, const float* a, const float* b, int64_t n);
void accumulate(Device&, float* target, const float* source, int64_t n);
void gelu(Device&, float* out, const float* x, bool is_tanh, int64_t n);
void gelu_backward(Device&, float* dx, const float* dy, const float* x, bool is_tanh, int64_t n);
void swiglu(Device&, float* out, const float* gate, const float* up, int64_t n);
void swiglu_backward(Device&, float* d_gate, float* d_up, const float* dy, const float* gate, const float* up, int64_t n);
// sign −1 turns back.
void rope(Device&, float* out, const float* x, const int32_t* positions, double theta, double sign, int64_t T, int64_t H, int64_t D);

// maps.cu
void embedding(Device&, float* out, const int32_t* ids, const float* table, int64_t T, int64_t C);
// Repeated ids are added in any order.
void embedding_backward(Device&, float* d_table, const int32_t* ids, const float* dy, int64_t T, int64_t C);
void scatter_rows(Device&, float* target, const int32_t* rows, const float* source, int64_t T, int64_t C);
void copy_columns(Device&, float* out, int64_t out_width, int64_t out_column, const float* x, int64_t x_width, int64_t x_column, int64_t T,
                  int64_t C);
void space_to_channel(Device&, float* out, const float* x, int64_t B, int64_t s, int64_t C, int64_t k);
void space_to_channel_backward(Device&, float* dx, const float* dy, int64_t B, int64_t s, int64_t C, int64_t k);
// Between tiles[gy·gx, h, w, C] and map[gy·h, gx·w, C].
void stitch_tiles(Device&, float* map, const float* tiles, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C);
void split_tiles(Device&, float* tiles, const float* map, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C);
void area_resize(Device&, float* out, const float* x, int64_t h, int64_t w, int64_t C, int64_t height, int64_t width);
void area_resize_backward(Device&, float* dx, const float* dy, int64_t h, int64_t w, int64_t C, int64_t height, int64_t width);
void pool3d(Device&, float* out, const float* x, int64_t F, int64_t h, int64_t w, int64_t C, int64_t pt, int64_t ph, int64_t pw);
void pool3d_backward(Device&, float* dx, const float* dy, int64_t F, int64_t h, int64_t w, int64_t C, int64_t pt, int64_t ph, int64_t pw);

// learning.cu
void cross_entropy(Device&, float* losses, float* logits, const int32_t* targets, const float* weights, const int32_t* soft_ids, int64_t soft_count,
                   double std, int64_t T, int64_t V);
void sum_of_squares(Device&, float* out, const float* x, int64_t n);
void adamw(Device&, float* parameter, float* m, float* v, const float* gradient, double learning_rate, double beta1, double beta2, double eps,
           double weight_decay, double correction1, double correction2, double gradient_scale, int64_t n);
// One step of Muon (src/train/muon.ts) on `count` matrices [rows, columns]: each is taken, all are made orthogonal at once, each is given back.
// Nothing else of Muon may come in between. rate includes the scale of the matrix's size.
void muon_take(Device&, float* m, const float* gradient, double momentum, double gradient_scale, int64_t at, int64_t rows, int64_t columns,
               int64_t count);
void muon_rounds(Device&, double a, double b, double c, int64_t rounds, int64_t rows, int64_t columns, int64_t count);
void muon_give(Device&, float* parameter, double rate, int64_t at, int64_t rows, int64_t columns, int64_t count);

}  // namespace nvila_cuda
