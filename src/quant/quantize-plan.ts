/**
 * Which matrices of a model become quantised, and how. Linear layers of the decoder blocks and of the vision tower's encoder layers, as
 * the original quantises them; the head and the embedding table only when asked. Norms, biases, convolutions, position tables and the
 * projector stay as they are. Names are those of the native layout, without the part's prefix.
 * Source: llm-awq `awq/quantize/pre_quant.py get_named_linears` (blocks only) and `awq/quantize/w8a8_linear.py` (q, k, v, out_proj,
 * fc1, fc2).
 */
import { KERNEL_GROUP_SIZES } from "../core/quantized-weight.ts";
import { RequestError } from "../util/errors.ts";

export const LLM_QUANTIZATIONS = ["w4a16", "w8a8"] as const;
export const VISION_QUANTIZATIONS = ["w8a8"] as const;
export const TABLE_QUANTIZATIONS = ["int4", "int8"] as const;

/** w4a16: int4 in groups. w8a8: int8 per output channel, activations int8 per token. */
export type LlmQuantization = (typeof LLM_QUANTIZATIONS)[number];
export type VisionQuantization = (typeof VISION_QUANTIZATIONS)[number];
export type TableQuantization = (typeof TABLE_QUANTIZATIONS)[number];

/** What becomes of a model's matrices; what is left out stays as it is stored. */
export interface QuantizeOptions {
  /** Linear layers of the decoder blocks. Default: as stored. */
  readonly llm?: LlmQuantization;
  /** Linear layers of the vision tower. Default: as stored. */
  readonly vision?: VisionQuantization;
  /** Inputs that share a scale in int4: 128 (default), 64 or 32. */
  readonly groupSize?: number;
  /** True: int4 without zero points. Default false. */
  readonly isSymmetric?: boolean;
  /** The head. Default: as stored. A tied one becomes a matrix of its own unless the embedding is quantised alike. */
  readonly lmHead?: TableQuantization;
  /** The embedding table, and with it a tied head. Default: as stored. */
  readonly embedding?: TableQuantization;
}

export type QuantizePart = "llm" | "vision" | "projector";

/** How one matrix is rounded. Scales of int4 are stored as halves, so codes follow the rounded scale. */
export type TensorPlan =
  | { readonly format: "int4"; readonly groupSize: number; readonly isSymmetric: boolean; readonly scaleDType: "f16" }
  | { readonly format: "int8" };

export const EMBEDDING = "model.embed_tokens.weight";
export const LM_HEAD = "lm_head.weight";

const DECODER_LINEAR = /^model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight$/;
const ENCODER_LINEAR = /(^|\.)encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])\.weight$/;

/** @throws RequestError when an option has a value that is not known. */
export function checkQuantizeOptions(options: QuantizeOptions): void {
  const { groupSize = KERNEL_GROUP_SIZES[0] } = options;
  const expect = (name: string, value: string | undefined, known: readonly string[]): void => {
    if (value === undefined || known.includes(value)) return;
    throw new RequestError("quantize", `expected ${name} to be ${known.join(" or ")}, got ${JSON.stringify(value)}`);
  };
  expect("llm", options.llm, LLM_QUANTIZATIONS);
  expect("vision", options.vision, VISION_QUANTIZATIONS);
  expect("lmHead", options.lmHead, TABLE_QUANTIZATIONS);
  expect("embedding", options.embedding, TABLE_QUANTIZATIONS);
  if (!KERNEL_GROUP_SIZES.includes(groupSize)) {
    throw new RequestError("quantize", `expected a group size of ${KERNEL_GROUP_SIZES.join(", ")}, got ${groupSize}`);
  }
}

/** True when nothing would be quantised. */
export function isNothing({ llm, vision, lmHead, embedding }: QuantizeOptions): boolean {
  return llm === undefined && vision === undefined && lmHead === undefined && embedding === undefined;
}

/** True when a tied head becomes a matrix of its own: it is to be quantised, and not as the table is. */
export function splitsTiedHead({ lmHead, embedding }: QuantizeOptions): boolean {
  return lmHead !== undefined && lmHead !== embedding;
}

/** True when the plan names this tensor, whatever its shape is. */
export function isPlanned(part: QuantizePart, name: string, options: QuantizeOptions): boolean {
  return quantizationOf(part, name, options) !== undefined;
}

/**
 * How the matrix `name` of `part` is to be rounded; null: it stays.
 * @throws RequestError when int4 groups do not divide its inputs.
 */
export function planTensor(
  part: QuantizePart,
  name: string,
  shape: readonly number[],
  options: QuantizeOptions,
): TensorPlan | null {
  if (shape.length !== 2) return null;
  const wanted = quantizationOf(part, name, options);
  if (wanted === undefined) return null;
  if (wanted === "w8a8" || wanted === "int8") return { format: "int8" };
  const { groupSize = KERNEL_GROUP_SIZES[0], isSymmetric = false } = options;
  const [, C] = shape;
  if (C % groupSize !== 0) {
    const fitting = KERNEL_GROUP_SIZES.filter((size) => C % size === 0);
    const wayOut =
      fitting.length > 0 ? `You can take groups of ${fitting.join(" or ")}` : "You can take w8a8, which has no groups";
    throw new RequestError(
      "quantize",
      `"${name}" has ${C} inputs, which groups of ${groupSize} do not divide. ${wayOut}`,
    );
  }
  return { format: "int4", groupSize, isSymmetric, scaleDType: "f16" };
}

function quantizationOf(
  part: QuantizePart,
  name: string,
  options: QuantizeOptions,
): LlmQuantization | TableQuantization | undefined {
  if (part === "vision") return ENCODER_LINEAR.test(name) ? options.vision : undefined;
  if (part !== "llm") return undefined;
  if (name === LM_HEAD) return options.lmHead;
  if (name === EMBEDDING) return options.embedding;
  return DECODER_LINEAR.test(name) ? options.llm : undefined;
}
