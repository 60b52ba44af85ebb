/**
 * Who computes next. Two lanes: the decode lane reads one row of every running answer in one forward pass; the background lane takes steps
 * of vision and prompt work, in turns by request, for a time slice after each decode pass, so that no stream waits long whatever the others
 * ask for. Without streams the background lane runs freely. All of it is one loop over generators of steps, on one thread.
 *
 * A request is admitted when there are blocks for its whole prompt. When an answer needs a block and there is none, the youngest request
 * gives its blocks back and is computed anew later. Knows no model: arithmetic comes from a `Runner`.
 */
import { Readback, scopeSteps } from "../tensor/scope.ts";
import { BusyError, RequestError } from "../util/errors.ts";
import { BlockManager } from "./block-manager.ts";
import { CHUNK_ROWS } from "./generate.ts";
import { Jobs } from "./jobs.ts";
import type { Runner } from "./runner.ts";
import { byArrival, type RequestEvents, type RequestReport, Running, tellVision } from "./running.ts";
import { type EngineRequest, Sequence } from "./sequence.ts";
import type { ConstraintFor } from "./token-constraint.ts";
import { VisionCache } from "./vision-cache.ts";

export interface SchedulerOptions {
  /** Requests that are worked on at once. */
  readonly maxConcurrent: number;
  /** Requests that may wait behind those; more are refused. */
  readonly maxQueue: number;
  readonly visionCacheBytes: number;
  /** Makes the automaton of a request's constraint. Without it such requests are refused. */
  readonly constraintFor?: ConstraintFor;
  /** Time for the background lane after each decode pass. Default 60. */
  readonly sliceMs?: number;
  /** Most rows of a prompt that are read together. Default 512; fewer where a step would take longer than a slice. */
  readonly chunkRows?: number;
  /** A clock. */
  readonly now: () => number;
  /** Runs between steps: gives others their turn. */
  readonly pace: () => Promise<void> | void;
}

const SLICE_MS = 60;

export class Scheduler {
  readonly #runner: Runner;
  readonly #options: SchedulerOptions & { readonly sliceMs: number };
  readonly #blocks: BlockManager;
  readonly #vision: VisionCache;
  readonly #jobs: Jobs;
  readonly #logits = new Readback();
  /** By arrival. */
  #waiting: Running[] = [];
  /** By admission. */
  #running: Running[] = [];
  #arrivals = 0;
  #turns = 0;
  #loop: Promise<void> | null = null;
  #wake: (() => void) | null = null;
  /** Counts what has changed outside, so that nothing is slept through. */
  #news = 0;
  #closed: unknown = null;

