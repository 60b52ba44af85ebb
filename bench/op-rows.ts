/** Single operations at the shapes of NVILA's parts: SigLIP (1024 patches, width 1152), Qwen2-1.5B. A row is one line here. */
import type { Backend, Operand, PagedAttentionOptions } from "../src/backend/backend.ts";
import { BYTES_PER_ELEMENT, type HostArray } from "../src/core/dtype.ts";
import { elementCount, type Shape } from "../src/core/shape.ts";
import { randomF32, randomWeights, type WeightDType } from "./random-data.ts";
import type { BenchRow, RowGroup } from "./row.ts";

/** Several times what caches hold: what a row "reads" must come from memory. */
const COLD_BYTES = 256 * 2 ** 20;

export const OP_ROWS: readonly RowGroup[] = [
  (["f32", "bf16", "f16"] as const).map((dtype) => linearRow({ T: 1024, C: 1152, M: 4304, dtype, target: 0.75 })),
  (["f32", "bf16"] as const).map((dtype) => linearRow({ T: 1024, C: 4304, M: 1152, dtype, target: 0.75 })),
  (["f32", "bf16"] as const).map((dtype) => linearRow({ T: 1024, C: 1152, M: 1152, dtype, target: 0.75 })),
  [8, 16, 32, 64].map((T) => linearRow({ T, C: 1536, M: 8960, dtype: "bf16" })),
  [gemvRow({ C: 1536, M: 8960, target: 0.85 })],
  [gemvRow({ C: 1536, M: 151_646, target: 0.85 })],
  [false, true].map((mayRound) =>
    attentionRow({ name: "SigLIP", T: 1024, S: 1024, H: 16, Hkv: 16, D: 72, causal: false, mayRound, target: 0.5 }),
  ),
  [512, 2048, 4096].map((S) =>
    attentionRow({ name: "prefill", T: 512, S, H: 12, Hkv: 2, D: 128, causal: true, target: 0.5 }),
  ),
  [decodeAttentionRow({ S: 4096, H: 12, Hkv: 2, D: 128 }), decodeAttentionRow({ S: 4096, H: 28, Hkv: 4, D: 128 })],
  (["f32", "int8"] as const).map((dtype) => pagedDecodeRow({ sequences: 8, S: 512, H: 12, Hkv: 2, D: 128, dtype })),
];

/** out[T, M] = x[T, C] · weight[M, C]ᵀ, bound by arithmetic. */
function linearRow(o: { T: number; C: number; M: number; dtype: WeightDType; target?: number }): BenchRow {
  const { T, C, M, dtype } = o;
  return {
    name: `linear ${T}×${C}×${M} ${dtype}`,
    limit: "fma",
    work: 2 * T * C * M,
    ...(o.target !== undefined && { target: o.target }),
    setup(backend) {
      const x = operand(backend, randomF32(T * C), [T, C]);
      const weight = operand(backend, randomWeights(dtype, M * C), [M, C], dtype);
      const out = output(backend, [T, M]);
      return () => backend.linear(out, x, weight, null);
    },
  };
}

/** One row of x, bf16 weights; as many matrices in turn as caches cannot hold. */
function gemvRow(o: { C: number; M: number; target: number }): BenchRow {
  const { C, M, target } = o;
  const bytes = C * M * BYTES_PER_ELEMENT.bf16;
  const copies = Math.ceil(COLD_BYTES / bytes);
  return {
    name: `linear 1×${C}×${M} bf16, ${copies} in turn`,
    limit: "read",
    work: bytes * copies,
    target,
    setup(backend) {
      const x = operand(backend, randomF32(C), [1, C]);
      const weights = Array.from({ length: copies }, () =>
        operand(backend, randomWeights("bf16", M * C), [M, C], "bf16"),
      );
      const out = output(backend, [1, M]);
      return () => {
        for (const weight of weights) backend.linear(out, x, weight, null);
      };
    },
  };
}

interface AttentionSize {
  T: number;
  S: number;
  H: number;
  Hkv: number;
  D: number;
}

