/**
 * Named tensors of a checkpoint, as layers ask for them: `weights.at("q_proj").tensor("weight", [M, C])`.
 * Shapes are checked at the request; `assertAllUsed` reports what no layer asked for. Knows no file format: a
 * `TensorSource` gives names, dtypes, shapes and host arrays. Quirks of names live in models/<model>/weights.ts.
 */
import type { Backend } from "../backend/backend.ts";
import { type DType, type HostArray, isWeightDType } from "../core/dtype.ts";
import type { QuantizedWeight } from "../core/quantized-weight.ts";
import { formatShape, type Shape, shapesEqual } from "../core/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { assert } from "../util/assert.ts";
import { WeightsError } from "../util/errors.ts";

/** Type and shape of a stored tensor. */
export interface TensorInfo {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Where named tensors come from: one safetensors file, a set of shards, memory, a prefix of another source. */
export interface TensorSource {
  /** For messages: a path or a name. */
  readonly label: string;
  readonly names: readonly string[];
  /** Null when there is no such tensor. */
  info(name: string): TensorInfo | null;
  /** The elements, without a copy where the source is memory-mapped. @throws WeightsError when unreadable. */
  data(name: string): HostArray;
  /**
   * The canonical quantised form of a matrix; null when it is stored dense. Sources without quantised tensors leave this out.
   * `info` and `data` of the same name describe the dequantised matrix. @throws WeightsError when damaged.
   */
  quantized?(name: string): QuantizedWeight | null;
  /** A quantised matrix as bytes in the layout of the backend that runs, kept from an earlier packing; null when there are none. */
  packed?(name: string): Uint8Array | null;
}

/** One place in the tree of names; `at` goes down one level. */
export class Weights {
  readonly #source: TensorSource;
  readonly #backend: Backend;
  readonly #prefix: string;
  readonly #used: Set<string>;
  readonly #onTensor: ((fullName: string, tensor: Tensor) => void) | null;

  /** @param onTensor Sees every dense tensor that a layer asks for: how a trainer finds the parameters. */
  constructor(
    source: TensorSource,
    backend: Backend,
    prefix = "",
    used: Set<string> = new Set(),
    onTensor: ((fullName: string, tensor: Tensor) => void) | null = null,
  ) {
    this.#source = source;
    this.#backend = backend;
    this.#prefix = prefix;
    this.#used = used;
    this.#onTensor = onTensor;
  }

  get backend(): Backend {
    return this.#backend;
  }

  /** The sub-tree `name`. */
  at(name: string | number): Weights {
    return new Weights(this.#source, this.#backend, `${this.#prefix}${name}.`, this.#used, this.#onTensor);
  }

  has(name: string): boolean {
    return this.#source.info(this.#prefix + name) !== null;
  }

  /** Shape of a tensor, or null when it is absent. Does not count as use. */
  shapeOf(name: string): Shape | null {
    return this.#source.info(this.#prefix + name)?.shape ?? null;
  }

  /** @throws WeightsError when the tensor is missing, has another shape, or is no float. */
  tensor(name: string, shape: Shape): Tensor {
    const { fullName, info } = this.#expect(name, shape);
    if (!isWeightDType(info.dtype)) {
      throw new WeightsError("weights", `"${fullName}" has dtype ${info.dtype}, expected f32, bf16 or f16`);
    }
    this.#used.add(fullName);
    const tensor = Tensor.from(this.#backend, info.dtype, this.#source.data(fullName), shape);
    this.#onTensor?.(fullName, tensor);
    return tensor;
  }

  /**
   * The matrix of a linear layer in the form in which the checkpoint holds it: quantised or dense.
   * @throws WeightsError as `tensor` does.
   */
  linearWeight(name: string, shape: readonly [M: number, C: number]): Tensor | QuantizedWeight {
    const { fullName } = this.#expect(name, shape);
    const quantized = this.#source.quantized?.(fullName) ?? null;
    if (!quantized) return this.tensor(name, shape);
    assert(shapesEqual(quantized.shape, shape), `"${fullName}" is quantised in another shape than announced`);
    this.#used.add(fullName);
    return quantized;
  }

  /**
   * The bytes that `linearWeight` would have to be packed into, where the checkpoint keeps them; null where not.
   * @throws WeightsError as `tensor` does.
   */
  packedBytes(name: string, shape: readonly [M: number, C: number]): { bytes: Uint8Array; label: string } | null {
    const { fullName } = this.#expect(name, shape);
    const bytes = this.#source.packed?.(fullName) ?? null;
    if (!bytes) return null;
    this.#used.add(fullName);
    return { bytes, label: `the packed copy of "${fullName}"` };
  }

  #expect(name: string, shape: Shape): { fullName: string; info: TensorInfo } {
    const fullName = this.#prefix + name;
    const info = this.#source.info(fullName);
    if (!info) {
      throw new WeightsError(
        "weights",
        `"${fullName}" is missing in ${this.#source.label}, expected shape ${formatShape(shape)}`,
      );
    }
    if (!shapesEqual(info.shape, shape)) {
      throw new WeightsError(
        "weights",
        `"${fullName}" has shape ${formatShape(info.shape)}, expected ${formatShape(shape)}. Is config.json from another model size?`,
      );
    }
    return { fullName, info };
  }

  /** Marks a tensor, or with a trailing dot a whole sub-tree, as known and not needed. */
  ignore(nameOrPrefix: string): void {
    const full = this.#prefix + nameOrPrefix;
    for (const name of this.#source.names) {
      if (name === full || (full.endsWith(".") && name.startsWith(full))) this.#used.add(name);
    }
  }

  /** @throws WeightsError naming every tensor under this prefix that nobody asked for. */
  assertAllUsed(): void {
    const leftover = this.#source.names.filter((name) => name.startsWith(this.#prefix) && !this.#used.has(name));
    if (leftover.length === 0) return;
    const shown = leftover.slice(0, 12).join(", ");
    const more = leftover.length > 12 ? ` and ${leftover.length - 12} more` : "";
    throw new WeightsError(
      "weights",
      `${this.#source.label} holds ${leftover.length} tensors that the model does not know: ${shown}${more}`,
    );
  }
}
