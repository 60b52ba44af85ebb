/**
 * The table of op cases, its part of gradients, losses and the optimiser. An operation with several results writes them behind each other
 * into one output; where results are added to, the output begins as the last input.
 */
import type { Backend, Operand } from "../../src/backend/backend.ts";
import { type TrainingBackend, trainingOf } from "../../src/backend/training-backend.ts";
import { elementCount, type Shape } from "../../src/core/shape.ts";
import type { AttentionSizes } from "./attention-cases.ts";
import type { OpCase } from "./cases.ts";
import { type InputSpec, sizes } from "./inputs.ts";

export type BackwardOpName = Exclude<keyof TrainingBackend, "sigmoidContrastive" | "muon">;

const DTYPES = ["f32", "bf16", "f16"] as const;
const x = (shape: Shape, more: Partial<InputSpec> = {}): InputSpec => ({ dtype: "f32", shape, ...more });

interface Backward {
  readonly op: BackwardOpName;
  readonly name: string;
  /** Shapes of the results. */
  readonly results: readonly Shape[];
  readonly inputs: readonly InputSpec[];
  readonly terms?: readonly number[];
  readonly weights?: readonly number[];
  /** Results begin as noise and are added to. */
  readonly addsTo?: boolean;
  /** What a result begins as where it is added to or changed; default: noise. */
  readonly start?: InputSpec["fill"];
  run(training: TrainingBackend, results: readonly Operand[], inputs: readonly Operand[]): void;
}

function backward({ op, name, results, inputs, terms, weights, addsTo, start, run }: Backward): OpCase {
  const total = results.reduce((sum, shape) => sum + elementCount(shape), 0);
  const first = addsTo ? [x([total], start ? { fill: start } : {})] : [];
  return {
    op,
    name,
    out: [total],
    inputs: [...inputs, ...first],
    ...(weights && { weights }),
    ...(terms && { terms: addsTo ? [...terms, inputs.length] : terms }),
    run: (backend: Backend, out, operands) => {
      if (addsTo) backend.copy(out.storage, 0, operands[inputs.length].storage);
      let offset = 0;
      const parts = results.map((shape): Operand => {
        const storage = backend.view(out.storage, offset, elementCount(shape));
        offset += storage.length;
        return { storage, shape, dtype: "f32" };
      });
      run(trainingOf(backend), parts, operands);
    },
  };
}

const linearSizes = [
  [1, 1, 1],
  [5, 7, 9],
  [6, 16, 16],
  [7, 17, 33],
  [64, 48, 96],
  [130, 65, 31],
  [31, 400, 17],
  [500, 24, 40],
  [13, 9, 410],
  [1000, 3, 2],
  [2, 800, 70],
] as const;

/** Both gradients of a linear layer. */
export const linearBackward = ([T, C, M]: readonly [number, number, number], i = 0): OpCase[] => [
  backward({
    op: "linearBackwardInput",
    name: sizes({ T, C, M, weight: DTYPES[i % 3] }),
    results: [[T, C]],
    inputs: [x([T, M]), { dtype: DTYPES[i % 3], shape: [M, C] }],
    weights: [1],
    terms: [0, 1],
    run: (training, [dx], [dy, weight]) => training.linearBackwardInput(dx, dy, weight),
  }),
  backward({
    op: "linearBackwardWeight",
    name: sizes({ T, C, M }),
    results: [[M, C], [M]],
    inputs: [x([T, M]), x([T, C])],
    terms: [0, 1],
    addsTo: true,
    run: (training, [dWeight, dBias], [dy, input]) =>
      training.linearBackwardWeight(dWeight, i % 4 === 3 ? null : dBias, dy, input),
  }),
];
const linearCases = linearSizes.flatMap(linearBackward);

const normCases = [1, 2, 7, 8, 9, 16, 17, 36, 100, 1152].flatMap((C, i): OpCase[] => {
  const T = [1, 3, 40, 130][i % 4];
  const dtype = DTYPES[i % 3];
  const inputs = [
    x([T, C]),
    x([T, C], { fill: (_, noise) => 2 * noise() + 0.5 }),
    { dtype, shape: [C], fill: (_: number, noise: () => number) => 1 + 0.5 * noise() },
  ];
  return [
    backward({
      op: "layerNormBackward",
      name: sizes({ T, C, weight: dtype }),
      results: [[T, C], [C], [C]],
      inputs,
      weights: [2],
      addsTo: true,
      run: (training, [dx, dWeight, dBias], [dy, input, weight]) =>
        training.layerNormBackward(dx, dWeight, dBias, dy, input, weight, 1e-6),
    }),
    backward({
      op: "rmsNormBackward",
      name: sizes({ T, C, weight: dtype }),
      results: [[T, C], [C]],
      inputs,
      weights: [2],
      addsTo: true,
      run: (training, [dx, dWeight], [dy, input, weight]) =>
        training.rmsNormBackward(dx, i % 4 === 2 ? null : dWeight, dy, input, weight, 1e-6),
    }),
  ];
});

