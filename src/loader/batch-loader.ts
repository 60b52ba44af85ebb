/**
 * Packed batches for the trainer, prepared ahead: samples in the sampler's order, media decoded in threads, conversations as ids and labels,
 * everything cut at the model's length and packed into one row. A sample that cannot be used is left out and counted.
 */
import { encodeConversation } from "../data/encode-conversation.ts";
import type { LabelMode } from "../data/label-mask.ts";
import { type FusedSample, fuseSample, type PackedRow, packSamples } from "../data/packing.ts";
import { encodePlaces, placeTargets, type VisualMap, videoTargets } from "../data/places.ts";
import {
  expandTiles,
  extractMedia,
  type NamedPlace,
  placeMediaFirst,
  placeMediaInline,
} from "../data/training-sample.ts";
import { type BlockSize, concatTiles, type Tiles } from "../preprocess/tiles.ts";
import { encodeTimeTokens } from "../preprocess/time-tokens.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { messageOf, NvilaError } from "../util/errors.ts";
import { KeepBudget } from "./keep-budget.ts";
import type { MediaPool } from "./media-pool.ts";
import type { MediaJob, PreparedMedia } from "./prepare-media.ts";
import type { MixtureSample, OpenMixture } from "./registry.ts";

/** One media item of a packed row: what stands at the rows [start, end) of `PackedRow.media` of the same position. */
export interface BatchMedia {
  readonly kind: "image" | "video";
  /** Its tiles (frames of a video) in `TrainingBatch.tiles[kind]`. */
  readonly firstTile: number;
  readonly tileCount: number;
  readonly blockSize: BlockSize | null;
  /** Rows that its encoder gives; the packed row may hold fewer, when the sample was cut. */
  readonly rows: number;
}

/** A packed row with its pixels. */
export interface TrainingBatch extends PackedRow {
  readonly items: readonly BatchMedia[];
  /** Bytes of all tiles of pictures and of videos: [count, S, S, 3]. */
  readonly tiles: { readonly image: Tiles; readonly video: Tiles };
  /** Names of the samples, in order. */
  readonly samples: readonly string[];
}

/** Why samples were left out so far. */
export interface SkipCounts {
  /** Media missing or damaged, conversations that are none. */
  readonly broken: number;
  /** Everything that would be learnt was cut off. */
  readonly empty: number;
}

export interface BatchLoaderOptions {
  readonly mixture: OpenMixture;
  /** Numbers of samples in order, as from `sampleOrder`. */
  readonly order: readonly number[];
  /** Samples of one packed row. */
  readonly batchSize: number;
  /** Rows of one sample at most. */
  readonly maxLength: number;
  readonly tileSize: number;
  readonly tokenizer: Tokenizer;
  readonly pool: MediaPool;
  /** Rows that one media item takes in the model. */
  readonly rowsOf: (item: { kind: "image" | "video"; tileCount: number; blockSize: BlockSize | null }) => number;
  readonly labelMode?: LabelMode;
  /**
   * "text": every token of the text is learnt, media never. "places": names of visual tokens alone; samples whose visual tokens have none are left out. Default "answers".
   * Source: VILA data/dataset.py, MMC4 and COYO.
   */
  readonly learns?: "answers" | "text" | "places";
  /** "names": pictures stand for nothing but what their samples say about them; those that say nothing are left out. Default "pictures". */
  readonly sees?: "pictures" | "names";
  /** The video encoder pools frames, so that a row of a video shows no place of a picture: places of videos are not learnt. Default false. */
  readonly poolsFrames?: boolean;
  /** Time tokens of the model: `<12.5>` in answers about videos become tokens. Default 0: texts stay. */
  readonly numTimeTokens?: number;
  /** Batches prepared ahead. Default 2. */
  readonly ahead?: number;
  /** Bytes of samples that are kept once they are prepared, so that one that comes again is neither read nor decoded again. Default 0: none. */
  readonly keepBytes?: number;
  /** First batch, for resuming: those before are not even read. Default 0. */
  readonly firstBatch?: number;
  /** Told once for every sample that is left out. */
  readonly onSkip?: (label: string, reason: string) => void;
}

interface ReadySample extends FusedSample {
  readonly label: string;
  readonly items: readonly (Omit<BatchMedia, "firstTile"> & { readonly tiles: Tiles })[];
}

