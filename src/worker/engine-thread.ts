/**
 * One life of the engine's thread, seen from the main thread: starts it, loads the model, passes requests over. When the thread ends, by
 * whatever, everything that was open ends with an error. It keeps the process alive only while there is something to do.
 */
import type { Worker } from "node:worker_threads";
import type { EngineHandle, EngineStats } from "../engine/engine.ts";
import type { RequestEvents, RequestReport } from "../engine/running.ts";
import type { EngineRequest } from "../engine/sequence.ts";
import { startThread } from "../io/start-thread.ts";
import { EngineError, messageOf } from "../util/errors.ts";
import {
  type ConstraintBasis,
  clockMs,
  type FromEngine,
  type LoadedFacts,
  type ModelSetup,
  NOTHING_IN_USE,
  type ThreadSetup,
  type ToEngine,
} from "./messages.ts";
import { OpenRequest } from "./open-request.ts";
import { fromPlainError } from "./plain-error.ts";

export class EngineThread implements EngineHandle {
  stats: EngineStats = NOTHING_IN_USE;
  readonly #worker: Worker;
  readonly #onWarning: (message: string) => void;
  readonly #constraintBasis: () => ConstraintBasis;
  #hasVocabulary = false;
  readonly #open = new Map<number, OpenRequest>();
  readonly #exited: Promise<void>;
  #loading: { resolve: (loaded: LoadedFacts) => void; reject: (reason: unknown) => void } | null = null;
  #lastId = 0;
  /** Why there is no thread any more. */
  #end: { readonly reason: unknown } | null = null;

  constructor(setup: ThreadSetup, onWarning: (message: string) => void, constraintBasis: () => ConstraintBasis) {
    this.#onWarning = onWarning;
    this.#constraintBasis = constraintBasis;
    this.#worker = startThread(import.meta.url, "./engine-worker", { workerData: setup, name: "nvila-engine" });
    this.#worker.on("message", (message: FromEngine) => this.#receive(message));
    this.#worker.on("messageerror", (error) => this.#die(error));
    this.#worker.on("error", (error) => this.#die(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        this.#die(`exit code ${code}`);
        resolve();
      });
    });
  }

  /** False once the thread has ended. */
  get isAlive(): boolean {
    return this.#end === null;
  }

  /** @throws whatever is wrong with the checkpoint or the device; EngineError when the thread ends. */
  async load(setup: ModelSetup): Promise<LoadedFacts> {
    if (this.#end) throw this.#end.reason;
    try {
      return await new Promise<LoadedFacts>((resolve, reject) => {
        this.#loading = { resolve, reject };
        this.#post({ type: "load", setup });
      });
    } finally {
      this.#loading = null;
      this.#rest();
    }
  }

  /** @throws EngineError when the thread ends; otherwise as `Engine.run`. */
  async run(request: EngineRequest, events: RequestEvents): Promise<RequestReport> {
    const { signal } = events;
    signal.throwIfAborted();
    if (this.#end) throw this.#end.reason;
    if (request.constraint && !this.#hasVocabulary) {
      this.#post({ type: "vocabulary", basis: this.#constraintBasis() });
      this.#hasVocabulary = true;
    }
    const id = ++this.#lastId;
    const abort = (): void => this.#open.get(id)?.fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#worker.ref();
    try {
      return onThisClock(
        await new Promise<RequestReport>((resolve, reject) => {
          const open = new OpenRequest(id, { request, events }, this.#post, { resolve, reject });
          this.#open.set(id, open);
          open.start();
        }),
      );
    } finally {
      signal.removeEventListener("abort", abort);
      this.#open.delete(id);
      this.#rest();
    }
  }

  notify(): void {
    for (const open of this.#open.values()) open.notify();
  }

  /** Ends the thread, and everything that is open with `reason`. Resolves when all its memory is given back. */
  async close(reason: unknown): Promise<void> {
    this.#endAll(reason);
    await this.#worker.terminate();
    await this.#exited;
  }

  /** Posting to a thread that has ended does nothing. */
  readonly #post = (message: ToEngine, transfer: readonly ArrayBuffer[] = []): void =>
    this.#worker.postMessage(message, transfer);

  #receive(message: FromEngine): void {
    this.stats = message.stats;
    switch (message.type) {
      case "ready":
        this.#loading?.resolve(message.loaded);
        return;
      case "refused":
        this.#loading?.reject(fromPlainError(message.error));
        return;
      case "warning":
        this.#onWarning(message.message);
        return;
      default: {
        const open = this.#open.get(message.id);
        if (open?.receive(message)) this.#open.delete(message.id);
      }
    }
  }

  #die(cause: unknown): void {
    const problem = `the thread that computes has ended before the answer was complete: ${messageOf(cause)}`;
    const options = cause instanceof Error ? { cause } : {};
    this.#endAll(new EngineError("engine", `${problem}. You can ask again; a new one is started then`, options));
  }

  #endAll(reason: unknown): void {
    this.#end ??= { reason };
    this.stats = NOTHING_IN_USE;
    this.#loading?.reject(reason);
    for (const open of this.#open.values()) open.end(reason);
  }

  /** A thread with nothing to do does not keep the process alive. */
  #rest(): void {
    if (this.#open.size === 0 && this.#loading === null) this.#worker.unref();
  }
}

/** Times of the threads' common clock as those of `performance.now()` here. */
function onThisClock({ admittedMs, encodedMs, firstTokenMs, ...rest }: RequestReport): RequestReport {
  const shift = performance.now() - clockMs();
  return {
    ...rest,
    admittedMs: admittedMs + shift,
    encodedMs: encodedMs + shift,
    firstTokenMs: firstTokenMs + shift,
  };
}
