/** Tensors in memory, for tests of readers. */
import type { StoredInfo, StoredTensors } from "../../src/checkpoint/stored-tensors.ts";
import type { TensorInfo, TensorSource } from "../../src/checkpoint/weights.ts";
import type { HostArray } from "../../src/core/dtype.ts";
import { elementCount } from "../../src/core/shape.ts";

export interface MemoryTensor extends TensorInfo {
  readonly data: HostArray;
}

export class MemorySource implements StoredTensors {
  readonly label: string;
  readonly tensors: Map<string, MemoryTensor>;

  constructor(tensors: Readonly<Record<string, MemoryTensor>>, label = "memory") {
    this.label = label;
    this.tensors = new Map(Object.entries(tensors));
    for (const [name, { dtype, shape, data }] of this.tensors) {
      const words = dtype === "i64" ? 2 : 1;
      if (data.length !== elementCount(shape) * words)
        throw new Error(`test tensor "${name}" has another size than its shape`);
    }
  }

  get names(): readonly string[] {
    return [...this.tensors.keys()];
  }

  get sizeBytes(): number {
    return [...this.tensors.values()].reduce((bytes, { data }) => bytes + data.byteLength, 0);
  }

  stored(name: string): StoredInfo | null {
    const tensor = this.tensors.get(name);
    return tensor
      ? { storedDType: tensor.dtype.toUpperCase(), shape: tensor.shape, byteLength: tensor.data.byteLength }
      : null;
  }

  info(name: string): TensorInfo | null {
    return this.tensors.get(name) ?? null;
  }

  data(name: string): HostArray {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new Error(`no test tensor "${name}"`);
    return tensor.data;
  }
}

/** The tensors of `source` below `prefix`, renamed to begin with `layer.`; what a file expects of them is left out. */
export function renamed(source: TensorSource, prefix: string, layer: string): MemorySource {
  const names = source.names.filter((name) => name.startsWith(`${prefix}.`) && !name.includes(".expected"));
  const entries = names.flatMap((name) => {
    const info = source.info(name);
    return info ? [[`${layer}.${name.slice(prefix.length + 1)}`, { ...info, data: source.data(name) }] as const] : [];
  });
  return new MemorySource(Object.fromEntries(entries), prefix);
}