/** Names whose ids are remembered: most are single characters, met hundreds of times in a picture. */
const KNOWN_NAMES = 4096;

export class BatchLoader {
  readonly #options: BatchLoaderOptions;
  readonly #idsOfNames = new Map<string, readonly number[]>();
  readonly #keptSamples = new Map<string, ReadySample>();
  /** Of samples that ask different things about the same pictures. */
  readonly #keptMedia = new Map<string, PreparedMedia[]>();
  readonly #budget: KeepBudget;
  #broken = 0;
  #empty = 0;

  constructor(options: BatchLoaderOptions) {
    this.#options = options;
    this.#budget = new KeepBudget(options.keepBytes ?? 0);
  }

  get skipped(): SkipCounts {
    return { broken: this.#broken, empty: this.#empty };
  }

  /** Batches of an epoch; a last one that is not full counts. */
  get batchCount(): number {
    return Math.ceil(this.#options.order.length / this.#options.batchSize);
  }

  /** Every batch in order; null for one whose samples were all left out, so that positions stay those of the order. */
  async *batches(): AsyncGenerator<TrainingBatch | null, void, void> {
    const { ahead = 2, firstBatch = 0 } = this.#options;
    const queue: Promise<TrainingBatch | null>[] = [];
    for (let next = firstBatch; next < this.batchCount || queue.length > 0; ) {
      while (queue.length <= ahead && next < this.batchCount) {
        const batch = this.#batch(next++);
        batch.catch(() => {}); // reported where it is awaited
        queue.push(batch);
      }
      yield await (queue.shift() as Promise<TrainingBatch | null>);
    }
  }

  async #batch(number: number): Promise<TrainingBatch | null> {
    const { order, batchSize, tileSize } = this.#options;
    const numbers = order.slice(number * batchSize, (number + 1) * batchSize);
    const ready = await Promise.all(numbers.map((index) => this.#sample(index)));
    const samples = ready.filter((sample): sample is ReadySample => sample !== null);
    if (samples.length === 0) return null;
    const counts = { image: 0, video: 0 };
    const all = samples.flatMap((sample) => sample.items);
    const items = all.map(({ tiles: _, ...item }): BatchMedia => {
      const firstTile = counts[item.kind];
      counts[item.kind] += item.tileCount;
      return { ...item, firstTile };
    });
    const tilesOf = (kind: "image" | "video"): Tiles =>
      concatTiles(
        all.filter((item) => item.kind === kind).map((item) => item.tiles),
        tileSize,
      );
    return {
      ...packSamples(samples),
      items,
      tiles: { image: tilesOf("image"), video: tilesOf("video") },
      samples: samples.map((sample) => sample.label),
    };
  }

  async #sample(index: number): Promise<ReadySample | null> {
    const label = this.#options.mixture.label(index);
    const kept = this.#keptSamples.get(label);
    if (kept) return kept;
    try {
      const sample = await this.#encode(await this.#options.mixture.sample(index), label);
      const { learns = "answers", sees, onSkip } = this.#options;
      const isKnown = (ids: Int32Array): boolean => ids.some((id) => id >= 0);
      const isSeen = sees !== "names" || sample.media.length === 0 || isKnown(sample.names);
      if (isSeen && isKnown(learns === "places" ? sample.names : sample.labels.subarray(1))) return this.#keep(sample);
      this.#empty++;
      onSkip?.(
        label,
        isSeen ? `nothing of its ${learns} is left at this length` : "it does not say what its media show",
      );
      return null;
    } catch (error) {
      if (!(error instanceof NvilaError)) throw error;
      this.#broken++;
      this.#options.onSkip?.(label, messageOf(error));
      return null;
    }
  }

  /** All samples come equally often: those met first stay, none makes room for another. */
  #keep(sample: ReadySample): ReadySample {
    const arrays = [sample.ids, sample.labels, sample.names, ...sample.items.map(({ tiles }) => tiles.data)];
    if (this.#budget.take(arrays)) this.#keptSamples.set(sample.label, sample);
    return sample;
  }

  async #prepare(jobs: readonly MediaJob[]): Promise<PreparedMedia[]> {
    const { pool, keepBytes } = this.#options;
    if (!keepBytes || jobs.some(({ source }) => typeof source !== "string")) return pool.prepare(jobs);
    const key = JSON.stringify(jobs);
    const kept = this.#keptMedia.get(key);
    if (kept) return kept;
    const media = await pool.prepare(jobs);
    if (this.#budget.take(media.map(({ tiles }) => tiles.data))) this.#keptMedia.set(key, media);
    return media;
  }

  async #encode({ sample, entry }: MixtureSample, label: string): Promise<ReadySample> {
    const { tokenizer, rowsOf, maxLength, numTimeTokens = 0, labelMode = "span", learns } = this.#options;
    const messages = entry.placement === "inline" ? placeMediaInline(sample) : placeMediaFirst(sample);
    const jobs = messages.flatMap((message) =>
      message.parts.flatMap((part): MediaJob[] =>
        part.type === "text" ? [] : [{ kind: part.type, source: part.source }],
      ),
    );
    const media = await this.#prepare(jobs);
    const duration = media.findLast((item) => item.durationSeconds !== null)?.durationSeconds ?? null;
    const isTiled = media.some((item) => item.isTilePerItem);
    const items = media.flatMap(itemsOf).map((item) => ({ ...item, rows: rowsOf(item) }));
    const map = mapOf(items);
    const turns = extractMedia(messages).map((turn, i, all) => {
      const first = i === all.findIndex(({ from }) => from === "human");
      const text =
        isTiled && first
          ? expandTiles(
              turn.text,
              media.map((item) => item.tiles.count),
            )
          : turn.text;
      if (turn.from !== "gpt") return { ...turn, text };
      const placed = encodePlaces(text, map);
      const hasTimes = numTimeTokens > 0 && duration !== null;
      return { ...turn, text: hasTimes ? encodeTimeTokens(placed, { duration, numTimeTokens }) : placed };
    });
    const { ids, labels } = encodeConversation(tokenizer, turns, {
      labelMode,
      noSystemPrompt: entry.noSystemPrompt ?? false,
    });
    const mediaRows = items.map((item) => item.rows);
    const { imageId, videoId } = tokenizer;
    const fused = fuseSample(
      {
        ids,
        labels: learns === "text" ? ids : labels,
        mediaRows,
        mediaNames: sample.places && this.#namesOf(sample.places, items, map, duration),
      },
      { imageId, videoId, maxLength },
    );
    return { ...fused, label, items: items.slice(0, fused.media.length) };
  }

  /** What the visual tokens of a sample's picture or video show; undefined when there are several, or its tokens make no map: answers can be learnt still. */
  #namesOf(
    places: readonly NamedPlace[],
    items: readonly LaidOut[],
    map: VisualMap | null,
    durationSeconds: number | null,
  ): number[][] | undefined {
    if (items.length !== 1) return undefined; // tiles on their own are several items
    const [{ tileCount, rows }] = items;
    if (!map && (durationSeconds === null || this.#options.poolsFrames)) return undefined;
    const encode = (text: string): readonly number[] => this.#idsOfName(text);
    const names = map
      ? placeTargets(places, map, encode)
      : videoTargets(places, { frames: tileCount, rows, durationSeconds: durationSeconds as number }, encode);
    return names ? [names] : undefined;
  }

  #idsOfName(text: string): readonly number[] {
    const known = this.#idsOfNames.get(text);
    if (known) return known;
    const ids = this.#options.tokenizer.encode(text);
    if (this.#idsOfNames.size < KNOWN_NAMES) this.#idsOfNames.set(text, ids);
    return ids;
  }
}

type LaidOut = Pick<BatchMedia, "kind" | "tileCount" | "blockSize" | "rows">;

/** How the rows of a sample's one picture lie over it; null for videos and where there are several items. */
function mapOf(items: readonly LaidOut[]): VisualMap | null {
  return items.length === 1 && items[0].kind === "image" ? { tiles: items[0].blockSize, rows: items[0].rows } : null;
}

function itemsOf(
  media: PreparedMedia,
): { kind: "image" | "video"; tileCount: number; blockSize: BlockSize | null; tiles: Tiles }[] {
  const { kind, tiles, blockSize } = media;
  if (!media.isTilePerItem) return [{ kind, tileCount: tiles.count, blockSize, tiles }];
  const bytes = tiles.size * tiles.size * 3;
  return Array.from({ length: tiles.count }, (_, i) => ({
    kind,
    tileCount: 1,
    blockSize,
    tiles: { count: 1, size: tiles.size, data: tiles.data.subarray(i * bytes, (i + 1) * bytes) },
  }));
}
