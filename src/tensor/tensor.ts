/**
 * A tensor: memory of one backend with a shape. Immutable by convention (only KV caches write into theirs, through
 * `copyInto`). Views share memory; `root` is the allocation behind them, for scopes and
 * the tape, `offset` where in it they begin.
 */
import type { Backend, Operand, Storage } from "../backend/backend.ts";
import type { DType, HostArray } from "../core/dtype.ts";
import { elementCount, formatShape, type Shape } from "../core/shape.ts";
import { ShapeError } from "../util/errors.ts";

/** Memory of one backend, with a shape. */
export class Tensor implements Operand {
  readonly backend: Backend;
  readonly storage: Storage;
  readonly shape: Shape;
  readonly root: Storage;
  /** Elements of `root` in front of this tensor. */
  readonly offset: number;

  constructor(backend: Backend, storage: Storage, shape: Shape, root: Storage = storage, offset = 0) {
    if (storage.length !== elementCount(shape)) {
      throw new ShapeError(
        "tensor",
        `shape ${formatShape(shape)} needs ${elementCount(shape)} elements, got ${storage.length}`,
      );
    }
    this.backend = backend;
    this.storage = storage;
    this.shape = shape;
    this.root = root;
    this.offset = offset;
  }

  /** Takes host data without a copy on host backends. */
  static from(backend: Backend, dtype: DType, data: HostArray, shape: Shape): Tensor {
    return new Tensor(backend, backend.wrap(dtype, data), shape);
  }

  get dtype(): DType {
    return this.storage.dtype;
  }

  /** Same memory, another shape with as many elements. @throws ShapeError otherwise. */
  reshape(shape: Shape): Tensor {
    return new Tensor(this.backend, this.storage, shape, this.root, this.offset);
  }

  /** Rows [start, end) of the first axis, sharing memory. @throws ShapeError when out of range. */
  rows(start: number, end: number): Tensor {
    const [count, ...rest] = this.shape;
    if (count === undefined || !(start >= 0 && start <= end && end <= count)) {
      throw new ShapeError(
        "rows",
        `expected 0 ≤ start ≤ end ≤ ${count}, got ${start}, ${end} of ${formatShape(this.shape)}`,
      );
    }
    const width = elementCount(rest);
    const view = this.backend.view(this.storage, start * width, (end - start) * width);
    return new Tensor(this.backend, view, [end - start, ...rest], this.root, this.offset + start * width);
  }

  /** Copies the elements to the host, in their own dtype (bf16 and f16 as bits): to `into`, which has as many, or to a new array. */
  read(into?: HostArray): Promise<HostArray> {
    return this.backend.read(this.storage, into);
  }

  /** Copies f32 elements to the host. @throws ShapeError never; the dtype must be f32. */
  async readF32(into?: Float32Array): Promise<Float32Array> {
    return (await this.read(into)) as Float32Array;
  }
}