interface AttentionCase extends AttentionSizes {
  readonly q?: readonly number[];
  readonly k?: readonly number[];
}

const attentionCases = (
  [
    { T: 1, S: 1, H: 1, Hkv: 1, D: 4, causal: true },
    { T: 7, S: 7, H: 4, Hkv: 2, D: 8, causal: true },
    { T: 9, S: 21, H: 3, Hkv: 3, D: 18, causal: false },
    { T: 5, S: 37, H: 3, Hkv: 1, D: 5, causal: true },
    { T: 64, S: 64, H: 2, Hkv: 1, D: 64, causal: true },
    { T: 100, S: 100, H: 4, Hkv: 2, D: 32, causal: true },
    { T: 65, S: 65, H: 2, Hkv: 2, D: 72, causal: false },
    { T: 300, S: 300, H: 1, Hkv: 1, D: 16, causal: true },
    { T: 75, S: 75, H: 2, Hkv: 2, D: 18, causal: false, q: [0, 25, 50, 75], k: [0, 25, 50, 75] },
    { T: 40, S: 40, H: 4, Hkv: 2, D: 16, causal: true, q: [0, 1, 18, 40], k: [0, 1, 18, 40] },
    // The shorter one needs more working memory.
    { T: 1008, S: 1008, H: 1, Hkv: 1, D: 32, causal: true, q: [0, 496, 1008], k: [0, 496, 1008] },
    { T: 9, S: 12, H: 2, Hkv: 2, D: 8, causal: false, q: [0, 0, 4, 4, 9], k: [0, 3, 7, 7, 12] },
  ] satisfies AttentionCase[]
).map((size: AttentionCase): OpCase => {
  const { T, S, H, Hkv, D, causal, q, k } = size;
  const options = {
    scale: D ** -0.5,
    causal,
    cuSeqlensQ: q ? Int32Array.from(q) : null,
    cuSeqlensK: k ? Int32Array.from(k) : null,
  };
  const fill = (_: number, noise: () => number): number => 1.5 * noise();
  return {
    op: "attentionBackward",
    name: sizes({ ...size }),
    out: [T * H * D + 2 * S * Hkv * D],
    inputs: [x([T, H, D], { fill }), x([S, Hkv, D], { fill }), x([S, Hkv, D]), x([T, H, D])],
    run: (backend, out, [queries, keys, values, dOut]) => {
      const results: Operand = { storage: backend.alloc("f32", T * H * D), shape: [T, H, D], dtype: "f32" };
      backend.attention(results, queries, keys, values, options);
      let offset = 0;
      const [dq, dk, dv] = [queries, keys, values].map(({ shape }): Operand => {
        const storage = backend.view(out.storage, offset, elementCount(shape));
        offset += storage.length;
        return { storage, shape, dtype: "f32" };
      });
      trainingOf(backend).attentionBackward(dq, dk, dv, queries, keys, values, results, dOut, options);
      backend.free(results.storage);
    },
  };
});

const ropeCases = [2, 4, 14, 16, 18, 64, 128].map((D, i) =>
  backward({
    op: "ropeBackward",
    name: sizes({ D }),
    results: [[5 + i, 3, D]],
    inputs: [x([5 + i, 3, D]), { dtype: "i32", shape: [5 + i], fill: (t) => (t * 37) % 900 }],
    run: (training, [dx], [dy, positions]) => training.ropeBackward(dx, dy, positions, i % 2 ? 1e4 : 1e6),
  }),
);

const functionCases = [0, 1, 7, 8, 9, 1000, 16385].flatMap((n): OpCase[] => [
  ...(["tanh", "erf"] as const).map((kind) =>
    backward({
      op: "geluBackward",
      name: `${kind}, ${sizes({ n })}`,
      results: [[n]],
      inputs: [x([n]), x([n], { fill: (i) => (n === 1 ? 0.7 : (24 * i) / (n - 1) - 12) })],
      run: (training, [dx], [dy, input]) => training.geluBackward(dx, dy, input, kind),
    }),
  ),
  backward({
    op: "swigluBackward",
    name: sizes({ n }),
    results: [[n], [n]],
    inputs: [x([n]), x([n], { fill: (i) => (n === 1 ? 0.7 : (60 * i) / (n - 1) - 30) }), x([n])],
    run: (training, [dGate, dUp], [dy, gate, up]) => training.swigluBackward(dGate, dUp, dy, gate, up),
  }),
  backward({
    op: "accumulate",
    name: sizes({ n }),
    results: [[n]],
    inputs: [x([n])],
    addsTo: true,
    run: (training, [target], [source]) => training.accumulate(target, source),
  }),
  backward({
    op: "sumOfSquares",
    name: sizes({ n }),
    results: [[1]],
    inputs: [x([n])],
    run: (training, [out], [input]) => training.sumOfSquares(out, input),
  }),
  backward({
    op: "adamw",
    name: sizes({ n }),
    results: [[n], [n], [n]],
    inputs: [x([n], { fill: (i, noise) => noise() * 10 ** -(i % 9) })],
    addsTo: true,
    start: (_, noise) => 0.3 + 0.2 * noise(),
    run: (training, [p, m, v], [gradient]) =>
      training.adamw(p, m, v, gradient, {
        learningRate: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weightDecay: n % 2 ? 0.1 : 0,
        step: 1 + (n % 5),
        gradientScale: n === 8 ? 0.5 : 1,
      }),
  }),
]);

