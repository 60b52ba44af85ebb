/** A table of rows looked up by id. The table keeps the form of the checkpoint; rows come out as f32. */
import type { Weights } from "../checkpoint/weights.ts";
import * as ops from "../tensor/ops.ts";
import type { PackedTensor } from "../tensor/packed-tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { matrix } from "./linear.ts";

export class Embedding {
  /** [V, C] */
  readonly table: Tensor | PackedTensor;

  constructor(w: Weights, size: { rows: number; width: number }) {
    this.table = matrix(w, "weight", [size.rows, size.width]);
  }

  /** Row per id: [T] → [T, C]. @throws ShapeError when an id has no row. */
  forward(ids: Int32Array): Tensor {
    return ops.embedding(ids, this.table);
  }
}
