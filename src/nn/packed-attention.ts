/**
 * Causal attention of several whole sequences packed behind each other, nothing cached: what a forward pass over training samples uses in
 * the place of a cache. Each sequence sees only itself. Source: NVILA paper, online packing; flash_attn_varlen_func.
 */
import * as ops from "../tensor/ops.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { AttendOptions, AttentionCache } from "./kv-cache.ts";

export class PackedAttention implements AttentionCache {
  readonly #cuSeqlens: Int32Array;

  /** @param cuSeqlens Row offsets of the sequences: 0 first, all rows last. */
  constructor(cuSeqlens: Int32Array) {
    this.#cuSeqlens = cuSeqlens;
  }

  /** q [T, H, D], k and v [T, Hkv, D] → [T, H, D]. Never rounds: gradients are of what was computed. */
  attend(q: Tensor, k: Tensor, v: Tensor, { scale }: AttendOptions): Tensor {
    const cuSeqlens = this.#cuSeqlens;
    return ops.attention(q, k, v, { scale, causal: true, cuSeqlensQ: cuSeqlens, cuSeqlensK: cuSeqlens });
  }
}
