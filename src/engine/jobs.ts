/**
 * Work of the background lane: pictures are encoded and prompts are read, each as a job of steps that belongs to one request. Says which
 * request can do something and does one step of it; whose turn it is, the scheduler decides.
 */
import { readAndRelease, scopeSteps } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { assert } from "../util/assert.ts";
import type { Runner } from "./runner.ts";
import { type Job, type Running, tellVision, tilesOf } from "./running.ts";
import type { MediaItem, Sequence } from "./sequence.ts";
import type { VisionCache } from "./vision-cache.ts";

/** Rows of a chunk while the time of a row is unknown, and the fewest that are worth a pass: beside answers, and where no answer waits. */
const BESIDE_ANSWERS = { unknown: 64, least: 16 };
const ALONE = { unknown: 256, least: 256 };
const CHUNK_UNIT = 16;
/** Pictures of several requests that are encoded in turns; each has activations in memory. */
const MAX_OPEN_ENCODERS = 2;

/** What the jobs know of the scheduler. */
export interface JobHost {
  /** Time for the background lane after each decode pass. */
  readonly sliceMs: number;
  /** Most rows of a prompt that are read together. */
  readonly chunkRows: number;
  readonly now: () => number;
  readonly running: readonly Running[];
  readonly isDecoding: boolean;
  /** More rows of the sequence are computed. */
  readonly onRows: (sequence: Sequence) => void;
  /** The whole prompt is read; `logits` [V] follow its last row. */
  readonly onPrompt: (item: Running, logits: Float32Array) => void;
}

export class Jobs {
  readonly #runner: Runner;
  readonly #vision: VisionCache;
  readonly #host: JobHost;
  /** Who encodes an item, by its key. */
  readonly #encoding = new Map<string, Running>();
  /** A row's share of a step of its chunk, measured. */
  #stepMsPerRow: number | null = null;

  constructor(runner: Runner, vision: VisionCache, host: JobHost) {
    this.#runner = runner;
    this.#vision = vision;
    this.#host = host;
  }

  /** Whether a step of the request can be done now. */
  canWork(item: Running): boolean {
    if (item.job) return !item.job.isWaiting;
    const missing = item.sequence.missingMedia.filter(({ key }) => !item.pins.has(key) && !this.#vision.has(key));
    if (missing.length === 0) return true;
    if (missing.every(({ key }) => this.#encoding.has(key))) return false;
    return this.#host.running.filter(({ job }) => job !== null && job.keys.length > 0).length < MAX_OPEN_ENCODERS;
  }

  /** One step for the request, of a new job if it has none. Throws what the work throws. */
  async step(item: Running): Promise<void> {
    item.job ??= this.#open(item);
    const { job } = item;
    const startMs = this.#host.now();
    const result = job.steps.next();
    if (job.rows > 0) this.#measure((this.#host.now() - startMs) / job.rows);
    if (!result.done) return;
    item.job = null;
    for (const key of job.keys) this.#encoding.delete(key);
    await job.finish(result.value);
  }

  /** Ends the request's open job and lets go of its media. */
  drop(item: Running): void {
    item.job?.steps.return(undefined);
    for (const key of item.job?.keys ?? []) this.#encoding.delete(key);
    item.job = null;
    this.#unpinAll(item);
  }

  /** Embedding rows of an item that the request has pinned. */
  mediaRows({ key }: MediaItem): Float32Array {
    const rows = this.#vision.rows(key);
    assert(rows !== null, "the rows of a media item are gone");
    return rows;
  }

  #measure(msPerRow: number): void {
    this.#stepMsPerRow = this.#stepMsPerRow === null ? msPerRow : 0.8 * this.#stepMsPerRow + 0.2 * msPerRow;
  }

  /** Vision work if media are missing, else the next chunk of the prompt. */
  #open(item: Running): Job {
    const missing: MediaItem[] = [];
    for (const media of item.sequence.missingMedia) {
      const { key, kind } = media;
      if (item.pins.has(key)) continue;
      if (this.#vision.pin(key)) item.pins.add(key);
      else if (this.#encoding.has(key) || missing.some((other) => other.key === key)) continue;
      else if (missing.length === 0 || (missing[0].kind === kind && kind === "image")) missing.push(media);
    }
    return missing.length > 0 ? this.#encode(item, missing) : this.#prefill(item);
  }

  #encode(item: Running, media: readonly MediaItem[]): Job {
    const unknown = item.sequence.missingMedia.filter(({ key }) => !item.pins.has(key));
    const before = item.tiles - tilesOf(unknown);
    const job: Job = {
      rows: 0,
      keys: media.map(({ key }) => key),
      isWaiting: false,
      steps: scopeSteps(() =>
        this.#runner.encode(media, {
          maxTiles: () => (this.#host.running.length > 1 ? 1 : Number.POSITIVE_INFINITY),
          onTiles: (begun) => tellVision(item, before + begun),
          onWait: () => {
            job.isWaiting = true;
          },
        }),
      ),
      finish: async (result) => {
        for (const [i, tensor] of (result as Tensor[]).entries()) {
          const rows = await readAndRelease(tensor);
          this.#vision.add(media[i].key, rows);
          if (this.#host.running.includes(item) && !item.pins.has(media[i].key)) item.pins.add(media[i].key);
          else this.#vision.unpin(media[i].key);
        }
      },
    };
    for (const key of job.keys) this.#encoding.set(key, item);
    return job;
  }

  #prefill(item: Running): Job {
    const { sequence, events } = item;
    if (item.encodedMs === null) {
      item.encodedMs = this.#host.now();
      if (item.tiles > 0) tellVision(item, item.tiles);
    }
    const start = sequence.computed;
    const end = Math.min(sequence.length, start + this.#chunkRows());
    const slices = [{ sequence, start, end }];
    return {
      rows: end - start,
      keys: [],
      isWaiting: false,
      steps: scopeSteps(() => this.#runner.forward(slices, (media) => this.mediaRows(media))),
      finish: async (result) => {
        const logits = await readAndRelease(result as Tensor);
        if (!this.#host.running.includes(item)) return;
        sequence.computed = end;
        this.#host.onRows(sequence);
        const done = Math.min(end, sequence.promptLength);
        if (done > item.rowsTold) events.onPrefill?.(done, sequence.promptLength);
        item.rowsTold = Math.max(done, item.rowsTold);
        if (end < sequence.length) return;
        this.#unpinAll(item);
        item.isDecoding = true;
        this.#host.onPrompt(item, logits);
      },
    };
  }

  /** As many rows as keep a step within the slice, since an answer may begin at any time; but alone not so few that kernels are slow. */
  #chunkRows(): number {
    const { sliceMs, chunkRows, isDecoding } = this.#host;
    const { unknown, least } = isDecoding ? BESIDE_ANSWERS : ALONE;
    if (this.#stepMsPerRow === null) return Math.min(chunkRows, unknown);
    const rows = Math.floor(sliceMs / Math.max(this.#stepMsPerRow, 1e-6) / CHUNK_UNIT) * CHUNK_UNIT;
    return Math.min(chunkRows, Math.max(least, rows));
  }

  #unpinAll(item: Running): void {
    for (const key of item.pins) this.#vision.unpin(key);
    item.pins.clear();
  }
}
