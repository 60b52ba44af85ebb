/**
 * The operations as models call them: check shapes and dtypes once, allocate the result in the open scope, call the
 * backend. Errors are `[op] what was wrong, with the shapes`. Knows no model. Inside a training scope each notes itself on the tape
 * (gradients.ts).
 */
import type { AttentionOptions, Backend, GeluKind, PagedAttentionOptions } from "../backend/backend.ts";
import type { DType } from "../core/dtype.ts";
import { elementCount, formatShape, type Shape, shapesEqual } from "../core/shape.ts";
import { ShapeError } from "../util/errors.ts";
import * as gradients from "./gradients.ts";
import {
  expectDType,
  expectF32,
  expectInt8Rows,
  expectPaged,
  expectSameShape,
  expectScatter,
  expectSegments,
  expectVector,
  expectWeight,
  type Int8RowTensors,
} from "./op-checks.ts";
import { PackedTensor } from "./packed-tensor.ts";
import { registerStorage } from "./scope.ts";
import { refuse } from "./tape.ts";
import { Tensor } from "./tensor.ts";

/** An uninitialised tensor owned by the open scope. */
export function empty(backend: Backend, dtype: DType, shape: Shape): Tensor {
  const storage = backend.alloc(dtype, elementCount(shape));
  registerStorage(backend, storage);
  return new Tensor(backend, storage, shape);
}

/** x[…, C] · weight[M, C]ᵀ + bias[M] → […, M]. Of a packed weight: with x rounded to integer codes (`Backend.linearPacked`). */
export function linear(x: Tensor, weight: Tensor | PackedTensor, bias: Tensor | null): Tensor {
  const C = x.shape.at(-1) ?? 0;
  expectF32("linear", "x", x);
  if (weight instanceof Tensor) expectWeight("linear", "weight", weight);
  if (weight.shape.length !== 2 || weight.shape[1] !== C) {
    throw new ShapeError(
      "linear",
      `inner sizes differ: x ${formatShape(x.shape)} × weight ${formatShape(weight.shape)}ᵀ`,
    );
  }
  const M = weight.shape[0];
  if (bias) expectVector("linear", "bias", bias, M);
  const out = empty(x.backend, "f32", [...x.shape.slice(0, -1), M]);
  if (weight instanceof PackedTensor) {
    refuse("linear with a quantised weight", x);
    x.backend.linearPacked(out, x, weight.packed, bias);
    return out;
  }
  x.backend.linear(out, x, weight, bias);
  return gradients.recordLinear(out, x, weight, bias);
}

/** LayerNorm over the last axis. weight[C], bias[C]. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  const C = x.shape.at(-1) ?? 0;
  expectF32("layer_norm", "x", x);
  expectVector("layer_norm", "weight", weight, C);
  expectVector("layer_norm", "bias", bias, C);
  const out = empty(x.backend, "f32", x.shape);
  x.backend.layerNorm(out, x, weight, bias, eps);
  return gradients.recordLayerNorm(out, x, weight, bias, eps);
}

/** RMSNorm over the last axis. weight[C]. */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  expectF32("rms_norm", "x", x);
  expectVector("rms_norm", "weight", weight, x.shape.at(-1) ?? 0);
  const out = empty(x.backend, "f32", x.shape);
  x.backend.rmsNorm(out, x, weight, eps);
  return gradients.recordRmsNorm(out, x, weight, eps);
}

/** Scaled dot-product attention: q[T, H, D], k and v[S, Hkv, D] → [T, H, D]. Never materialises the score matrix. */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: {
    scale: number;
    causal: boolean;
    cuSeqlensQ?: Int32Array | null;
    cuSeqlensK?: Int32Array | null;
    mayRound?: boolean;
  },
): Tensor {
  const [T, H, D] = q.shape;
  const [S, Hkv] = k.shape;
  for (const [name, tensor] of [
    ["q", q],
    ["k", k],
    ["v", v],
  ] as const)
    expectF32("attention", name, tensor);
  if (q.shape.length !== 3 || !shapesEqual(k.shape, v.shape) || !shapesEqual(k.shape, [S, Hkv, D]) || H % Hkv !== 0) {
    throw new ShapeError(
      "attention",
      `expected q [T, H, D] and k, v [S, Hkv, D] with H a multiple of Hkv, got ${[q, k, v].map((t) => formatShape(t.shape)).join(", ")}`,
    );
  }
  const checked: AttentionOptions = {
    scale: options.scale,
    causal: options.causal,
    cuSeqlensQ: options.cuSeqlensQ ?? null,
    cuSeqlensK: options.cuSeqlensK ?? null,
    mayRound: options.mayRound ?? false,
  };
  expectSegments(checked, T, S);
  const out = empty(q.backend, "f32", q.shape);
  q.backend.attention(out, q, k, v, checked);
  return gradients.recordAttention(out, q, k, v, checked);
}

