/**
 * NVILA: SigLIP vision tower → (Dynamic-S2 merge) → projector → media encoders → rows spliced into the prompt → Qwen2.
 * Takes pixels and token ids; knows no picture files, no tokenizer, no prompt text and no sampling.
 * Source: Liu et al. 2024 (NVILA); VILA `llava/model/llava_arch.py` at b760c34.
 */
import type { PixelBytes } from "../../backend/backend.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { BlockSize } from "../../preprocess/tiles.ts";
import * as ops from "../../tensor/ops.ts";
import { release, type Steps, scope, scopeSteps } from "../../tensor/scope.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { ConfigError, RequestError } from "../../util/errors.ts";
import { Projector } from "../projector/projector.ts";
import { type Qwen2Config, Qwen2Model } from "../qwen2/qwen2-model.ts";
import { type SiglipConfig, SiglipVisionTower } from "../siglip/siglip-vision-tower.ts";
import {
  type EncoderRows,
  encodeFrames,
  encodeImage,
  expectWholeWindows,
  framesPerGroup,
  joinFrameGroups,
  type PoolSize,
  poolFrames,
} from "./media-encoders.ts";
import { S2Merge, stitchTokens } from "./s2-merge.ts";
import { type MediaKind, type MediaRows, type SplicedPrompt, spliceEmbeddings } from "./splice.ts";

export interface NvilaModelConfig {
  readonly vision: SiglipConfig;
  readonly projector: { readonly type: string; readonly mmHiddenSize: number };
  readonly llm: Qwen2Config;
  /** Which hidden state of the vision tower is used; −2 leaves one layer out. */
  readonly visionSelectLayer: number;
  /** "cls_patch" keeps all tokens of a tile, "patch" drops the first. */
  readonly visionSelectFeature: string;
  /** Sides of the scales of Dynamic-S2 in pixels, ascending; null: one scale. */
  readonly s2Scales: readonly number[] | null;
  readonly s2ResizeOutputToScaleIdx: number;
  readonly videoEncoder: { readonly kind: "basic" | "tsp"; readonly poolSizes: readonly PoolSize[] };
}

/** Token ids that the model needs, looked up by whoever has the tokenizer. */
export interface NvilaTokens {
  /** Ids that the tokenizer knows. */
  readonly count: number;
  /** Ids of the media tokens. */
  readonly media: Readonly<Record<MediaKind, number>>;
  /** Ids around the features of a picture or a frame; empty: none. */
  readonly imageEncoder: { readonly start: Int32Array; readonly end: Int32Array };
  readonly videoEncoder: { readonly start: Int32Array; readonly end: Int32Array; readonly sep: Int32Array };
}

/** The three parts of a checkpoint, prefixes stripped. */
export interface NvilaWeights {
  readonly llm: Weights;
  readonly vision: Weights;
  readonly projector: Weights;
}

/** Square tiles of one encoder call, asked for in order; pixels are made when they are needed. */
export interface TileSource {
  readonly count: number;
  /** False while tiles [start, end) are still on their way: the model yields and asks again. Default: they are there. */
  isReady?(start: number, end: number): boolean;
  /** Most tiles to take together now, asked before each batch. Default: as many as memory allows. */
  maxTogether?(): number;
  /** Values of tiles [start, end): [end − start, 3, S, S], a new array each time. */
  pixels(start: number, end: number): Float32Array;
  /** The same as bytes and a table of their values, for backends that look values up themselves. */
  lookUp?(start: number, end: number): PixelBytes;
}

/** One encoder call: pictures, or the frames of videos one after the other. */
export type MediaInput =
  | { readonly kind: "image"; readonly tiles: TileSource; readonly blockSizes: readonly (BlockSize | null)[] | null }
  | { readonly kind: "video"; readonly tiles: TileSource; readonly framesPerVideo: readonly number[] };

/** Sees intermediate values, in order of the tiles. Must read them at once; the memory is reused after the call. */
export type StageTap = (stage: "vision" | "blocks" | "projected", x: Tensor) => void;

/** Bound of the activations of one batch of tiles or blocks; at least one runs whatever it needs. */
const MAX_BATCH_BYTES = 100e6;
/** The same on a wide backend. */
const MAX_WIDE_BATCH_BYTES = 2e9;

/** The vision features of a call's tiles. */
interface TileFeatures {
  readonly tiles: TileSource;
  readonly tap: StageTap | undefined;
  /** [T, N, C] when they were made together; null: picture by picture, when they are asked for. */
  readonly whole: Tensor | null;
}

