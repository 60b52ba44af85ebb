/**
 * The engine in a thread of its own, as the main thread holds it: the face of `Engine`, and after a crash a new thread for the next
 * request. Requests that were running when a thread ended are not repeated: parts of their answers have been told already.
 */
import type { EngineHandle, EngineStats } from "../engine/engine.ts";
import type { RequestEvents, RequestReport } from "../engine/running.ts";
import type { EngineRequest } from "../engine/sequence.ts";
import { assert } from "../util/assert.ts";
import { EngineThread } from "./engine-thread.ts";
import type { ConstraintBasis, LoadedFacts, ModelSetup, ThreadSetup } from "./messages.ts";

export class EngineClient implements EngineHandle {
  readonly #setup: ThreadSetup;
  readonly #onWarning: (message: string) => void;
  readonly #constraintBasis: () => ConstraintBasis;
  #thread: EngineThread;
  #model: ModelSetup | null = null;
  /** The model of a new thread, while it loads. */
  #reloading: Promise<EngineThread> | null = null;
  #closed: { readonly reason: unknown } | null = null;

  /** @param constraintBasis Asked for with the first request that has a constraint. Starts the thread, which opens the checkpoint. `load` must follow. */
  constructor(setup: ThreadSetup, onWarning: (message: string) => void, constraintBasis: () => ConstraintBasis) {
    this.#setup = setup;
    this.#onWarning = onWarning;
    this.#constraintBasis = constraintBasis;
    this.#thread = new EngineThread(setup, onWarning, constraintBasis);
  }

  get stats(): EngineStats {
    return this.#thread.stats;
  }

  /** @throws whatever is wrong with the checkpoint or the device; EngineError when the thread ends. */
  load(model: ModelSetup): Promise<LoadedFacts> {
    this.#model = model;
    return this.#thread.load(model);
  }

  /** @throws EngineError when the thread ends before the answer does; otherwise as `Engine.run`. */
  async run(request: EngineRequest, events: RequestEvents): Promise<RequestReport> {
    const thread = await this.#living();
    return thread.run(request, events);
  }

  notify(): void {
    this.#thread.notify();
  }

  async close(reason: unknown): Promise<void> {
    this.#closed ??= { reason };
    await this.#thread.close(reason);
  }

  async #living(): Promise<EngineThread> {
    if (this.#closed) throw this.#closed.reason;
    if (this.#thread.isAlive) return this.#thread;
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = null;
    });
    return this.#reloading;
  }

  async #reload(): Promise<EngineThread> {
    assert(this.#model !== null, "a request came before the model was there");
    const thread = new EngineThread(this.#setup, this.#onWarning, this.#constraintBasis);
    this.#thread = thread;
    try {
      await thread.load(this.#model);
      return thread;
    } catch (error) {
      await thread.close(error);
      throw error;
    }
  }
}