/**
 * Causal attention of several sequences, q[ΣT, H, D] → [ΣT, H, D], over keys and values in blocks of k and v [blocks · blockSize, Hkv, D].
 * Query i of a sequence sees its keys 0 … kvLength − T + i.
 */
export function pagedAttention(q: Tensor, k: Tensor, v: Tensor, options: PagedAttentionOptions): Tensor {
  for (const tensor of [q, k, v]) expectF32("paged_attention", "q, k and v", tensor);
  expectPaged(q, k, v, options);
  refuse("paged attention", q);
  const out = empty(q.backend, "f32", q.shape);
  q.backend.pagedAttention(out, q, k, v, options);
  return out;
}

/** `pagedAttention` over int8 keys and values. */
export function pagedAttentionInt8(
  q: Tensor,
  k: Int8RowTensors,
  v: Int8RowTensors,
  options: PagedAttentionOptions,
): Tensor {
  expectF32("paged_attention", "q", q);
  expectInt8Rows("paged_attention", k);
  expectInt8Rows("paged_attention", v);
  expectPaged(q, k.codes, v.codes, options);
  refuse("paged attention", q);
  const out = empty(q.backend, "f32", q.shape);
  q.backend.pagedAttentionInt8(out, q, k, v, options);
  return out;
}

/** RoPE in the rotate-halves layout: x[T, H, D], positions[T] (i32). D must be even. */
export function rope(x: Tensor, positions: Tensor, theta: number): Tensor {
  expectF32("rope", "x", x);
  expectDType("rope", "positions", positions, "i32");
  if (x.shape.length !== 3 || x.shape[2] % 2 !== 0 || !shapesEqual(positions.shape, [x.shape[0]])) {
    throw new ShapeError(
      "rope",
      `expected x [T, H, even D] and positions [T], got ${formatShape(x.shape)}, ${formatShape(positions.shape)}`,
    );
  }
  const out = empty(x.backend, "f32", x.shape);
  x.backend.rope(out, x, positions, theta);
  return gradients.recordRope(out, x, positions, theta);
}

export function gelu(x: Tensor, kind: GeluKind): Tensor {
  expectF32("gelu", "x", x);
  const out = empty(x.backend, "f32", x.shape);
  x.backend.gelu(out, x, kind);
  return gradients.recordGelu(out, x, kind);
}

/** silu(gate) · up. */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  expectSameShape("swiglu", gate, up);
  const out = empty(gate.backend, "f32", gate.shape);
  gate.backend.swiglu(out, gate, up);
  return gradients.recordSwiglu(out, gate, up);
}

export function add(a: Tensor, b: Tensor): Tensor {
  expectSameShape("add", a, b);
  const out = empty(a.backend, "f32", a.shape);
  a.backend.add(out, a, b);
  return gradients.recordAdd(out, a, b);
}

/** Rows of table[V, C] as f32. @throws ShapeError when an id is outside 0 … V − 1. */
export function embedding(ids: Int32Array, table: Tensor | PackedTensor): Tensor {
  if (table instanceof Tensor) expectWeight("embedding", "table", table);
  const [V, C] = table.shape;
  for (const id of ids) {
    if (!(id >= 0 && id < V)) throw new ShapeError("embedding", `expected ids in 0..${V - 1}, got ${id}`);
  }
  const out = empty(table.backend, "f32", [ids.length, C]);
  if (ids.length === 0) return out;
  const rows = Tensor.from(table.backend, "i32", ids, [ids.length]);
  if (table instanceof PackedTensor) {
    table.backend.embeddingPacked(out, rows, table.packed);
    return out;
  }
  table.backend.embedding(out, rows, table);
  return gradients.recordEmbedding(out, rows, table);
}

