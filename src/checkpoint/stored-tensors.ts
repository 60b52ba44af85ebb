/** Tensors as files hold them, and the part of such a source below one prefix. */
import type { HostArray } from "../core/dtype.ts";
import type { Shape } from "../core/shape.ts";
import type { TensorInfo, TensorSource } from "./weights.ts";

/** How a tensor, or a matrix in packed parts, is stored. */
export interface StoredInfo {
  /** As the file calls it: "F32", "BF16", "I64", …; "INT4" and "INT8" for packed matrices. */
  readonly storedDType: string;
  readonly shape: Shape;
  readonly byteLength: number;
}

/** A source that also tells how its tensors are stored, those of unsupported dtypes included. */
export interface StoredTensors extends TensorSource {
  /** Bytes of all files. */
  readonly sizeBytes: number;
  stored(name: string): StoredInfo | null;
}

/** The tensors of `source` whose names begin with `prefix`, without it. `sizeBytes` counts their data only. */
export function tensorsBelow(source: StoredTensors, prefix: string): StoredTensors {
  return new TensorsBelow(source, prefix);
}

class TensorsBelow implements StoredTensors {
  readonly label: string;
  readonly names: readonly string[];
  readonly sizeBytes: number;
  readonly #source: StoredTensors;
  readonly #prefix: string;

  constructor(source: StoredTensors, prefix: string) {
    this.label = `${source.label} (${prefix}*)`;
    const full = source.names.filter((name) => name.startsWith(prefix));
    this.names = full.map((name) => name.slice(prefix.length));
    this.sizeBytes = full.reduce((bytes, name) => bytes + (source.stored(name)?.byteLength ?? 0), 0);
    this.#source = source;
    this.#prefix = prefix;
  }

  stored(name: string): StoredInfo | null {
    return this.#source.stored(this.#prefix + name);
  }

  info(name: string): TensorInfo | null {
    return this.#source.info(this.#prefix + name);
  }

  data(name: string): HostArray {
    return this.#source.data(this.#prefix + name);
  }
}
