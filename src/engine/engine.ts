/**
 * Many requests at once on one NVILA model: the scheduler over a pool of KV blocks, with the arithmetic of the model. Knows token ids, tiles
 * and content keys, no text. Token for token what `generateTokens` gives each request alone.
 */
import type { MediaInput, NvilaModel, TileSource } from "../models/nvila/nvila-model.ts";
import { type BlockPool, Int8KvPool, KV_BLOCK_SIZE, type KvFormat, KvPool, PagedBatch } from "../nn/paged-kv.ts";
import * as ops from "../tensor/ops.ts";
import type { Steps } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { EncodeHooks, RowSlice, Runner } from "./runner.ts";
import type { RequestEvents, RequestReport } from "./running.ts";
import { Scheduler, type SchedulerOptions } from "./scheduler.ts";
import type { EngineRequest, MediaItem } from "./sequence.ts";

export interface EngineOptions extends SchedulerOptions {
  /** Budget of the KV pool; the system commits it as it is written. */
  readonly kvMemoryBytes: number;
  /** How keys and values are stored. Default f32. */
  readonly kvCache?: KvFormat;
}

/** What is in use. */
export type EngineStats = Scheduler["stats"];

/** An engine, in this thread or in one of its own. */
export interface EngineHandle {
  /** As far as it is known here. */
  readonly stats: EngineStats;
  /** As `Engine.run`. */
  run(request: EngineRequest, events: RequestEvents): Promise<RequestReport>;
  /** As `Engine.notify`. */
  notify(): void;
  /** As `Engine.close`. */
  close(reason: unknown): Promise<void>;
}

export class Engine implements EngineHandle {
  readonly #pool: BlockPool;
  readonly #scheduler: Scheduler;
  #closing: Promise<void> | null = null;

  /** @throws RequestError when the budget holds no block; DeviceError when the system refuses the memory. */
  constructor(model: NvilaModel, options: EngineOptions) {
    const Pool = options.kvCache === "int8" ? Int8KvPool : KvPool;
    this.#pool = new Pool(model.llm.backend, model.llm.cfg, options.kvMemoryBytes);
    this.#scheduler = new Scheduler(new NvilaRunner(model, this.#pool), options);
  }

  /** What is in use now. */
  get stats(): EngineStats {
    return this.#scheduler.stats;
  }

  /**
   * Runs one request to its end.
   *
   * @throws RequestError when it can never fit; BusyError when too many wait; the signal's reason on abort.
   */
  run(request: EngineRequest, events: RequestEvents): Promise<RequestReport> {
    return this.#scheduler.run(request, events);
  }

  /** Tiles that were not there have come. */
  notify(): void {
    this.#scheduler.notify();
  }

  /** Ends all requests with `reason` and gives all memory back. */
  close(reason: unknown): Promise<void> {
    this.#closing ??= this.#scheduler.close(reason).then(() => this.#pool[Symbol.dispose]());
    return this.#closing;
  }
}

/** The arithmetic of a request: the model, over blocks of a pool. */
class NvilaRunner implements Runner {
  readonly blocks: number;
  readonly blockSize = KV_BLOCK_SIZE;
  readonly #model: NvilaModel;
  readonly #pool: BlockPool;

  constructor(model: NvilaModel, pool: BlockPool) {
    this.#model = model;
    this.#pool = pool;
    this.blocks = pool.blocks;
  }

  *forward(slices: readonly RowSlice[], mediaRows: (item: MediaItem) => Float32Array): Steps<Tensor> {
    const { llm } = this.#model;
    const batch = new PagedBatch(
      this.#pool,
      slices.map(({ sequence, start, end }) => ({ blocks: sequence.blocks, start, rows: end - start })),
    );
    const embeds = this.#embed(slices, mediaRows); // [ΣT, C]
    // A chunk in the middle of a prompt needs no logits.
    const wantedRows = batch.lastRows.filter((_, i) => slices[i].end === slices[i].sequence.length);
    return yield* llm.forwardRows({ embeds, positions: batch.positions, caches: batch.layers, wantedRows });
  }

  *encode(items: readonly MediaItem[], hooks: EncodeHooks): Steps<Tensor[]> {
    const tiles = joinTiles(items, hooks);
    const call: MediaInput =
      items[0].kind === "image"
        ? { kind: "image", tiles, blockSizes: items.map(({ blockSize }) => blockSize) }
        : { kind: "video", tiles, framesPerVideo: items.map((item) => item.tiles.count) };
    const rows = yield* this.#model.encodeMedia([call]);
    return rows.map((item) => item.rows); // [n, C]
  }

  #embed(slices: readonly RowSlice[], mediaRows: (item: MediaItem) => Float32Array): Tensor {
    const { llm } = this.#model;
    const C = llm.cfg.hiddenSize;
    // Ids side by side are looked up together.
    const parts: (number[] | Tensor)[] = [];
    for (const { sequence, start, end } of slices) {
      for (const { ids, media, from, to } of sequence.parts(start, end)) {
        const last = parts.at(-1);
        if (media) {
          const rows = mediaRows(media).subarray(from * C, to * C);
          parts.push(Tensor.from(llm.backend, "f32", rows, [to - from, C]));
        } else if (ids && Array.isArray(last)) last.push(...ids);
        else if (ids) parts.push([...ids]);
      }
    }
    const tensors = parts.map((part) => (Array.isArray(part) ? llm.embed(Int32Array.from(part)) : part));
    return tensors.length === 1 ? tensors[0] : ops.concatRows(tensors); // [ΣT, C]
  }
}

/** The tiles of several items as one source. */
function joinTiles(items: readonly MediaItem[], { maxTiles, onTiles, onWait }: EncodeHooks): TileSource {
  const firsts: number[] = [];
  let count = 0;
  for (const { tiles } of items) {
    firsts.push(count);
    count += tiles.count;
  }
  const ranges = (start: number, end: number): { tiles: TileSource; from: number; to: number }[] =>
    items.flatMap(({ tiles }, i) => {
      const from = Math.max(start - firsts[i], 0);
      const to = Math.min(end - firsts[i], tiles.count);
      return from < to ? [{ tiles, from, to }] : [];
    });
  return {
    count,
    maxTogether: maxTiles,
    isReady: (start, end) => {
      const isReady = ranges(start, end).every(({ tiles, from, to }) => tiles.isReady?.(from, to) ?? true);
      if (!isReady) onWait();
      return isReady;
    },
    pixels: (start, end) => {
      onTiles(start);
      const pieces = ranges(start, end).map(({ tiles, from, to }) => tiles.pixels(from, to));
      if (pieces.length === 1) return pieces[0];
      const all = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
      let at = 0;
      for (const piece of pieces) {
        all.set(piece, at);
        at += piece.length;
      }
      return all;
    },
  };
}
