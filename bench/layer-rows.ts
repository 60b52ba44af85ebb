/** Whole layers of NVILA-Lite-2B as the models run them, on random weights, bf16 and quantised: what single operations do not show. */
import type { Backend } from "../src/backend/backend.ts";
import { type TensorSource, Weights } from "../src/checkpoint/weights.ts";
import { elementCount, type Shape } from "../src/core/shape.ts";
import { Qwen2Block, type Qwen2Config } from "../src/models/qwen2/qwen2-model.ts";
import { type SiglipConfig, SiglipEncoderLayer } from "../src/models/siglip/siglip-vision-tower.ts";
import { KvCache } from "../src/nn/kv-cache.ts";
import { blocksFor, KV_BLOCK_SIZE, KvPool, PagedBatch } from "../src/nn/paged-kv.ts";
import { scope } from "../src/tensor/scope.ts";
import { Tensor } from "../src/tensor/tensor.ts";
import { randomF32, randomQuantized, randomWeights } from "./random-data.ts";
import type { BenchRow, RowGroup } from "./row.ts";

const SIGLIP: SiglipConfig = {
  hiddenSize: 1152,
  layers: 27,
  heads: 16,
  mlp: 4304,
  patch: 14,
  imageSize: 448,
  layerNormEps: 1e-6,
  hiddenAct: "gelu_pytorch_tanh",
};

const QWEN2: Qwen2Config = {
  hiddenSize: 1536,
  layers: 28,
  heads: 12,
  kvHeads: 2,
  headDim: 128,
  mlp: 8960,
  ropeTheta: 1e6,
  rmsNormEps: 1e-6,
  tieWordEmbeddings: true,
};

export const LAYER_ROWS: readonly RowGroup[] = [
  [siglipLayerRow("int8"), siglipLayerRow("bf16")],
  [qwen2PrefillRow({ T: 512, S: 512, format: "int4" }), qwen2PrefillRow({ T: 512, S: 512, format: "bf16" })],
  [qwen2DecodeRow({ S: 1024 })],
  qwen2Streams([1, 2, 4, 8, 16], { S: 512, blocks: 10 }),
];

/** Of a layer's matrices. Quantised ones are multiplied by int8 codes. */
type Format = "bf16" | "int8" | "int4";

/** One tile of 448 × 448 pixels: 1024 patches through one encoder layer. */
function siglipLayerRow(format: Format): BenchRow {
  const { hiddenSize: C, mlp: M } = SIGLIP;
  const T = (SIGLIP.imageSize / SIGLIP.patch) ** 2;
  return {
    name: `SigLIP layer ${T}×${C} ${format}`,
    limit: "fma",
    work: 2 * T * (4 * C * C + 2 * C * M) + 4 * T * T * C,
    setup(backend) {
      const layer = new SiglipEncoderLayer(randomTensors(backend, siglipShapes(SIGLIP), format), SIGLIP);
      const x = Tensor.from(backend, "f32", randomF32(T * C), [T, C]);
      const offsets = Int32Array.of(0, T);
      return () =>
        scope(() => {
          layer.forward(x, offsets);
        });
    },
  };
}

/** The last T of S positions through one decoder block. */
function qwen2PrefillRow({ T, S, format }: { T: number; S: number; format: Format }): BenchRow {
  const pairs = T * (S - T) + (T * (T + 1)) / 2;
  return {
    name: `Qwen2-1.5B layer, prefill T ${T} S ${S}, ${format}`,
    limit: "fma",
    work: 2 * T * qwen2Parameters(QWEN2) + 4 * pairs * QWEN2.heads * QWEN2.headDim,
    setup: (backend) => qwen2Run(backend, { T, S, blocks: 1, format }),
  };
}

/** One new position after S − 1 cached ones; the blocks' weights come from memory. */
function qwen2DecodeRow({ S }: { S: number }): BenchRow {
  const blocks = 3;
  const cacheBytes = 2 * S * QWEN2.kvHeads * QWEN2.headDim * 4;
  return {
    name: `Qwen2-1.5B, decode S ${S}, ${blocks} layers, bf16`,
    limit: "read",
    work: blocks * (2 * qwen2Parameters(QWEN2) + cacheBytes),
    setup: (backend) => qwen2Run(backend, { T: 1, S, blocks, format: "bf16" }),
  };
}

/**
 * One new position of each of several sequences after S − 1 cached ones, over blocks of keys and values, int4 weights from memory. `n` of them
 * give n / (time by the first) times the tokens of one.
 */
function qwen2Streams(counts: readonly number[], { S, blocks }: { S: number; blocks: number }): RowGroup {
  let shared: readonly Qwen2Block[] | null = null; // by all rows: one model's weights
  const layersOn = (backend: Backend): readonly Qwen2Block[] => {
    shared ??= qwen2Blocks(backend, blocks, "int4");
    return shared;
  };
  return counts.map((sequences) => qwen2StreamsRow({ sequences, S, blocks, layersOn }));
}

