/**
 * A source whose matrices are rounded when a layer asks for them: quantisation at load. Gives the same codes and scales as a model that
 * `nvila quantize` wrote. Everything that the plan leaves out passes through.
 *
 * Calibrated methods (AWQ, SmoothQuant) change weights and norms before they are rounded; such a change is one more source in front of
 * this one.
 */
import type { TensorInfo, TensorSource } from "../checkpoint/weights.ts";
import { type HostArray, isWeightDType } from "../core/dtype.ts";
import type { QuantizedWeight } from "../core/quantized-weight.ts";
import { RequestError, UnsupportedError } from "../util/errors.ts";
import {
  EMBEDDING,
  isPlanned,
  LM_HEAD,
  planTensor,
  type QuantizeOptions,
  type QuantizePart,
  splitsTiedHead,
} from "./quantize-plan.ts";
import { plainQuantizer, quantizeMatrix, type WeightQuantizer } from "./weight-quantizer.ts";

export interface QuantizingSourceOptions {
  readonly part: QuantizePart;
  readonly quantize: QuantizeOptions;
  /** True when the head is the embedding table. Only looked at for the language model. */
  readonly isHeadTied?: boolean;
  /** Default: plain TypeScript. */
  readonly quantizer?: WeightQuantizer;
}

/**
 * With a tied head that is quantised otherwise than the table, the source shows a `lm_head.weight` of its own; the model must then be
 * built untied (`splitsTiedHead`).
 *
 * @throws RequestError when a matrix is quantised already, or groups do not divide one.
 */
export function quantizingSource(source: TensorSource, options: QuantizingSourceOptions): TensorSource {
  return new QuantizingSource(source, options);
}

class QuantizingSource implements TensorSource {
  readonly label: string;
  readonly names: readonly string[];
  readonly #source: TensorSource;
  readonly #options: QuantizingSourceOptions;
  readonly #hasOwnHead: boolean;

  constructor(source: TensorSource, options: QuantizingSourceOptions) {
    this.label = source.label;
    this.#source = source;
    this.#options = options;
    const { part, quantize, isHeadTied = false } = options;
    this.#hasOwnHead = part === "llm" && isHeadTied && splitsTiedHead(quantize);
    const names = source.names.filter((name) => !this.#hasOwnHead || name !== LM_HEAD);
    this.names = this.#hasOwnHead ? [...names, LM_HEAD] : names;
    for (const name of this.names) this.#expectPossible(name);
  }

  /** Everything that can go wrong by name and shape is found before the first matrix is rounded. */
  #expectPossible(name: string): void {
    const { part, quantize } = this.#options;
    if (!isPlanned(part, name, quantize)) return;
    const info = this.info(name);
    if (!info || !planTensor(part, name, info.shape, quantize)) return;
    if (this.#source.quantized?.(this.#stored(name))) {
      throw new RequestError(
        "quantize",
        `"${name}" in ${this.label} is quantised already. You can quantise the original model, or leave this part as it is`,
      );
    }
    if (!isWeightDType(info.dtype)) {
      throw new UnsupportedError(
        "quantize",
        `"${name}" in ${this.label} has dtype ${info.dtype}, expected f32, bf16 or f16`,
      );
    }
  }

  /** The name under which the source holds `name`. */
  #stored(name: string): string {
    return this.#hasOwnHead && name === LM_HEAD ? EMBEDDING : name;
  }

  info(name: string): TensorInfo | null {
    return this.#source.info(this.#stored(name));
  }

  data(name: string): HostArray {
    return this.#source.data(this.#stored(name));
  }

  quantized(name: string): QuantizedWeight | null {
    const { part, quantize, quantizer = plainQuantizer } = this.#options;
    const info = isPlanned(part, name, quantize) ? this.info(name) : null;
    const plan = info && planTensor(part, name, info.shape, quantize);
    if (!plan || !isWeightDType(info.dtype)) return this.#source.quantized?.(this.#stored(name)) ?? null;
    const [rows, columns] = info.shape;
    const data = this.data(name) as Float32Array | Uint16Array;
    return quantizeMatrix(name, { dtype: info.dtype, data, rows, columns }, plan, quantizer);
  }
}
