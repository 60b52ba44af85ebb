/**
 * The tape: what a forward pass inside `Tape.record` did, so that `backward` can go through it from the end. Operations of tensor/ops.ts
 * record themselves (gradients.ts) when an input needs a gradient: a parameter of the tape, or what came of one. Gradients are f32. Those of
 * parameters add up in memory that the tape is given; those of activations live from their last use to their first.
 *
 * A gradient belongs to an allocation (`Tensor.root`), so views need no entry: what flows into a view is added to its part.
 * Scopes work as always: memory that backward needs passes from the scope to the tape (`Keeper`) and is freed as backward is done with it.
 * Losses give their gradient when they are computed (losses.ts): `backward` needs no argument.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import { type TrainingBackend, trainingOf } from "../backend/training-backend.ts";
import { BYTES_PER_ELEMENT } from "../core/dtype.ts";
import { elementCount, type Shape } from "../core/shape.ts";
import { assert } from "../util/assert.ts";
import { UnsupportedError } from "../util/errors.ts";
import { type Keeper, scope, withKeeper } from "./scope.ts";
import { Tensor } from "./tensor.ts";

/**
 * What happens to the activations of a layer (a step of `foldLayers`). "keep": they stay until backward. "recompute": only the layer's
 * input stays, and backward runs the layer again (gradient checkpointing, Chen et al. 2016).
 */
export type ActivationPolicy = "keep" | "recompute";

/** The gradient of one operation's output goes to its inputs. */
export type BackwardStep = (dy: Tensor, flow: Tape) => void;

interface Entry {
  readonly output: Tensor;
  readonly saved: readonly Storage[];
  readonly backward: BackwardStep;
}

let open: Tape | null = null;

/** True when a tape is open and one of `inputs` needs a gradient. */
export function isNeeded(...inputs: readonly (Tensor | null)[]): boolean {
  return open !== null && inputs.some((input) => input !== null && (open as Tape).wants(input));
}

/** The open tape, for losses. */
export function openTape(): Tape | null {
  return open;
}

/**
 * Notes that `output` came of `inputs`, if the open tape has a use for that. Returns `output`.
 * @param saved Operands whose values `backward` reads.
 */
export function record(
  output: Tensor,
  inputs: readonly (Tensor | null)[],
  saved: readonly Tensor[],
  backward: BackwardStep,
): Tensor {
  if (isNeeded(...inputs)) (open as Tape).add(output, saved, backward);
  return output;
}

/** @throws UnsupportedError when a tape is open and `input` needs a gradient. */
export function refuse(op: string, input: Tensor): void {
  if (isNeeded(input)) throw new UnsupportedError("tape", `${op} has no gradient`);
}

export class Tape implements Keeper {
  readonly #backend: Backend;
  readonly #parameters: ReadonlyMap<Storage, Tensor>;
  readonly #policy: ActivationPolicy;
  readonly #parent: Tape | null;
  readonly #entries: Entry[] = [];
  /** Allocations that need a gradient → the entry that first wrote to them. */
  readonly #tracked = new Map<Storage, number>();
  /** Allocations that entries read → how many still will. */
  readonly #saved = new Map<Storage, number>();
  readonly #adopted = new Map<Storage, Backend>();
  /** Whole allocation's gradient, flat. */
  readonly #gradients = new Map<Storage, Tensor>();
  /** While a layer runs whose inside is not recorded: whether it would have recorded something. */
  #unrecorded: { isNeeded: boolean } | null = null;
  /** The gradient that the running entry may hand on without a copy. */
  #spent: Tensor | null = null;

  /** @param parameters Allocations that are trained → where their gradients are added, of the same length. */
  constructor(
    backend: Backend,
    parameters: ReadonlyMap<Storage, Tensor>,
    policy: ActivationPolicy = "keep",
    parent: Tape | null = null,
  ) {
    this.#backend = backend;
    this.#parameters = parameters;
    this.#policy = policy;
    this.#parent = parent;
  }

