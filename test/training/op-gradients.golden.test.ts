/** Values and gradients of single operations and of layers, through the tape, against PyTorch's in float64. On every backend. */
import { expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import type { TensorSource } from "../../src/checkpoint/weights.ts";
import { Weights } from "../../src/checkpoint/weights.ts";
import { S2Merge } from "../../src/models/nvila/s2-merge.ts";
import { Projector } from "../../src/models/projector/projector.ts";
import { Qwen2Block } from "../../src/models/qwen2/qwen2-model.ts";
import { SiglipEncoderLayer } from "../../src/models/siglip/siglip-vision-tower.ts";
import { PackedAttention } from "../../src/nn/packed-attention.ts";
import * as ops from "../../src/tensor/ops.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { describeGolden } from "../golden/golden-dir.ts";
import { describeOnLearningBackends } from "../models/backends.ts";
import {
  channelsLast,
  expectWithin,
  type GoldenCase,
  goldenOp,
  integersOf,
  Leaves,
  runBackward,
  shapeOf,
  tensorOf,
  valuesOf,
} from "./golden-op.ts";

/** What a case needs to build its result: its float inputs as leaves. */
interface Run {
  readonly backend: Backend;
  readonly source: TensorSource;
  readonly test: GoldenCase;
  readonly attrs: Readonly<Record<string, never>>;
  input(name: string): Tensor;
  integers(name: string): Int32Array;
  positions(): Tensor;
  leaf(name: string, tensor: Tensor): void;
}

type Build = (run: Run) => Tensor;

const rows = (x: Tensor): Tensor => x.reshape([x.shape.slice(0, -1).reduce((a, b) => a * b, 1), x.shape.at(-1) ?? 0]);
const square = (x: Tensor): Tensor => {
  const [B, N, C] = x.shape;
  const side = Math.round(Math.sqrt(N));
  return x.reshape([B, side, side, C]);
};

const BUILDS: Readonly<Record<string, Build>> = {
  linear: ({ input, test }) => ops.linear(input("x"), input("w"), test.inputs.b ? input("b") : null),
  layernorm: ({ input, attrs }) => ops.layerNorm(input("x"), input("w"), input("b"), attrs.eps),
  rmsnorm: ({ input, attrs }) => ops.rmsNorm(input("x"), input("w"), attrs.eps),
  activations: ({ input, test, backend, source }) => {
    if (test.id === "gelu_erf") return ops.gelu(input("x"), "erf");
    if (test.id === "gelu_tanh") return ops.gelu(input("x"), "tanh");
    if (test.inputs.x) {
      const ones = new Float32Array(valuesOf(source, test.inputs.x).length).fill(1);
      return ops.swiglu(input("x"), Tensor.from(backend, "f32", ones, input("x").shape));
    }
    const [gate, up] = Object.keys(test.inputs);
    return ops.swiglu(input(gate), input(up));
  },
  // Softmax is attention over unit vectors: scores x, values one-hot.
  softmax: ({ input, backend }) => {
    const [T, n] = input("x").shape;
    const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
    const unit = Tensor.from(backend, "f32", identity, [n, 1, n]);
    return ops.attention(input("x").reshape([T, 1, n]), unit, unit, { scale: 1, causal: false });
  },
  attention: ({ input, attrs, source, test }) => {
    const name = `${test.id}.cu_seqlens`;
    const isPacked = source.info(name) !== null;
    const offsets = isPacked ? (source.data(name) as Int32Array) : batchOffsets(shapeOf(source, test.inputs.q));
    const packed = (x: Tensor): Tensor => x.reshape([offsets.at(-1) ?? 0, ...x.shape.slice(-2)]);
    return ops.attention(packed(input("q")), packed(input("k")), packed(input("v")), {
      scale: attrs.scale,
      causal: attrs.causal,
      cuSeqlensQ: offsets,
      cuSeqlensK: offsets,
    });
  },
  rope: ({ input, attrs, positions }) => ops.rope(input("x"), positions(), attrs.theta),
  embedding: ({ input, integers }) => ops.embedding(integers("ids"), input("weight")),
  patch_embed: ({ input }) => ops.patchEmbed(input("x"), input("w"), input("b"), input("pos")),
  space_to_channel: ({ input, attrs }) => ops.spaceToChannel(square(input("x")), attrs.k),
  temporal_pool: ({ input, attrs }) => ops.pool3d(square(input("x")), attrs.poolSize),
  s2_merge: ({ input, attrs }) => {
    const merge = new S2Merge(attrs.scaleRatios, -1);
    let start = 0;
    const pictures = (attrs.blockSizes as [number, number][]).map((size) => {
      const block = size && { rows: size[0], cols: size[1] };
      const count = block ? merge.tileCount(block) : 1;
      const tiles = input("x").rows(start, start + count);
      start += count;
      return block ? ops.concatColumns(merge.splitScales([tiles], block)) : merge.repeatScales(tiles);
    });
    return ops.concatRows(pictures);
  },
  projector: (run) => {
    const { channels, hidden, type } = run.attrs;
    const projector = new Projector(weightsOf(run), { type, inputWidth: channels, outputWidth: hidden });
    return projector.forward(run.input("x"));
  },
  siglip_layer: (run) => {
    const [B, N, C] = run.input("x").shape;
    const [mlp] = shapeOf(run.source, run.test.inputs.mlp__fc1__weight);
    const layer = new SiglipEncoderLayer(weightsOf(run), {
      hiddenSize: C,
      layers: 1,
      heads: run.attrs.heads,
      mlp,
      patch: 1,
      imageSize: 1,
      layerNormEps: run.attrs.eps,
      hiddenAct: run.attrs.act,
    });
    return layer.forward(rows(run.input("x")), batchOffsets([B, N]));
  },
  qwen2_layer: (run) => {
    const { heads, kvHeads, eps, theta, cuSeqlens } = run.attrs;
    const [, C] = run.input("x").shape;
    const [mlp] = shapeOf(run.source, run.test.inputs.mlp__gate_proj__weight);
    const block = new Qwen2Block(weightsOf(run), {
      hiddenSize: C,
      layers: 1,
      heads,
      kvHeads,
      headDim: C / heads,
      mlp,
      ropeTheta: theta,
      rmsNormEps: eps,
      tieWordEmbeddings: false,
    });
    return block.forward(run.input("x"), run.positions(), new PackedAttention(Int32Array.from(cuSeqlens)));
  },
};

/** Offsets of B sequences of N rows. */
function batchOffsets([B, N]: readonly number[]): Int32Array {
  return Int32Array.from({ length: B + 1 }, (_, b) => b * N);
}

/** Weights of a layer from inputs with "__" for ".". */
function weightsOf({ backend, source, test, leaf }: Run): Weights {
  const names = Object.keys(test.inputs).filter((name) => name.includes("__"));
  const key = (name: string): string => name.replaceAll(".", "__");
  const memory: TensorSource = {
    label: "golden layer",
    names: names.map((name) => name.replaceAll("__", ".")),
    info: (name) => source.info(test.inputs[key(name)] ?? ""),
    data: (name) => valuesOf(source, test.inputs[key(name)]),
  };
  return new Weights(memory, backend, "", new Set(), (name, tensor) => leaf(key(name), tensor));
}

describeGolden("gradients of operations", (dir) => {
  describeOnLearningBackends("operators", (backend) => {
    for (const [op, build] of Object.entries(BUILDS)) {
      it(op, async () => {
        const { cases, source, tolerance } = goldenOp(dir, op);
        for (const test of cases) {
          if (test.attrs.ropeScaling) {
            console.warn(`skipped ${op} ${test.id}: positions are integers here, rope scaling is not supported`);
            continue;
          }
          await checkCase(backend, op, build, test, source, tolerance);
        }
      });
    }

    it("area_resize", async () => {
      const { cases, source, tolerance } = goldenOp(dir, "area_resize");
      for (const test of cases) {
        const [, C, h, w] = shapeOf(source, test.inputs.x);
        const [, , height, width] = shapeOf(source, test.outputs.y);
        const last = (name: string, shape: readonly number[]): Float32Array =>
          channelsLast(valuesOf(source, name), shape);
        const leaves = new Leaves(backend);
        const x = leaves.add("x", Tensor.from(backend, "f32", last(test.inputs.x, [C, h, w]), [h, w, C]));
        const upstream = last(test.upstream.y, [C, height, width]);
        const y = runBackward(backend, leaves, upstream, () => ops.areaResize(x, height, width));
        expectWithin(`${test.id} y`, await y.readF32(), last(test.outputs.y, [C, height, width]), tolerance);
        const dx = await leaves.gradients.get("x")?.readF32();
        expectWithin(`${test.id} dx`, dx ?? [], last(test.grads.x, [C, h, w]), tolerance);
      }
    });
  });
});

async function checkCase(
  backend: Backend,
  op: string,
  build: Build,
  test: GoldenCase,
  source: TensorSource,
  tolerance: { rtol: number; atol: number },
): Promise<void> {
  const isLog = op === "softmax" && test.id === "log_softmax";
  if (isLog) return; // pinned with the losses
  const leaves = new Leaves(backend);
  const inputs = new Map<string, Tensor>();
  const input = (name: string): Tensor => {
    const known = inputs.get(name);
    if (known) return known;
    const tensor = tensorOf(backend, source, test.inputs[name]);
    inputs.set(name, tensor);
    return test.grads[name] ? leaves.add(name, tensor) : tensor;
  };
  const integers = (name: string): Int32Array => integersOf(source, test.inputs[name]);
  const positions = (): Tensor => {
    const ids = integers("positions");
    return Tensor.from(backend, "i32", ids, [ids.length]);
  };
  const attrs = test.attrs as Readonly<Record<string, never>>;
  const leaf = (name: string, tensor: Tensor): void => void leaves.add(name, tensor);
  const run: Run = { backend, source, test, attrs, input, integers, positions, leaf };
  for (const name of Object.keys(test.grads)) if (!name.includes("__")) input(name);
  const y = runBackward(backend, leaves, valuesOf(source, test.upstream.y), () => build(run));
  expectWithin(`${op} ${test.id} y`, await y.readF32(), valuesOf(source, test.outputs.y), tolerance);
  expect(Object.keys(test.grads).length).toBeGreaterThan(0);
  for (const [name, golden] of Object.entries(test.grads)) {
    if (op === "patch_embed" && name === "x") continue; // pixels get no gradient here
    const gradient = leaves.gradients.get(name);
    expectWithin(`${op} ${test.id} d${name}`, (await gradient?.readF32()) ?? [], valuesOf(source, golden), tolerance);
  }
}