/** The whole model, weights included. */
export class NvilaModel {
  readonly cfg: NvilaModelConfig;
  readonly tokens: NvilaTokens;
  readonly vision: SiglipVisionTower;
  readonly projector: Projector;
  readonly llm: Qwen2Model;
  readonly s2: S2Merge | null;
  /** Tiles that go through the vision tower together, blocks that go through the projector together. */
  readonly batch: { readonly tiles: number; readonly blocks: number };

  /** N: tokens of a tile that reach the projector. */
  readonly tokensPerTile: number;

  /** @throws ConfigError when parts do not fit together; WeightsError when tensors are missing, left over, or of another shape. */
  constructor(weights: NvilaWeights, cfg: NvilaModelConfig, tokens: NvilaTokens) {
    this.cfg = cfg;
    this.tokens = tokens;
    if (cfg.visionSelectFeature !== "cls_patch" && cfg.visionSelectFeature !== "patch") {
      throw new ConfigError(
        "nvila",
        `mm_vision_select_feature must be cls_patch or patch, got "${cfg.visionSelectFeature}"`,
      );
    }
    this.s2 = cfg.s2Scales ? new S2Merge(cfg.s2Scales, cfg.s2ResizeOutputToScaleIdx) : null;
    const width = cfg.vision.hiddenSize * (cfg.s2Scales?.length ?? 1);
    if (cfg.projector.mmHiddenSize !== width) {
      throw new ConfigError(
        "nvila",
        `mm_hidden_size must be ${width} (vision width × scales), got ${cfg.projector.mmHiddenSize}`,
      );
    }
    this.vision = new SiglipVisionTower(weights.vision, cfg.vision, cfg.visionSelectLayer);
    this.projector = new Projector(weights.projector, {
      type: cfg.projector.type,
      inputWidth: width,
      outputWidth: cfg.llm.hiddenSize,
    });
    this.llm = new Qwen2Model(weights.llm, cfg.llm, tokens.count);
    for (const part of [weights.vision, weights.projector, weights.llm]) part.assertAllUsed();
    this.tokensPerTile = this.vision.tokensPerTile - (cfg.visionSelectFeature === "patch" ? 1 : 0);
    const bytes = this.llm.backend.isWide ? MAX_WIDE_BATCH_BYTES : MAX_BATCH_BYTES;
    this.batch = {
      tiles: Math.max(1, Math.floor(bytes / this.vision.activationBytesPerTile)),
      blocks: Math.max(1, Math.floor(bytes / this.projector.activationBytesPerBlock(this.tokensPerTile))),
    };
  }

  /** Rows that replace each media token, all images of a call, then all videos of the next: one entry per image, tile or video. */
  *encodeMedia(calls: readonly MediaInput[], tap?: StageTap): Steps<MediaRows[]> {
    const media: MediaRows[] = [];
    for (const call of calls) {
      const rows = yield* scopeSteps(() =>
        call.kind === "image" ? this.#imageRows(call, tap) : this.#videoRows(call, tap),
      );
      media.push(...rows.map((item) => ({ kind: call.kind, rows: item })));
    }
    return media;
  }

  /** The prompt as embedding rows [L, H], each media token replaced. @throws RequestError when media and tokens do not match. */
  splice(ids: Int32Array, media: readonly MediaRows[]): SplicedPrompt {
    return spliceEmbeddings(ids, media, this.tokens.media, (text) => this.llm.embed(text));
  }

  /**
   * Features [n, H] of every picture: tiles → vision tower → merge of scales → projector. One step per layer and batch.
   *
   * @param blockSizes Per picture the grid of its largest scale (Dynamic-S2), or null when it is one tile. Null: every tile is a picture.
   */
  *encodeImages(tiles: TileSource, blockSizes: readonly (BlockSize | null)[] | null, tap?: StageTap): Steps<Tensor[]> {
    const pictures = blockSizes ?? new Array<null>(tiles.count).fill(null);
    const starts: number[] = [];
    let tile = 0;
    for (const block of pictures) {
      starts.push(tile);
      tile += block ? this.#s2For(block).tileCount(block) : 1;
      this.#expectTiles(tiles, tile);
    }
    if (tile !== tiles.count)
      throw new RequestError("media", `expected ${tile} tiles for ${pictures.length} pictures, got ${tiles.count}`);
    const source = yield* this.#featuresOf(tiles, tap);
    const features = new Array<Tensor>(pictures.length);
    for (const group of this.#groups(pictures)) {
      const block = pictures[group[0]];
      const firsts = group.map((i) => starts[i]);
      const made = yield* scopeSteps(() =>
        block
          ? this.#encodeBlocks(source, firsts, block, tap)
          : this.#encodeTiles(source, firsts[0], firsts[0] + group.length, tap),
      ); // [n, m, H]
      const [, ...shape] = made.shape;
      for (const [at, i] of group.entries()) features[i] = made.rows(at, at + 1).reshape(shape); // [m, H]
    }
    return features;
  }

