/** Offsets of segments on the GPU: all layers of a pass share one array, which is copied once. */
import type { Pointer } from "./binding.ts";
import type { CudaMemory, CudaStorage } from "./cuda-memory.ts";

export class OffsetCache {
  readonly #memory: CudaMemory;
  readonly #known = new WeakMap<Int32Array, CudaStorage>();

  constructor(memory: CudaMemory) {
    this.#memory = memory;
  }

  /** Address of a copy of `offsets`, which must not change any more; 0 for null. */
  pointerTo(offsets: Int32Array | null): Pointer {
    if (!offsets) return 0;
    let storage = this.#known.get(offsets);
    if (!storage) {
      storage = this.#memory.wrap("i32", offsets);
      this.#known.set(offsets, storage);
    }
    return storage.pointer;
  }
}