  get training(): TrainingBackend {
    return trainingOf(this.#backend);
  }

  /** Bytes that are kept for backward. */
  get savedBytes(): number {
    let bytes = 0;
    for (const storage of this.#saved.keys()) bytes += storage.length * BYTES_PER_ELEMENT[storage.dtype];
    return bytes;
  }

  /** Runs `body` in a scope with this tape open. Nothing asynchronous may happen inside. */
  record<T>(body: () => T): T {
    const outer = open;
    open = this;
    try {
      return withKeeper(this, () => scope(body));
    } finally {
      open = outer;
    }
  }

  /** Adds the gradients of all losses to the parameters and forgets everything recorded. */
  backward(): void {
    try {
      for (let i = this.#entries.length - 1; i >= 0; i--) this.#step(i);
    } finally {
      this.close();
    }
  }

  /** Forgets everything recorded and frees what was kept. For a forward pass without a backward one. */
  close(): void {
    for (const [storage, backend] of this.#adopted) backend.free(storage);
    for (const gradient of this.#gradients.values()) this.#backend.free(gradient.root);
    for (const map of [this.#adopted, this.#gradients, this.#saved, this.#tracked]) map.clear();
    this.#entries.length = 0;
  }

  // — for operations and losses —

  wants(input: Tensor): boolean {
    if (this.#parameters.has(input.root) || this.#tracked.has(input.root)) return true;
    assert(!this.#parent?.wants(input), "a recomputed layer reads a recorded tensor that is not its input");
    return false;
  }

  add(output: Tensor, saved: readonly Tensor[], backward: BackwardStep): void {
    assert(!this.#parameters.has(output.root), "an operation wrote over a parameter");
    if (!this.#tracked.has(output.root)) this.#tracked.set(output.root, this.#entries.length);
    if (this.#unrecorded) {
      this.#unrecorded.isNeeded = true;
      return;
    }
    const roots = saved.map((tensor) => tensor.root).filter((root) => !this.#parameters.has(root));
    for (const root of roots) this.#saved.set(root, (this.#saved.get(root) ?? 0) + 1);
    this.#entries.push({ output, saved: roots, backward });
  }

  /** Memory for a gradient; `give` takes it back. */
  empty(shape: Shape): Tensor {
    return new Tensor(this.#backend, this.#backend.alloc("f32", elementCount(shape)), shape);
  }

  /** Adds `gradient` to that of `input` and takes its memory. */
  give(input: Tensor, gradient: Tensor): void {
    if (!this.#has(input) && input.storage.length === input.root.length) {
      this.#gradients.set(input.root, gradient);
      return;
    }
    this.training.accumulate(this.sum(input), gradient);
    this.#backend.free(gradient.root);
  }

  /** `give`, or frees a gradient that nobody asked for. */
  giveIfWanted(input: Tensor, gradient: Tensor): void {
    if (this.wants(input)) this.give(input, gradient);
    else this.#backend.free(gradient.root);
  }

  /** Adds `dy`, the gradient of the running entry's output, to that of `input`. */
  pass(input: Tensor, dy: Tensor): void {
    if (this.#has(input)) {
      this.training.accumulate(this.sum(input), dy);
    } else if (this.#spent && this.#spent.root === dy.root && input.storage.length === input.root.length) {
      this.#gradients.set(input.root, this.#spent);
      this.#spent = null;
    } else {
      const isWhole = input.storage.length === input.root.length;
      if (isWhole) this.#gradients.set(input.root, this.empty(input.shape));
      this.#backend.copy(this.sum(input).storage, 0, dy.storage);
    }
  }

  /** The gradient of `input` so far, zeros at first: for operations that add to it. */
  sum(input: Tensor): Tensor {
    let whole = this.#parameters.get(input.root) ?? this.#gradients.get(input.root);
    if (!whole) {
      const { length } = input.root;
      whole = new Tensor(this.#backend, this.#backend.zeros("f32", length), [length]);
      this.#gradients.set(input.root, whole);
    }
    return this.#part(whole, input);
  }

  /** `sum`, or null when `input` is absent or needs none. */
  sumIfWanted(input: Tensor | null): Tensor | null {
    return input && this.wants(input) ? this.sum(input) : null;
  }

  /** `sum`, or memory for a gradient that nobody asked for. */
  sumOrScratch(input: Tensor): Tensor {
    if (this.wants(input)) return this.sum(input);
    return Tensor.from(this.#backend, "f32", new Float32Array(input.storage.length), input.shape);
  }

  /** Runs `body` without recording it: a loss computes its own gradient. */
  pause<T>(body: () => T): T {
    const outer = open;
    open = null;
    try {
      return body();
    } finally {
      open = outer;
    }
  }

  // — for scopes —

  adopt(storage: Storage, backend: Backend): boolean {
    if (this.#saved.has(storage)) {
      this.#adopted.set(storage, backend);
      return true;
    }
    return this.#parent?.adopt(storage, backend) ?? false;
  }

  region(input: Tensor, body: () => Tensor): Tensor {
    if (this.#policy === "keep" || this.#unrecorded) return body();
    const inside = { isNeeded: false };
    this.#unrecorded = inside;
    let output: Tensor;
    try {
      output = body();
    } finally {
      this.#unrecorded = null;
    }
    if (!inside.isNeeded) return output;
    this.#tracked.delete(output.root);
    this.add(output, [input], (dy, flow) => {
      const again = new Tape(this.#backend, this.#parameters, "keep", this);
      if (flow.wants(input)) again.#tracked.set(input.root, -1);
      again.#replay(input, body, dy);
      const gradient = again.#gradients.get(input.root);
      again.#gradients.delete(input.root);
      again.close();
      if (gradient) this.#giveWhole(input.root, gradient);
    });
    return output;
  }

  #replay(input: Tensor, body: () => Tensor, dy: Tensor): void {
    scope(() => {
      const output = this.record(body);
      assert(output.root !== input.root, "a layer returned its input");
      this.pass(output, dy);
      for (let i = this.#entries.length - 1; i >= 0; i--) this.#step(i);
    });
  }

  /** Adds the gradient of a whole allocation. */
  #giveWhole(root: Storage, gradient: Tensor): void {
    this.give(new Tensor(this.#backend, root, [root.length]), gradient);
  }

  #step(index: number): void {
    const { output, saved, backward } = this.#entries[index];
    const { root } = output;
    const whole = this.#gradients.get(root);
    const isLast = this.#tracked.get(root) === index;
    if (whole) {
      if (isLast) this.#gradients.delete(root);
      this.#spent = isLast && output.storage.length === root.length ? whole : null;
      const mayPass = this.#spent !== null;
      backward(this.#part(whole, output), this);
      const isPassed = mayPass && this.#spent === null;
      this.#spent = null;
      if (isLast && !isPassed) this.#backend.free(whole.root);
    }
    for (const storage of saved) this.#drop(storage);
  }

  /** One reader less. */
  #drop(storage: Storage): void {
    const readers = (this.#saved.get(storage) ?? 1) - 1;
    if (readers > 0) {
      this.#saved.set(storage, readers);
      return;
    }
    this.#saved.delete(storage);
    const backend = this.#adopted.get(storage);
    this.#adopted.delete(storage);
    backend?.free(storage);
  }

  #has(input: Tensor): boolean {
    return this.#parameters.has(input.root) || this.#gradients.has(input.root);
  }

  #part(whole: Tensor, input: Tensor): Tensor {
    const view = this.#backend.view(whole.storage, input.offset, input.storage.length);
    return new Tensor(this.#backend, view, input.shape, whole.root);
  }
}