/** Patch convolution plus position embedding: pixels[B, 3, S, S] → [B·P, C] with P = ⌊S/patch⌋². */
export function patchEmbed(pixels: Tensor, weight: Tensor, bias: Tensor, position: Tensor): Tensor {
  const [B, channels, S, width] = pixels.shape;
  const [C, inputs, patch, patchWidth] = weight.shape;
  expectF32("patch_embed", "pixels", pixels);
  expectWeight("patch_embed", "weight", weight);
  expectWeight("patch_embed", "position", position);
  const P = Math.floor(S / patch) ** 2;
  if (
    pixels.shape.length !== 4 ||
    S !== width ||
    weight.shape.length !== 4 ||
    patch !== patchWidth ||
    channels !== inputs
  ) {
    throw new ShapeError(
      "patch_embed",
      `expected pixels [B, 3, S, S] and weight [C, 3, p, p], got ${formatShape(pixels.shape)}, ${formatShape(weight.shape)}`,
    );
  }
  expectVector("patch_embed", "bias", bias, C);
  if (!shapesEqual(position.shape, [P, C])) {
    throw new ShapeError(
      "patch_embed",
      `position embedding has shape ${formatShape(position.shape)}, expected ${formatShape([P, C])} for ${S} px pictures`,
    );
  }
  const out = empty(pixels.backend, "f32", [B * P, C]);
  pixels.backend.patchEmbed(out, pixels, weight, bias, position);
  return gradients.recordPatchEmbed(out, pixels, weight, bias, position);
}

/** k×k space-to-channel: x[B, s, s, C] → [B, ⌈s/k⌉, ⌈s/k⌉, k²C], zero padding at the end. */
export function spaceToChannel(x: Tensor, k: number): Tensor {
  const [B, s, width, C] = x.shape;
  expectF32("space_to_channel", "x", x);
  if (x.shape.length !== 4 || s !== width) {
    throw new ShapeError("space_to_channel", `expected x [B, s, s, C], got ${formatShape(x.shape)}`);
  }
  const t = Math.ceil(s / k);
  const out = empty(x.backend, "f32", [B, t, t, k * k * C]);
  x.backend.spaceToChannel(out, x, k);
  return gradients.recordSpaceToChannel(out, x, k);
}

/** Adaptive average resize of a map: x[h, w, C] → [height, width, C]. */
export function areaResize(x: Tensor, height: number, width: number): Tensor {
  expectF32("area_resize", "x", x);
  if (x.shape.length !== 3) throw new ShapeError("area_resize", `expected x [h, w, C], got ${formatShape(x.shape)}`);
  const out = empty(x.backend, "f32", [height, width, x.shape[2]]);
  x.backend.areaResize(out, x);
  return gradients.recordAreaResize(out, x);
}

/** Mean over non-overlapping windows: x[F, h, w, C] → [F/pt, h/ph, w/pw, C]. @throws ShapeError when a window does not divide. */
export function pool3d(x: Tensor, window: readonly [pt: number, ph: number, pw: number]): Tensor {
  const [F, h, w, C] = x.shape;
  const [pt, ph, pw] = window;
  expectF32("pool3d", "x", x);
  if (x.shape.length !== 4 || F % pt !== 0 || h % ph !== 0 || w % pw !== 0) {
    throw new ShapeError(
      "pool3d",
      `windows of ${pt} frames, ${ph} rows, ${pw} columns must divide x [F, h, w, C], got ${formatShape(x.shape)}`,
    );
  }
  const out = empty(x.backend, "f32", [F / pt, h / ph, w / pw, C]);
  x.backend.pool3d(out, x, window);
  return gradients.recordPool3d(out, x, window);
}

/** Tiles row-major to one map: x[gy·gx, h, w, C] → [gy·h, gx·w, C]. */
export function stitchTiles(x: Tensor, gridRows: number, gridCols: number): Tensor {
  const [count, h, w, C] = x.shape;
  expectF32("stitch_tiles", "x", x);
  if (x.shape.length !== 4 || count !== gridRows * gridCols) {
    throw new ShapeError("stitch_tiles", `expected ${gridRows}×${gridCols} tiles, got x ${formatShape(x.shape)}`);
  }
  const out = empty(x.backend, "f32", [gridRows * h, gridCols * w, C]);
  x.backend.stitchTiles(out, x, gridRows, gridCols);
  return gradients.recordTiles(out, x, (dx, dy) => x.backend.splitTiles(dx, dy, gridRows, gridCols));
}

