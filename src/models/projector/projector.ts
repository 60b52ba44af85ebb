/**
 * The projector from vision features to language-model embeddings: one Sequential, described by a table per type. A layer's place in
 * the list is its index in the checkpoint, parameter-free layers included. LayerNorm eps and the exact GELU are PyTorch's defaults, unlike SigLIP's.
 * Source: NVILA paper §3.1.1 (spatial compression); VILA `llava/model/multimodal_projector/base_projector.py` at b760c34.
 */
import type { Weights } from "../../checkpoint/weights.ts";
import { formatShape } from "../../core/shape.ts";
import { linear } from "../../nn/linear.ts";
import { LayerNorm } from "../../nn/norm.ts";
import * as ops from "../../tensor/ops.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ShapeError, UnsupportedError } from "../../util/errors.ts";

/** One layer of the Sequential. */
type LayerSpec =
  | { readonly op: "space-to-channel"; readonly k: number }
  | { readonly op: "norm"; readonly width: number }
  | { readonly op: "linear"; readonly in: number; readonly out: number }
  | { readonly op: "gelu" };

const LAYER_NORM_EPS = 1e-5;

const pack = (k: number): LayerSpec => ({ op: "space-to-channel", k });
const norm = (width: number): LayerSpec => ({ op: "norm", width });
const dense = (inputs: number, outputs: number): LayerSpec => ({ op: "linear", in: inputs, out: outputs });
const gelu: LayerSpec = { op: "gelu" };

/** A k×k window, then norm → linear → gelu from each of `widths` to the next, the last one being H, then linear H → H. */
const downsample = (k: number, widths: readonly number[], H: number): LayerSpec[] => [
  pack(k),
  ...widths.flatMap((width, i) => [norm(width), dense(width, widths[i + 1] ?? H), gelu]),
  dense(H, H),
];

/** Type → layers; m = width of the vision features, H = width of the language model. */
const LAYERS: Readonly<Record<string, (m: number, H: number) => LayerSpec[]>> = {
  identity: () => [],
  linear: (m, H) => [dense(m, H)],
  mlp_downsample: (m, H) => downsample(2, [4 * m], H), // KEEPS: since NVILA the same as its _fix
  mlp_downsample_2x2_fix: (m, H) => downsample(2, [4 * m], H),
  mlp_downsample_3x3_fix: (m, H) => downsample(3, [9 * m, 3 * m], H),
  mlp_downsample_3x3_s2: (m, H) => downsample(3, [9 * m, 3 * m, m, Math.floor(m / 3)], H),
  mlp_downsample_3x3_s2_new: (m, H) => downsample(3, [9 * m, 4 * m, 2 * m, m, Math.floor(m / 3)], H),
};

/** @throws UnsupportedError for a type that the original does not know. */
function layersOf(type: string, m: number, H: number): LayerSpec[] {
  const depth = /^mlp(\d+)x_gelu$/.exec(type);
  if (depth) return [dense(m, H), ...Array.from({ length: Number(depth[1]) - 1 }, () => [gelu, dense(H, H)]).flat()];
  if (Object.hasOwn(LAYERS, type)) return LAYERS[type](m, H);
  throw new UnsupportedError(
    "projector",
    `mm_projector_type must be one of ${Object.keys(LAYERS).join(", ")} or mlp<N>x_gelu, got "${type}"`,
  );
}

type Forward = (x: Tensor) => Tensor;

export class Projector {
  readonly type: string;
  /** Width of its output rows. */
  readonly outputWidth: number;
  /** Side of the window of tokens that become one; 1 when tokens keep their number. */
  readonly downsampleRate: number;
  readonly #layers: readonly Forward[];
  readonly #floatsPerToken: number;

  constructor(w: Weights, cfg: { type: string; inputWidth: number; outputWidth: number }) {
    const specs = layersOf(cfg.type, cfg.inputWidth, cfg.outputWidth);
    this.type = cfg.type;
    this.outputWidth = cfg.type === "identity" ? cfg.inputWidth : cfg.outputWidth;
    this.downsampleRate = specs[0]?.op === "space-to-channel" ? specs[0].k : 1;
    const place = (index: number): Weights => (cfg.type === "linear" ? w.at("layers") : w.at("layers").at(index));
    this.#layers = specs.map((spec, index) => buildLayer(spec, place(index)));
    const widest = Math.max(
      cfg.inputWidth,
      ...specs.map((spec) => (spec.op === "linear" ? Math.max(spec.in, spec.out) : 0)),
    );
    this.#floatsPerToken = cfg.inputWidth + (3 * widest) / this.downsampleRate ** 2;
  }

  /** Tokens that a block of `tokens` leaves: a square grid of ⌈side / k⌉. */
  tokensOut(tokens: number): number {
    return this.downsampleRate === 1 ? tokens : Math.ceil(Math.sqrt(tokens) / this.downsampleRate) ** 2;
  }

  /** Most memory that the activations of a block of `tokens` need at one time, its input included. */
  activationBytesPerBlock(tokens: number): number {
    return tokens * this.#floatsPerToken * Float32Array.BYTES_PER_ELEMENT;
  }

  /** x[B, N, C] → [B, n, H], n = ⌈√N / k⌉². @throws ShapeError when a windowed type gets no square grid. */
  forward(x: Tensor): Tensor {
    return this.#layers.reduce((y, layer) => layer(y), x);
  }
}

function buildLayer(spec: LayerSpec, w: Weights): Forward {
  switch (spec.op) {
    case "space-to-channel":
      return (x) => squareSpaceToChannel(x, spec.k);
    case "norm": {
      const layer = new LayerNorm(w, spec.width, LAYER_NORM_EPS);
      return (x) => layer.forward(x);
    }
    case "linear": {
      const layer = linear(w, { in: spec.in, out: spec.out, bias: true });
      return (x) => layer.forward(x);
    }
    case "gelu":
      return (x) => ops.gelu(x, "erf");
    default:
      return spec satisfies never;
  }
}

/** x[B, s·s, C] → [B, t·t, k²C], t = ⌈s / k⌉; zeros pad below and right, before any norm. */
function squareSpaceToChannel(x: Tensor, k: number): Tensor {
  const [B, N, C] = x.shape;
  const s = Math.round(Math.sqrt(N));
  if (s * s !== N)
    throw new ShapeError("projector", `expected a square grid of tokens, got ${N} in x ${formatShape(x.shape)}`);
  const packed = ops.spaceToChannel(x.reshape([B, s, s, C]), k); // [B, t, t, k²C]
  const [, t, , width] = packed.shape;
  return packed.reshape([B, t * t, width]); // [B, t², k²C]
}