  constructor(runner: Runner, options: SchedulerOptions) {
    this.#runner = runner;
    const { sliceMs = SLICE_MS, chunkRows = CHUNK_ROWS } = options;
    this.#options = { ...options, sliceMs };
    this.#blocks = new BlockManager(runner.blocks, runner.blockSize);
    this.#vision = new VisionCache(options.visionCacheBytes);
    const scheduler = this;
    this.#jobs = new Jobs(runner, this.#vision, {
      sliceMs,
      chunkRows,
      now: options.now,
      get running() {
        return scheduler.#running;
      },
      get isDecoding() {
        return scheduler.#isDecoding;
      },
      onRows: (sequence) => this.#blocks.commit(sequence),
      onPrompt: (item, logits) => this.#take(item, logits),
    });
  }

  /** What is in use now. */
  get stats() {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      heldBlocks: this.#blocks.held,
      blocks: this.#blocks.count,
      visionBytes: this.#vision.sizeBytes,
      pinnedMedia: this.#vision.pinned,
    };
  }

  /**
   * Runs one request to its end.
   *
   * @throws RequestError when it can never fit; BusyError when too many wait; the signal's reason on abort.
   */
  async run(request: EngineRequest, events: RequestEvents): Promise<RequestReport> {
    events.signal.throwIfAborted();
    if (this.#closed !== null) throw this.#closed;
    const { maxConcurrent, maxQueue } = this.#options;
    const present = this.#running.length + this.#waiting.length;
    if (present >= maxConcurrent + maxQueue) {
      throw new BusyError(
        "engine",
        `expected at most ${maxQueue} waiting requests, got one more. You can try again later`,
      );
    }
    const sequence = new Sequence(request, this.#arrivals++, this.#options.constraintFor);
    const rows = this.#blocks.count * this.#blocks.blockSize;
    if (this.#blocks.blocksFor(sequence.maxRows) > this.#blocks.count) {
      throw new RequestError(
        "engine",
        `expected prompt and answer to need at most the ${rows} rows of the KV memory, got ${sequence.maxRows}. ` +
          "You can set a smaller maxTokens or a larger kvMemoryBytes",
      );
    }
    const wake = (): void => this.notify();
    events.signal.addEventListener("abort", wake, { once: true });
    try {
      return await new Promise<RequestReport>((resolve, reject) => {
        this.#waiting.push(new Running(sequence, events, resolve, reject));
        this.notify();
        this.#loop ??= this.#run();
      });
    } finally {
      events.signal.removeEventListener("abort", wake);
    }
  }

  /** Something has changed outside: tiles have come. */
  notify(): void {
    this.#news++;
    for (const { job } of this.#running) if (job) job.isWaiting = false;
    this.#wake?.();
  }

  /** Ends all requests with `reason` and refuses further ones. Resolves when nothing is in use any more. */
  async close(reason: unknown): Promise<void> {
    this.#closed ??= reason;
    this.notify();
    await this.#loop;
  }

  /** Works until nobody is left. Whoever comes after that starts it anew, so `#loop` is forgotten in the same moment. */
  async #run(): Promise<void> {
    await null; // whoever asked first gets its promise first
    try {
      await this.#work();
    } catch (error) {
      for (const item of [...this.#running, ...this.#waiting]) this.#fail(item, error);
      this.#loop = null;
    }
  }

  async #work(): Promise<void> {
    for (;;) {
      const news = this.#news;
      this.#sweep();
      this.#admit();
      if (this.#running.length === 0 && this.#waiting.length === 0) {
        this.#loop = null;
        return;
      }
      const hasDecoded = await this.#decode();
      const hasWorked = await this.#background();
      if (hasDecoded || hasWorked) continue;
      if (news !== this.#news || this.#isDecoding) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  /** Whoever was stopped leaves. */
  #sweep(): void {
    for (const item of [...this.#running, ...this.#waiting]) {
      if (this.#closed !== null) this.#fail(item, this.#closed);
      else if (item.events.signal.aborted) this.#fail(item, item.events.signal.reason);
    }
  }

  /** Those who wait come in, in order, as long as there is room. Some blocks are left for answers to grow. */
  #admit(): void {
    while (this.#waiting.length > 0 && this.#running.length < this.#options.maxConcurrent) {
      const [item] = this.#waiting;
      if (!this.#blocks.admit(item.sequence, this.#running.length)) return;
      this.#waiting.shift();
      this.#running.push(item);
      const { sequence } = item;
      if (item.cachedRows === null) {
        item.cachedRows = sequence.computed;
        item.admittedMs = this.#options.now();
      }
      if (item.tiles > 0) this.#guard(item, () => tellVision(item, 0));
    }
  }

  // — decode lane —

  /** One token for every answer; false when there is none. */
  async #decode(): Promise<boolean> {
    const items = this.#makeRoom();
    if (items.length === 0) return false;
    const slices = items.map(({ sequence }) => ({ sequence, start: sequence.length - 1, end: sequence.length }));
    const steps = scopeSteps(() => this.#runner.forward(slices, (item) => this.#jobs.mediaRows(item)));
    try {
      for (;;) {
        const result = steps.next();
        if (result.done) {
          const logits = await this.#logits.readAndRelease(result.value); // [B, V]
          const V = logits.length / items.length;
          for (const [i, item] of items.entries()) this.#take(item, logits.subarray(i * V, (i + 1) * V));
          return true;
        }
        await this.#options.pace();
      }
    } catch (error) {
      steps.return(undefined as never);
      for (const item of items) this.#fail(item, error);
      return true;
    }
  }

  /** All who decode, each with a block for its next row; the youngest give up theirs when there are too few. */
  #makeRoom(): Running[] {
    for (const item of this.#running.filter(({ isDecoding }) => isDecoding).sort(byArrival)) {
      const { sequence } = item;
      while (item.isDecoding && this.#blocks.blocksFor(sequence.length) > sequence.blocks.length) {
        if (this.#blocks.grow(sequence)) continue;
        this.#preempt([...this.#running].sort(byArrival).at(-1) as Running);
      }
    }
    return this.#running.filter(({ isDecoding }) => isDecoding);
  }

  /** Takes a request's blocks; it waits again, and what it has computed is computed anew. */
  #preempt(item: Running): void {
    this.#letGo(item);
    item.isDecoding = false;
    this.#waiting.push(item);
    this.#waiting.sort(byArrival);
  }

  /** The rows of `sequence` are all computed: chooses its next token. */
  #take(item: Running, logits: Float32Array): void {
    if (!this.#running.includes(item)) return;
    const { sequence, events } = item;
    sequence.computed = sequence.length;
    this.#blocks.commit(sequence);
    this.#guard(item, () => {
      const { id, end, logprobs } = sequence.choose(logits);
      if (sequence.generated.length === 1) item.firstTokenMs = this.#options.now();
      const isStopped = events.onToken(id, end, logprobs ?? undefined) === "stop";
      if (end !== null || isStopped) this.#finish(item);
    });
  }

  // — background lane —

  /** Steps of prompts and pictures, for a slice of time or, without answers to decode, as many as there are; false when there was none. */
  async #background(): Promise<boolean> {
    const { now, pace, sliceMs } = this.#options;
    const startMs = now();
    for (let hasWorked = false; ; hasWorked = true) {
      const item = this.#nextInTurn();
      if (item === null) return hasWorked;
      item.lastTurn = ++this.#turns;
      await this.#step(item);
      await pace();
      this.#sweep();
      this.#admit();
      if (this.#isDecoding && now() - startMs >= sliceMs) return true;
    }
  }

  get #isDecoding(): boolean {
    return this.#running.some(({ isDecoding }) => isDecoding);
  }

  /** Of those who can do something, the one whose last turn is the longest ago. */
  #nextInTurn(): Running | null {
    let next: Running | null = null;
    for (const item of this.#running) {
      if (!item.isDecoding && (next === null || item.lastTurn < next.lastTurn) && this.#jobs.canWork(item)) next = item;
    }
    return next;
  }

  async #step(item: Running): Promise<void> {
    try {
      await this.#jobs.step(item);
    } catch (error) {
      this.#fail(item, error);
    }
  }

  // — ends —

  /** What a callback of the request throws is the end of this request alone. */
  #guard(item: Running, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(item, error);
    }
  }

  #finish(item: Running): void {
    this.#letGo(item);
    const { cachedRows, admittedMs, encodedMs, firstTokenMs } = item;
    item.resolve({ cachedRows: cachedRows ?? 0, admittedMs, encodedMs: encodedMs ?? admittedMs, firstTokenMs });
  }

  #fail(item: Running, reason: unknown): void {
    this.#letGo(item);
    item.reject(reason);
  }

  /** Nothing is held for the request any more. */
  #letGo(item: Running): void {
    this.#jobs.drop(item);
    this.#blocks.release(item.sequence);
    this.#running = this.#running.filter((other) => other !== item);
    this.#waiting = this.#waiting.filter((other) => other !== item);
  }
}