const tableCases: OpCase[] = [
  ...[
    [1, 1, 1],
    [50, 7, 36],
    [33, 100, 65],
    [300, 20, 256],
  ].map(([T, V, C]) =>
    backward({
      op: "embeddingBackward",
      name: sizes({ T, V, C }),
      results: [[V, C]],
      inputs: [{ dtype: "i32", shape: [T], fill: (t) => (t * t * 7 + V - 1) % V }, x([T, C])],
      terms: [1],
      addsTo: true,
      run: (training, [dTable], [ids, dy]) => training.embeddingBackward(dTable, ids, dy),
    }),
  ),
  ...[
    [2, 28, 7, 10],
    [1, 20, 6, 5],
    [3, 56, 14, 33],
  ].map(([B, S, patch, C]) => {
    const P = Math.floor(S / patch) ** 2;
    return backward({
      op: "patchEmbedBackward",
      name: sizes({ B, S, patch, C }),
      results: [[C, 3, patch, patch], [C], [P, C]],
      inputs: [x([B * P, C]), x([B, 3, S, S])],
      terms: [0, 1],
      addsTo: true,
      run: (training, [dWeight, dBias, dPosition], [dy, pixels]) =>
        training.patchEmbedBackward(dWeight, dBias, dPosition, dy, pixels),
    });
  }),
];

const mapCases: OpCase[] = [
  ...[
    [1, 1, 1, 1],
    [2, 5, 6, 2],
    [3, 5, 36, 3],
    [1, 4, 17, 2],
  ].map(([B, s, C, k]) => {
    const t = Math.ceil(s / k);
    return backward({
      op: "spaceToChannelBackward",
      name: sizes({ B, s, C, k }),
      results: [[B, s, s, C]],
      inputs: [x([B, t, t, k * k * C])],
      run: (training, [dx], [dy]) => training.spaceToChannelBackward(dx, dy, k),
    });
  }),
  ...[
    [4, 4, 12, 12, 8],
    [12, 12, 4, 4, 5],
    [7, 5, 3, 9, 17],
    [5, 5, 5, 5, 3],
  ].map(([h, w, height, width, C]) =>
    backward({
      op: "areaResizeBackward",
      name: sizes({ h, w, height, width, C }),
      results: [[h, w, C]],
      inputs: [x([height, width, C])],
      terms: [0],
      run: (training, [dx], [dy]) => training.areaResizeBackward(dx, dy),
    }),
  ),
  ...[
    [8, 4, 4, 9, 8, 2, 2],
    [6, 6, 9, 7, 3, 2, 3],
    [4, 2, 2, 33, 1, 1, 1],
  ].map(([F, h, w, C, pt, ph, pw]) =>
    backward({
      op: "pool3dBackward",
      name: sizes({ F, h, w, C, pt, ph, pw }),
      results: [[F, h, w, C]],
      inputs: [x([F / pt, h / ph, w / pw, C])],
      terms: [0],
      run: (training, [dx], [dy]) => training.pool3dBackward(dx, dy, [pt, ph, pw]),
    }),
  ),
  ...[
    [1, 3, 0, 3],
    [7, 30, 11, 9],
    [40, 8, 7, 1],
  ].map(([T, width, column, C]) =>
    backward({
      op: "takeColumns",
      name: sizes({ T, width, column, C }),
      results: [[T, C]],
      inputs: [x([T, width])],
      run: (training, [out], [input]) => training.takeColumns(out, input, column),
    }),
  ),
];

const lossCases: OpCase[] = [
  [1, 1, 1],
  [3, 9, 1],
  [17, 300, 1],
  [65, 37, 1],
  [5, 1030, 60],
].map(([T, V, size]) => {
  const soft = V === 300;
  return backward({
    op: "crossEntropy",
    name: sizes({ T, V, size, soft }),
    results: [[T, V], [T]],
    inputs: [
      { dtype: "i32", shape: [T], fill: (t) => (t % 4 === 3 ? -100 : (t * 31) % V) },
      x([T], { fill: (_, noise) => 1 + 0.5 * noise() }),
      { dtype: "i32", shape: [5], fill: (i) => 31 * 5 + 3 * i },
    ],
    addsTo: true,
    start: (_, noise) => 3 * size * noise(),
    run: (training, [logits, losses], [targets, weights, ids]) =>
      training.crossEntropy(losses, logits, targets, weights, soft ? { ids, std: 1.5 } : null),
  });
});

export const BACKWARD_CASES: readonly OpCase[] = [
  ...linearCases,
  ...normCases,
  ...attentionCases,
  ...ropeCases,
  ...functionCases,
  ...tableCases,
  ...mapCases,
  ...lossCases,
];