  /**
   * Numbers of pictures that are encoded together: single tiles that follow each other, as many as memory allows; on a wide backend all
   * pictures of one grid, elsewhere each by itself.
   */
  #groups(pictures: readonly (BlockSize | null)[]): number[][] {
    const groups: number[][] = [];
    const byGrid = new Map<string, number[]>(); // on a wide backend
    let tiles: number[] | undefined; // single tiles up to here
    for (const [i, block] of pictures.entries()) {
      const grid = `${block?.rows} ${block?.cols}`;
      const known = block ? byGrid.get(grid) : tiles;
      if (block) tiles = undefined;
      if (known && (block || known.length < this.batch.tiles)) {
        known.push(i);
        continue;
      }
      const group = [i];
      groups.push(group);
      if (!block) tiles = group;
      else if (this.llm.backend.isWide) byGrid.set(grid, group);
    }
    return groups;
  }

  *#imageRows(call: MediaInput & { kind: "image" }, tap?: StageTap): Steps<Tensor[]> {
    const features = yield* this.encodeImages(call.tiles, call.blockSizes, tap);
    const { start, end } = this.tokens.imageEncoder;
    const around = this.#encoderRows(start, end, new Int32Array(0));
    return features.map((item) => encodeImage(item, around)); // [start + n + end, H]
  }

  *#videoRows(call: MediaInput & { kind: "video" }, tap?: StageTap): Steps<Tensor[]> {
    const { tiles, framesPerVideo } = call;
    const { kind, poolSizes } = this.cfg.videoEncoder;
    const total = framesPerVideo.reduce((sum, frames) => sum + frames, 0);
    if (total !== tiles.count || framesPerVideo.some((frames) => frames < 1)) {
      throw new RequestError(
        "video",
        `expected ${framesPerVideo.join(" + ")} tiles, at least one per video, got ${tiles.count}`,
      );
    }
    const { start, end, sep } = this.tokens.videoEncoder;
    const around = this.#encoderRows(start, end, sep);
    if (kind === "tsp") {
      const tokens = this.projector.tokensOut(this.tokensPerTile);
      for (const frames of framesPerVideo) expectWholeWindows(poolSizes, frames, tokens);
    }
    const videos: Tensor[] = [];
    const source = yield* this.#featuresOf(tiles, tap);
    let first = 0;
    for (const frames of framesPerVideo) {
      const from = first;
      first += frames;
      videos.push(yield* scopeSteps(() => this.#videoGroups(source, from, from + frames, around, tap)));
    }
    return videos;
  }

  /** Frames [first, last) of one video, a few at a time, so that memory does not grow with the features of all frames: [L, H]. */
  *#videoGroups(source: TileFeatures, first: number, last: number, around: EncoderRows, tap?: StageTap): Steps<Tensor> {
    const { kind, poolSizes } = this.cfg.videoEncoder;
    const window = kind === "tsp" ? framesPerGroup(poolSizes) : 1;
    const size = window * Math.max(1, Math.floor(this.batch.tiles / window));
    const groups: Tensor[][] = [];
    for (let from = first; from < last; from += size) {
      const to = Math.min(last, from + size);
      const features = yield* scopeSteps(() => this.#encodeTiles(source, from, to, tap)); // [F, n, H]
      groups.push(kind === "tsp" ? poolFrames(features, poolSizes, around) : [encodeFrames(features, around)]);
      release(features);
    }
    return joinFrameGroups(groups, kind === "tsp" ? around : { ...around, sep: null });
  }

  #encoderRows(start: Int32Array, end: Int32Array, sep: Int32Array): EncoderRows {
    const rows = (ids: Int32Array): Tensor | null => (ids.length > 0 ? this.llm.embed(ids) : null);
    return { start: rows(start), end: rows(end), sep: rows(sep) };
  }

  /** Tiles [start, end), each a picture of its own → [b, n, H]. */
  *#encodeTiles(source: TileFeatures, start: number, end: number, tap?: StageTap): Steps<Tensor> {
    const x = yield* this.#take(source, start, end); // [b, N, C]
    const blocks = (from: number, to: number): Tensor => this.s2?.repeatScales(x.rows(from, to)) ?? x.rows(from, to);
    return yield* this.#project(end - start, blocks, tap); // [b, n, H]
  }

  /** The tiles of pictures of one grid, those of each from one of `starts` on, all scales → [pictures, B·n, H], row-major over each picture. */
  *#encodeBlocks(source: TileFeatures, starts: readonly number[], block: BlockSize, tap?: StageTap): Steps<Tensor> {
    const s2 = this.#s2For(block);
    const count = s2.tileCount(block);
    const pictures: Tensor[] = [];
    for (const start of starts) pictures.push(yield* this.#take(source, start, start + count)); // [T, N, C]
    const scales = s2.splitScales(pictures, block); // per scale [B, N, C]
    const { rows, cols } = s2.outputGrid(block);
    const grid = { rows: starts.length * rows, cols };
    const blocks = (from: number, to: number): Tensor => ops.concatColumns(scales.map((scale) => scale.rows(from, to)));
    const tokens = stitchTokens(yield* this.#project(grid.rows * grid.cols, blocks, tap), grid);
    return tokens.reshape([starts.length, tokens.shape[0] / starts.length, tokens.shape[1]]);
  }

  /** Where a call's vision features come from: on a wide backend they are made now, all together. */
  *#featuresOf(tiles: TileSource, tap?: StageTap): Steps<TileFeatures> {
    const isWide = this.llm.backend.isWide === true;
    return { tiles, tap, whole: isWide ? yield* this.#visionFeatures(tiles, 0, tiles.count, tap) : null };
  }

  /** Vision features of tiles [start, end): [T, N, C]. */
  *#take({ tiles, tap, whole }: TileFeatures, start: number, end: number): Steps<Tensor> {
    return whole?.rows(start, end) ?? (yield* this.#visionFeatures(tiles, start, end, tap));
  }

  /** Selected features of tiles [start, end), a few at a time: [T, N, C]. */
  *#visionFeatures(tiles: TileSource, start: number, end: number, tap?: StageTap): Steps<Tensor> {
    const { hiddenSize: C } = this.cfg.vision;
    const out = ops.empty(this.llm.backend, "f32", [end - start, this.tokensPerTile, C]);
    for (let from = start, to = start; from < end; from = to) {
      const most = Math.max(1, Math.min(this.batch.tiles, tiles.maxTogether?.() ?? this.batch.tiles));
      to = Math.min(end, from + most);
      while (tiles.isReady && !tiles.isReady(from, to)) yield;
      const pixels = this.#pixels(tiles, from, to);
      yield* scopeSteps(() => this.#visionBatch(pixels, out.rows(from - start, to - start)));
    }
    tap?.("vision", out);
    return out;
  }

  /** Values of tiles [from, to): [to − from, 3, S, S]. */
  #pixels(tiles: TileSource, from: number, to: number): Tensor {
    const { backend } = this.llm;
    const S = this.cfg.vision.imageSize;
    const shape = [to - from, 3, S, S];
    if (!backend.pixelValues || !tiles.lookUp) return Tensor.from(backend, "f32", tiles.pixels(from, to), shape);
    const out = ops.empty(backend, "f32", shape);
    backend.pixelValues(out, tiles.lookUp(from, to));
    return out;
  }

  /** pixels[b, 3, S, S] → features, written to out[b, N, C]. */
  *#visionBatch(pixels: Tensor, out: Tensor): Steps<void> {
    const x = yield* this.vision.forward(pixels); // [b, N, C]
    if (this.cfg.visionSelectFeature === "cls_patch") return ops.copyInto(out, 0, x);
    const [b, N, C] = x.shape;
    for (let i = 0; i < b; i++)
      ops.copyInto(
        out,
        i,
        x
          .reshape([b * N, C])
          .rows(i * N + 1, (i + 1) * N)
          .reshape([1, N - 1, C]),
      );
  }

  /** `count` blocks [·, N, K·C], made a few at a time by `blocks` → [count, n, H]. */
  *#project(count: number, blocks: (from: number, to: number) => Tensor, tap?: StageTap): Steps<Tensor> {
    const shape = [count, this.projector.tokensOut(this.tokensPerTile), this.projector.outputWidth];
    const out = ops.empty(this.llm.backend, "f32", shape);
    for (let from = 0; from < count; from += this.batch.blocks) {
      const to = Math.min(count, from + this.batch.blocks);
      scope(() => {
        const x = blocks(from, to); // [b, N, K·C]
        tap?.("blocks", x);
        ops.copyInto(out, from, this.projector.forward(x)); // [b, n, H]
      });
      yield;
    }
    tap?.("projected", out);
    return out;
  }

  #s2For(block: BlockSize): S2Merge {
    if (this.s2) return this.s2;
    throw new RequestError(
      "media",
      `a picture of ${block.rows}×${block.cols} blocks needs a model with s2_scales, this one has none`,
    );
  }

  #expectTiles(tiles: TileSource, needed: number): void {
    if (needed > tiles.count) throw new RequestError("media", `expected at least ${needed} tiles, got ${tiles.count}`);
  }
}
