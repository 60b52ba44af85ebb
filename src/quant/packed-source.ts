/**
 * A source whose packed linear layers look like ordinary weights: `<layer>.weight` in place of qweight, qzeros, scales and so on, with
 * the canonical form behind `quantized`. Shapes of all parts are checked at once, data is read per layer. Everything else passes
 * through. This is all that the rest of the house sees of a file format.
 */
import type { StoredInfo, StoredTensors } from "../checkpoint/stored-tensors.ts";
import type { TensorInfo } from "../checkpoint/weights.ts";
import type { HostArray } from "../core/dtype.ts";
import { dequantize, type QuantizedWeight } from "../core/quantized-weight.ts";
import { assert } from "../util/assert.ts";
import { WeightsError } from "../util/errors.ts";
import { type PackedFormat, type PackedLinear, PartReader } from "./packed-parts.ts";
import { announcedFormats, guessedFormats, type QuantizationFiles } from "./quantization-config.ts";

export interface PackedSourceOptions extends QuantizationFiles {
  /** Where the configuration comes from, for messages. */
  readonly configLabel: string;
  /** Told once when layers have no canonical form and become dense. */
  readonly onWarning?: (message: string) => void;
}

/** All endings that mean a packed tensor in some format, those that are not read included. */
const MARKERS: readonly string[] = [
  ".qweight",
  ".qzeros",
  ".scaled_zeros",
  ".weight_packed",
  ".weight_scale",
  ".weight_zero_point",
];

/**
 * `source` itself when nothing in it is packed.
 * @throws WeightsError when parts are missing, of another shape or of several formats; ConfigError and UnsupportedError for the
 * description.
 */
export function unpackedSource(source: StoredTensors, options: PackedSourceOptions): StoredTensors {
  const announced = announcedFormats(options, options.configLabel);
  const packed = source.names.find((name) => MARKERS.some((marker) => name.endsWith(marker)));
  if (packed === undefined) return source; // announced for another part, or kept dense
  const formats = announced ?? guessedFormats(source, packed);
  return new PackedSource(source, formats, options.onWarning ?? (() => {}));
}

class PackedSource implements StoredTensors {
  readonly label: string;
  readonly names: readonly string[];
  readonly sizeBytes: number;
  readonly #source: StoredTensors;
  /** By `<layer>.weight`. */
  readonly #linears = new Map<string, PackedLinear>();
  readonly #dense = new Map<string, boolean>();
  readonly #hidden = new Set<string>();
  readonly #onWarning: (message: string) => void;
  #hasWarned = false;

  constructor(source: StoredTensors, formats: readonly PackedFormat[], onWarning: (message: string) => void) {
    this.label = source.label;
    this.sizeBytes = source.sizeBytes;
    this.#source = source;
    this.#onWarning = onWarning;
    for (const format of formats) {
      for (const name of source.names) {
        if (name.endsWith(format.marker)) this.#add(name.slice(0, -format.marker.length), format);
      }
    }
    this.#expectNoOther(formats);
    const plain = source.names.filter((name) => !this.#hidden.has(name));
    this.names = [...plain, ...this.#linears.keys()];
  }

  #add(layer: string, format: PackedFormat): void {
    const name = `${layer}.weight`;
    if (this.#linears.has(name)) return; // both formats of compressed-tensors have weight_scale
    const linear = format.linear(new PartReader(this.#source, layer, format.name));
    if (this.#source.info(name) && !linear.parts.includes(name)) {
      throw new WeightsError(
        "quantized",
        `"${name}" in ${this.label} is there twice: packed (${format.name}) and dense`,
      );
    }
    this.#linears.set(name, linear);
    for (const part of linear.parts) this.#hidden.add(part);
  }

  /** Tensors of another packed format, or parts without the rest. */
  #expectNoOther(formats: readonly PackedFormat[]): void {
    const suffixes = [...new Set([...MARKERS, ...formats.flatMap((format) => format.suffixes)])];
    const stray = this.#source.names.find(
      (name) => !this.#hidden.has(name) && suffixes.some((suffix) => name.endsWith(suffix)),
    );
    if (stray === undefined) return;
    const names = formats.map((format) => format.name).join(" and ");
    throw new WeightsError(
      "quantized",
      `"${stray}" in ${this.label} is no tensor of ${names}: mixed formats are not read`,
    );
  }

  stored(name: string): StoredInfo | null {
    const linear = this.#linears.get(name);
    if (!linear) return this.#hidden.has(name) ? null : this.#source.stored(name);
    const byteLength = linear.parts.reduce((bytes, part) => bytes + (this.#source.stored(part)?.byteLength ?? 0), 0);
    return { storedDType: `INT${linear.bits}`, shape: linear.shape, byteLength };
  }

  info(name: string): TensorInfo | null {
    const linear = this.#linears.get(name);
    if (linear) return { dtype: this.#isDense(name, linear) ? "f16" : "f32", shape: linear.shape };
    return this.#hidden.has(name) ? null : this.#source.info(name);
  }

  data(name: string): HostArray {
    const linear = this.#linears.get(name);
    if (!linear) return this.#source.data(name);
    if (!this.#isDense(name, linear)) return dequantize(linear.quantized());
    assert(linear.dense !== undefined, `"${name}" has neither a canonical nor a dense form`);
    return linear.dense();
  }

  quantized(name: string): QuantizedWeight | null {
    const linear = this.#linears.get(name);
    return linear && !this.#isDense(name, linear) ? linear.quantized() : null;
  }

  #isDense(name: string, linear: PackedLinear): boolean {
    const known = this.#dense.get(name);
    if (known !== undefined) return known;
    const isDense = linear.isDense?.() ?? false;
    this.#dense.set(name, isDense);
    if (isDense && !this.#hasWarned) {
      this.#hasWarned = true;
      this.#onWarning(
        `"${name}" in ${this.label} has groups in scattered order or zero points that are no integers, which no kernel reads; ` +
          "such layers are kept as 16-bit numbers, four times as large",
      );
    }
    return isDense;
  }
}
