/**
 * Lifetimes of activations. Everything that an operation allocates inside `scope(backend, …)` is given back at its end, except what the
 * function returns. Models never free by hand. A scope is synchronous; long work is a generator of steps (see `Steps`),
 * so that a driver can stop, report progress or serve someone else between two steps.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import { elementCount } from "../core/shape.ts";
import { Tensor } from "./tensor.ts";

/** Work in steps: each `yield` is a point where a driver may pause, abort or report. Yields one unit of work done. */
export type Steps<T> = Generator<void, T, void>;

class Scope {
  readonly owned = new Map<Storage, Backend>();
}

let current: Scope | null = null;

/** Holds memory beyond the scope that owns it: the tape (tape.ts), while it is open. */
export interface Keeper {
  /** Takes over memory that a scope is about to free; false when it has no use for it. */
  adopt(storage: Storage, backend: Backend): boolean;
  /** Runs one layer, `body`, on `input`. */
  region(input: Tensor, body: () => Tensor): Tensor;
}

let keeper: Keeper | null = null;

/** Runs `body` with `next` as the keeper. */
export function withKeeper<T>(next: Keeper | null, body: () => T): T {
  const outer = keeper;
  keeper = next;
  try {
    return body();
  } finally {
    keeper = outer;
  }
}

function free(storage: Storage, backend: Backend): void {
  if (!keeper?.adopt(storage, backend)) backend.free(storage);
}

/** Called by tensor/ops for each allocation. Outside any scope the memory is left to the garbage collector. */
export function registerStorage(backend: Backend, storage: Storage): void {
  current?.owned.set(storage, backend);
}

/** Runs `body`; what it allocated and did not return is freed. Returned tensors (also in arrays or plain objects) move to the outer scope. */
export function scope<T>(body: () => T): T {
  const outer = current;
  const inner = new Scope();
  current = inner;
  try {
    const result = body();
    handOver(result, inner, outer);
    return result;
  } finally {
    current = outer;
    for (const [storage, backend] of inner.owned) free(storage, backend);
  }
}

/** `scope` for work in steps: what `body` allocates in any of its steps and does not return is freed at its end, also when it is abandoned. */
export function* scopeSteps<T>(body: () => Steps<T>): Steps<T> {
  const inner = new Scope();
  const steps = body();
  try {
    for (;;) {
      const result = nextIn(inner, steps);
      if (result.done) {
        handOver(result.value, inner, current);
        return result.value;
      }
      yield;
    }
  } finally {
    steps.return(undefined as never);
    for (const [storage, backend] of inner.owned) free(storage, backend);
  }
}

/** Moves the memory of the tensors in `result` from `inner` to `outer`; without an outer scope nobody owns it. */
function handOver(result: unknown, inner: Scope, outer: Scope | null): void {
  for (const storage of rootsOf(result)) {
    const backend = inner.owned.get(storage);
    if (backend === undefined) continue;
    inner.owned.delete(storage);
    outer?.owned.set(storage, backend);
  }
}

/** One step of `steps` with `inner` as the open scope. */
function nextIn<T>(inner: Scope, steps: Steps<T>): IteratorResult<void, T> {
  const outer = current;
  current = inner;
  try {
    return steps.next();
  } finally {
    current = outer;
  }
}

/** Frees a tensor's memory now if an open scope owns it or nobody does; for drivers, not for models. */
export function release(tensor: Tensor): void {
  current?.owned.delete(tensor.root);
  free(tensor.root, tensor.backend);
}

/** The f32 values of a tensor, which is freed; for drivers. */
export async function readAndRelease(tensor: Tensor, into?: Float32Array): Promise<Float32Array> {
  try {
    return await tensor.readF32(into);
  } finally {
    release(tensor);
  }
}

/** Reads tensors one after the other to the same memory: new arrays of megabytes at every step keep the collector at work. */
export class Readback {
  #memory = new Float32Array(0);

  /** As `readAndRelease`; the values last until the next call. */
  readAndRelease(tensor: Tensor): Promise<Float32Array> {
    const length = elementCount(tensor.shape);
    if (this.#memory.length < length) this.#memory = new Float32Array(length);
    return readAndRelease(tensor, this.#memory.subarray(0, length));
  }
}

/**
 * Drives `steps` with everything it allocates owned by one scope that is current only while a step runs, so that several
 * drivers can take turns. `between` runs after each step (yield to the event loop, check an AbortSignal) and may throw.
 */
export async function runSteps<T>(steps: Steps<T>, between: () => Promise<void> | void): Promise<T> {
  const inner = new Scope();
  let isDone = false;
  try {
    for (;;) {
      const result = nextIn(inner, steps);
      if (result.done) {
        for (const storage of rootsOf(result.value)) inner.owned.delete(storage);
        isDone = true;
        return result.value;
      }
      await between();
    }
  } finally {
    if (!isDone) steps.return(undefined as never);
    for (const [storage, backend] of inner.owned) free(storage, backend);
  }
}

/**
 * Passes `x` through `layers`, one step per layer, keeping only the newest activations. `x` itself is left alone.
 */
export function* foldLayers<L>(
  x: Tensor,
  layers: readonly L[],
  step: (layer: L, x: Tensor, index: number) => Tensor,
): Steps<Tensor> {
  let y = x;
  for (const [index, layer] of layers.entries()) {
    const input = y;
    const run = (): Tensor => scope(() => step(layer, input, index));
    y = keeper ? keeper.region(input, run) : run();
    if (input !== x && input.root !== y.root) release(input);
    yield;
  }
  return y;
}

/** The memory behind every tensor found in `value`: a tensor, or arrays and plain objects of them. */
function rootsOf(value: unknown, found = new Set<Storage>()): Set<Storage> {
  if (value instanceof Tensor) found.add(value.root);
  else if (Array.isArray(value)) for (const item of value) rootsOf(item, found);
  else if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) rootsOf(item, found);
  }
  return found;
}