/** The inverse of stitchTiles: x[gy·h, gx·w, C] → [gy·gx, h, w, C]. */
export function splitTiles(x: Tensor, gridRows: number, gridCols: number): Tensor {
  const [height, width, C] = x.shape;
  expectF32("split_tiles", "x", x);
  if (x.shape.length !== 3 || height % gridRows !== 0 || width % gridCols !== 0) {
    throw new ShapeError(
      "split_tiles",
      `a ${gridRows}×${gridCols} grid must divide x [h, w, C], got ${formatShape(x.shape)}`,
    );
  }
  const out = empty(x.backend, "f32", [gridRows * gridCols, height / gridRows, width / gridCols, C]);
  x.backend.splitTiles(out, x, gridRows, gridCols);
  return gradients.recordTiles(out, x, (dx, dy) => x.backend.stitchTiles(dx, dy, gridRows, gridCols));
}

/** Columns side by side: parts[i][…, Cᵢ] → […, ΣCᵢ]; the leading axes must agree. */
export function concatColumns(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const leading = first.shape.slice(0, -1);
  let width = 0;
  for (const part of parts) {
    expectF32("concat_columns", "part", part);
    if (!shapesEqual(part.shape.slice(0, -1), leading)) {
      throw new ShapeError(
        "concat_columns",
        `leading sizes differ: ${parts.map((p) => formatShape(p.shape)).join(", ")}`,
      );
    }
    width += part.shape.at(-1) ?? 0;
  }
  const out = empty(first.backend, "f32", [...leading, width]);
  first.backend.concatColumns(out, parts);
  return gradients.recordConcatColumns(out, parts);
}

/** Rows below each other: parts[i][Tᵢ, …] → [ΣTᵢ, …]; the trailing axes and dtypes must agree. */
export function concatRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const trailing = first.shape.slice(1);
  let rows = 0;
  for (const part of parts) {
    if (!shapesEqual(part.shape.slice(1), trailing) || part.dtype !== first.dtype) {
      throw new ShapeError("concat_rows", `row shapes differ: ${parts.map((p) => formatShape(p.shape)).join(", ")}`);
    }
    rows += part.shape[0];
  }
  const out = empty(first.backend, first.dtype, [rows, ...trailing]);
  let start = 0;
  for (const part of parts) {
    copyInto(out, start, part);
    start += part.shape[0];
  }
  return out;
}

/** Writes source[T, …] over rows [rowStart, rowStart + T) of target. For caches; the only operation that changes a tensor. */
export function copyInto(target: Tensor, rowStart: number, source: Tensor): void {
  const width = elementCount(target.shape.slice(1));
  const isInside = rowStart >= 0 && rowStart + source.shape[0] <= target.shape[0];
  if (!isInside || !shapesEqual(source.shape.slice(1), target.shape.slice(1)) || source.dtype !== target.dtype) {
    throw new ShapeError(
      "copy_into",
      `cannot put ${formatShape(source.shape)} at row ${rowStart} of ${formatShape(target.shape)}`,
    );
  }
  target.backend.copy(target.storage, rowStart * width, source.storage);
  gradients.recordCopy(target, rowStart, source);
}

/**
 * Writes source[T, …] over the rows of target that `rows` names. For caches, as `copyInto`.
 * @throws ShapeError when a row is outside or named twice.
 */
export function scatterRows(target: Tensor, rows: Int32Array, source: Tensor): void {
  expectF32("scatter_rows", "target", target);
  expectF32("scatter_rows", "source", source);
  expectScatter(target, rows, source);
  refuse("scatter_rows", source);
  target.backend.scatterRows(target, Tensor.from(target.backend, "i32", rows, [rows.length]), source);
}

/** `scatterRows` of source[T, H, D], rounded to int8 with one scale per row and head. */
export function scatterRowsInt8(target: Int8RowTensors, rows: Int32Array, source: Tensor): void {
  const { codes } = target;
  expectInt8Rows("scatter_rows", target);
  expectF32("scatter_rows", "source", source);
  expectScatter(codes, rows, source);
  refuse("scatter_rows", source);
  codes.backend.scatterRowsInt8(target, Tensor.from(codes.backend, "i32", rows, [rows.length]), source);
}
