/**
 * A quantised weight matrix [M, C] on a backend, packed for its kernels. Stands beside `Tensor` where a layer's weight may be
 * either; it has no elements to read.
 */
import type { Backend, PackedWeight } from "../backend/backend.ts";
import type { QuantizedWeight } from "../core/quantized-weight.ts";
import { formatShape, shapesEqual } from "../core/shape.ts";
import { ShapeError, WeightsError } from "../util/errors.ts";

export class PackedTensor {
  readonly backend: Backend;
  readonly packed: PackedWeight;

  constructor(backend: Backend, packed: PackedWeight) {
    this.backend = backend;
    this.packed = packed;
  }

  /** @throws UnsupportedError when no kernel takes the weight's groups. */
  static from(backend: Backend, weight: QuantizedWeight): PackedTensor {
    return new PackedTensor(backend, backend.pack(weight));
  }

  /**
   * Takes bytes that the backend packed earlier, without a copy.
   * @throws WeightsError when they are no packed matrix of this shape.
   */
  static adopt(
    backend: Backend,
    { bytes, label }: { readonly bytes: Uint8Array; readonly label: string },
    shape: readonly [M: number, C: number],
  ): PackedTensor {
    const { packedFiles } = backend;
    if (!packedFiles) throw new WeightsError("packed", `the ${backend.name} device takes no packed bytes`);
    const packed = packedFiles.adopt(bytes, label);
    if (!shapesEqual(packed.shape, shape)) {
      throw new WeightsError(
        "packed",
        `${label} has shape ${formatShape(packed.shape)}, expected ${formatShape(shape)}`,
      );
    }
    return new PackedTensor(backend, packed);
  }

  /** [M, C] */
  get shape(): readonly [M: number, C: number] {
    return this.packed.shape;
  }

  /** The first rows, sharing memory; `start` must be 0. @throws ShapeError when out of range. */
  rows(start: number, end: number): PackedTensor {
    if (start !== 0 || !(end >= 0 && end <= this.shape[0])) {
      throw new ShapeError(
        "rows",
        `expected 0, end ≤ ${this.shape[0]}, got ${start}, ${end} of ${formatShape(this.shape)}`,
      );
    }
    return new PackedTensor(this.backend, this.backend.packedRows(this.packed, end));
  }
}
