// Moves and averages: rows of tables, columns, the places of a map. Every thread writes one element and gathers what belongs there, so that
// sums have one order; only repeated ids of a table are added by whoever comes.
#include "ops.h"

namespace nvila_cuda {

void embedding(Device& device, float* out, const int32_t* ids, const float* table, int64_t T, int64_t C) {
  const uint32_t width = static_cast<uint32_t>(C);
  device.each(T * C, [=] NVILA_DEVICE(uint32_t i) { out[i] = table[static_cast<size_t>(ids[i / width]) * width + i % width]; });
}

void embedding_backward(Device& device, float* d_table, const int32_t* ids, const float* dy, int64_t T, int64_t C) {
  const uint32_t width = static_cast<uint32_t>(C);
  device.each(T * C, [=] NVILA_DEVICE(uint32_t i) { atomic_add(d_table + static_cast<size_t>(ids[i / width]) * width + i % width, dy[i]); });
}

void scatter_rows(Device& device, float* target, const int32_t* rows, const float* source, int64_t T, int64_t C) {
  const uint32_t width = static_cast<uint32_t>(C);
  device.each(T * C, [=] NVILA_DEVICE(uint32_t i) { target[static_cast<size_t>(rows[i / width]) * width + i % width] = source[i]; });
}

void copy_columns(Device& device, float* out, int64_t out_width, int64_t out_column, const float* x, int64_t x_width, int64_t x_column, int64_t T,
                  int64_t C) {
  device.copy_rows(out + out_column, out_width * sizeof(float), x + x_column, x_width * sizeof(float), C * sizeof(float), T);
}

void space_to_channel(Device& device, float* out, const float* x, int64_t B, int64_t s, int64_t C, int64_t k) {
  const int64_t t = (s + k - 1) / k;
  device.each(B * t * t * k * k * C, [=] NVILA_DEVICE(uint32_t at) {
    int64_t rest = at;
    const int64_t c = rest % C, dx = rest / C % k, dy = rest / (C * k) % k;
    rest /= C * k * k;
    const int64_t row = rest / t % t * k + dy, column = rest % t * k + dx, b = rest / (t * t);
    out[at] = row < s && column < s ? x[((b * s + row) * s + column) * C + c] : 0;
  });
}

void space_to_channel_backward(Device& device, float* dx, const float* dy, int64_t B, int64_t s, int64_t C, int64_t k) {
  const int64_t t = (s + k - 1) / k;
  device.each(B * s * s * C, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t c = at % C, column = at / C % s, row = at / (C * s) % s, b = at / (C * s * s);
    const int64_t place = (b * t + row / k) * t + column / k;
    dx[at] = dy[(place * k * k + row % k * k + column % k) * C + c];
  });
}

namespace {

// The element of the tiles where element `at` of their map [gy·h, gx·w, C] lies.
NVILA_KERNEL int64_t in_tiles(uint32_t at, int64_t gx, int64_t h, int64_t w, int64_t C) {
  const int64_t c = at % C, column = at / C % (gx * w), row = at / (C * gx * w);
  const int64_t tile = row / h * gx + column / w;
  return ((tile * h + row % h) * w + column % w) * C + c;
}

// Rows or columns [first, end) that place `i` of `count` averages of `size`.
NVILA_KERNEL int64_t window_start(int64_t i, int64_t size, int64_t count) { return i * size / count; }
NVILA_KERNEL int64_t window_end(int64_t i, int64_t size, int64_t count) { return ((i + 1) * size + count - 1) / count; }

}  // namespace

void stitch_tiles(Device& device, float* map, const float* tiles, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C) {
  device.each(gy * h * gx * w * C, [=] NVILA_DEVICE(uint32_t at) { map[at] = tiles[in_tiles(at, gx, h, w, C)]; });
}

void split_tiles(Device& device, float* tiles, const float* map, int64_t gy, int64_t gx, int64_t h, int64_t w, int64_t C) {
  device.each(gy * h * gx * w * C, [=] NVILA_DEVICE(uint32_t at) { tiles[in_tiles(at, gx, h, w, C)] = map[at]; });
}

void area_resize(Device& device, float* out, const float* x, int64_t h, int64_t w, int64_t C, int64_t height, int64_t width) {
  device.each(height * width * C, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t c = at % C, j = at / C % width, i = at / (C * width);
    const int64_t top = window_start(i, h, height), bottom = window_end(i, h, height);
    const int64_t left = window_start(j, w, width), right = window_end(j, w, width);
    float sum = 0;
    for (int64_t row = top; row < bottom; row++) {
      for (int64_t column = left; column < right; column++) sum += x[(row * w + column) * C + c];
    }
    out[at] = sum / static_cast<float>((bottom - top) * (right - left));
  });
}

void area_resize_backward(Device& device, float* dx, const float* dy, int64_t h, int64_t w, int64_t C, int64_t height, int64_t width) {
  device.each(h * w * C, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t c = at % C, column = at / C % w, row = at / (C * w);
    // Windows begin and end in order: those that hold a row are neighbours, about row · height / h.
    const int64_t first_i = row * height / h > 0 ? row * height / h - 1 : 0, first_j = column * width / w > 0 ? column * width / w - 1 : 0;
    float sum = 0;
    for (int64_t i = first_i; i < height && window_start(i, h, height) <= row; i++) {
      const int64_t top = window_start(i, h, height), bottom = window_end(i, h, height);
      if (row >= bottom) continue;
      for (int64_t j = first_j; j < width && window_start(j, w, width) <= column; j++) {
        const int64_t left = window_start(j, w, width), right = window_end(j, w, width);
        if (column < right) sum += dy[(i * width + j) * C + c] / static_cast<float>((bottom - top) * (right - left));
      }
    }
    dx[at] = sum;
  });
}

void pool3d(Device& device, float* out, const float* x, int64_t F, int64_t h, int64_t w, int64_t C, int64_t pt, int64_t ph, int64_t pw) {
  const int64_t height = h / ph, width = w / pw;
  const float share = 1 / static_cast<float>(pt * ph * pw);
  device.each(F / pt * height * width * C, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t c = at % C, j = at / C % width, i = at / (C * width) % height, f = at / (C * width * height);
    float sum = 0;
    for (int64_t dt = 0; dt < pt; dt++) {
      for (int64_t dy = 0; dy < ph; dy++) {
        for (int64_t dx = 0; dx < pw; dx++) sum += x[(((f * pt + dt) * h + i * ph + dy) * w + j * pw + dx) * C + c];
      }
    }
    out[at] = sum * share;
  });
}

void pool3d_backward(Device& device, float* dx, const float* dy, int64_t F, int64_t h, int64_t w, int64_t C, int64_t pt, int64_t ph, int64_t pw) {
  const int64_t height = h / ph, width = w / pw;
  const float share = 1 / static_cast<float>(pt * ph * pw);
  device.each(F * h * w * C, [=] NVILA_DEVICE(uint32_t at) {
    const int64_t c = at % C, column = at / C % w, row = at / (C * w) % h, f = at / (C * w * h);
    dx[at] = share * dy[((f / pt * height + row / ph) * width + column / pw) * C + c];
  });
}

}  // namespace nvila_cuda