function qwen2StreamsRow(o: {
  sequences: number;
  S: number;
  blocks: number;
  layersOn: (backend: Backend) => readonly Qwen2Block[];
}): BenchRow {
  const { sequences, S, blocks, layersOn } = o;
  const { hiddenSize: C, kvHeads, headDim } = QWEN2;
  const cacheBytes = 2 * S * kvHeads * headDim * 4;
  return {
    name: `Qwen2-1.5B, decode of ${sequences} S ${S}, ${blocks} layers, int4`,
    limit: "read",
    work: blocks * (qwen2Parameters(QWEN2) * (1 / 2 + 2 / 128) + sequences * cacheBytes),
    setup(backend) {
      const layers = layersOn(backend);
      const size = { layers: blocks, kvHeads, headDim };
      const perSequence = blocksFor(S);
      const pool = new KvPool(backend, size, sequences * perSequence * KvPool.blockBytes(size));
      const held = Array.from({ length: sequences }, (_, i) =>
        Array.from({ length: perSequence }, (_, b) => b * sequences + i),
      );
      const rows = (start: number, count: number) => held.map((of) => ({ blocks: of, start, rows: count }));
      const old = Tensor.from(backend, "f32", randomF32(sequences * (S - 1) * kvHeads * headDim), [
        sequences * (S - 1),
        kvHeads,
        headDim,
      ]);
      const places = held.flatMap((of) =>
        Array.from(
          { length: S - 1 },
          (_, t) => of[Math.floor(t / KV_BLOCK_SIZE)] * KV_BLOCK_SIZE + (t % KV_BLOCK_SIZE),
        ),
      );
      for (const layer of pool.layers) layer.write(Int32Array.from(places), old, old);
      const x = Tensor.from(backend, "f32", randomF32(sequences * C), [sequences, C]);
      return () =>
        scope(() => {
          const batch = new PagedBatch(pool, rows(S - 1, 1));
          const positions = Tensor.from(backend, "i32", batch.positions, [sequences]);
          for (const [i, layer] of layers.entries()) layer.forward(x, positions, batch.layers[i]);
        });
    },
  };
}

function qwen2Blocks(backend: Backend, count: number, format: Format): Qwen2Block[] {
  return Array.from({ length: count }, () => new Qwen2Block(randomTensors(backend, qwen2Shapes(QWEN2), format), QWEN2));
}

function qwen2Run(backend: Backend, o: { T: number; S: number; blocks: number; format: Format }): () => void {
  const { T, S, blocks, format } = o;
  const { hiddenSize: C, kvHeads, headDim } = QWEN2;
  const layers = qwen2Blocks(backend, blocks, format);
  const cache = new KvCache(backend, { layers: blocks, kvHeads, headDim, maxTokens: S });
  const old = Tensor.from(backend, "f32", randomF32((S - T) * kvHeads * headDim), [S - T, kvHeads, headDim]);
  for (const layer of cache.layers) layer.append(old, old);
  cache.commit(S - T);
  const x = Tensor.from(backend, "f32", randomF32(T * C), [T, C]);
  const positions = Tensor.from(
    backend,
    "i32",
    Int32Array.from({ length: T }, (_, i) => S - T + i),
    [T],
  );
  return () =>
    scope(() => {
      for (const [i, layer] of layers.entries()) layer.forward(x, positions, cache.layers[i]);
    });
}

function siglipShapes({ hiddenSize: C, mlp: M }: SiglipConfig): Record<string, Shape> {
  const shapes: Record<string, Shape> = { "mlp.fc1.weight": [M, C], "mlp.fc1.bias": [M], "mlp.fc2.weight": [C, M] };
  for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"]) shapes[`self_attn.${name}.weight`] = [C, C];
  for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"]) shapes[`self_attn.${name}.bias`] = [C];
  for (const name of ["layer_norm1.weight", "layer_norm1.bias", "layer_norm2.weight", "layer_norm2.bias"])
    shapes[name] = [C];
  shapes["mlp.fc2.bias"] = [C];
  return shapes;
}

function qwen2Shapes(cfg: Qwen2Config): Record<string, Shape> {
  const { hiddenSize: C, mlp: M, heads, kvHeads, headDim } = cfg;
  const [Q, K] = [heads * headDim, kvHeads * headDim];
  return {
    "input_layernorm.weight": [C],
    "post_attention_layernorm.weight": [C],
    "self_attn.q_proj.weight": [Q, C],
    "self_attn.q_proj.bias": [Q],
    "self_attn.k_proj.weight": [K, C],
    "self_attn.k_proj.bias": [K],
    "self_attn.v_proj.weight": [K, C],
    "self_attn.v_proj.bias": [K],
    "self_attn.o_proj.weight": [C, Q],
    "mlp.gate_proj.weight": [M, C],
    "mlp.up_proj.weight": [M, C],
    "mlp.down_proj.weight": [C, M],
  };
}

/** Weights of one block that every position multiplies. */
function qwen2Parameters(cfg: Qwen2Config): number {
  return Object.values(qwen2Shapes(cfg))
    .filter((shape) => shape.length === 2)
    .reduce((sum, shape) => sum + elementCount(shape), 0);
}

/** Noise under the given names: matrices in `format`, the rest bf16. */
function randomTensors(backend: Backend, shapes: Readonly<Record<string, Shape>>, format: Format): Weights {
  const source: TensorSource = {
    label: "random weights",
    names: Object.keys(shapes),
    info: (name) => (name in shapes ? { dtype: "bf16", shape: shapes[name] } : null),
    data: (name) => randomWeights("bf16", elementCount(shapes[name])),
    quantized(name) {
      const [M, C] = shapes[name];
      return format === "bf16" || C === undefined ? null : randomQuantized(format, [M, C]);
    },
  };
  return new Weights(source, backend);
}