/** Many queries; 4 operations per head, pair and dimension, of the pairs that causal attention sees. */
function attentionRow(
  o: AttentionSize & { name: string; causal: boolean; mayRound?: boolean; target: number },
): BenchRow {
  const { name, T, S, H, Hkv, D, causal, mayRound = false, target } = o;
  const pairs = causal ? T * (S - T) + (T * (T + 1)) / 2 : T * S;
  return {
    name: `attention ${name} T ${T} S ${S} heads ${H}/${Hkv}×${D}${mayRound ? " may round" : ""}`,
    limit: "fma",
    work: 4 * H * D * pairs,
    target,
    setup(backend) {
      const q = operand(backend, randomF32(T * H * D), [T, H, D]);
      const k = operand(backend, randomF32(S * Hkv * D), [S, Hkv, D]);
      const v = operand(backend, randomF32(S * Hkv * D), [S, Hkv, D]);
      const out = output(backend, [T, H, D]);
      const options = { scale: D ** -0.5, causal, cuSeqlensQ: null, cuSeqlensK: null, mayRound };
      return () => backend.attention(out, q, k, v, options);
    },
  };
}

/**
 * One query of each of several sequences, keys and values in blocks of 16 all over a pool; as many layers in turn as the processor's caches
 * cannot hold.
 */
function pagedDecodeRow(o: Omit<AttentionSize, "T"> & { sequences: number; dtype: "f32" | "int8" }): BenchRow {
  const { sequences, S, H, Hkv, D, dtype } = o;
  const rows = sequences * S;
  const bytes = 2 * rows * Hkv * (dtype === "int8" ? D + 4 : 4 * D);
  const layers = Math.ceil(COLD_BYTES / bytes);
  const blocks = rows / 16;
  return {
    name: `paged attention decode of ${sequences} S ${S} heads ${H}/${Hkv}×${D} ${dtype}, ${layers} in turn`,
    limit: "read",
    work: bytes * layers,
    setup(backend) {
      const q = operand(backend, randomF32(sequences * H * D), [sequences, H, D]);
      const out = output(backend, [sequences, H, D]);
      const shape = [rows, Hkv, D];
      const numbers = (): Operand => operand(backend, randomF32(rows * Hkv * D), shape);
      const codes = (): Operand => ({
        storage: backend.wrap(
          "i8",
          Int8Array.from(randomF32(rows * Hkv * D), (x) => 127 * x),
        ),
        shape,
        dtype: "i8",
      });
      const scales = (): Operand => operand(backend, new Float32Array(rows * Hkv).fill(1 / 127), [rows, Hkv]);
      const options: PagedAttentionOptions = {
        scale: D ** -0.5,
        blockSize: 16,
        cuSeqlensQ: Int32Array.from({ length: sequences + 1 }, (_, i) => i),
        kvLengths: new Int32Array(sequences).fill(S),
        blockTables: Int32Array.from({ length: blocks }, (_, i) => (i * 37 + 11) % blocks),
      };
      if (dtype === "f32") {
        const pools = Array.from({ length: layers }, () => [numbers(), numbers()]);
        return () => {
          for (const [k, v] of pools) backend.pagedAttention(out, q, k, v, options);
        };
      }
      const pools = Array.from({ length: layers }, () => [0, 1].map(() => ({ codes: codes(), scales: scales() })));
      return () => {
        for (const [k, v] of pools) backend.pagedAttentionInt8(out, q, k, v, options);
      };
    },
  };
}

/** One query; as many caches in turn as the processor's caches cannot hold. */
function decodeAttentionRow(o: Omit<AttentionSize, "T">): BenchRow {
  const { S, H, Hkv, D } = o;
  const bytes = 2 * S * Hkv * D * 4;
  const copies = Math.ceil(COLD_BYTES / bytes);
  return {
    name: `attention decode S ${S} heads ${H}/${Hkv}×${D}, ${copies} in turn`,
    limit: "read",
    work: bytes * copies,
    setup(backend) {
      const q = operand(backend, randomF32(H * D), [1, H, D]);
      const caches = Array.from({ length: copies }, () =>
        [0, 1].map(() => operand(backend, randomF32(S * Hkv * D), [S, Hkv, D])),
      );
      const out = output(backend, [1, H, D]);
      const options = { scale: D ** -0.5, causal: true, cuSeqlensQ: null, cuSeqlensK: null };
      return () => {
        for (const [k, v] of caches) backend.attention(out, q, k, v, options);
      };
    },
  };
}

function operand(backend: Backend, data: HostArray, shape: Shape, dtype: WeightDType = "f32"): Operand {
  return { storage: backend.wrap(dtype, data), shape, dtype };
}

function output(backend: Backend, shape: Shape): Operand {
  return { storage: backend.alloc("f32", elementCount(shape)), shape, dtype: "f32" };
}
