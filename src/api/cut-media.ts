/**
 * The media of a prompt, decoded and cut into tiles: what a second question about the same media takes as it is. All media of a prompt are
 * cut together, since their number decides how.
 */
import type { S2Merge } from "../models/nvila/s2-merge.ts";
import { hashItems, type KeyedItem } from "./keyed-items.ts";
import type { MediaPlan } from "./media-plan.ts";

/** A media part as it was before any cut. */
export interface SourceFacts {
  readonly kind: "image" | "video";
  readonly width: number;
  readonly height: number;
  /** One per sampled frame; null for pictures and where frames have no times. */
  readonly frameSeconds: readonly number[] | null;
}

export class CutMedia {
  readonly plan: MediaPlan;
  /** One per part, in order. */
  readonly sources: readonly SourceFacts[];
  /** Duration of the last video; null without one or when its source has no clock. */
  readonly videoSeconds: number | null;
  /** Bytes of all tiles. */
  readonly sizeBytes: number;
  #items: readonly KeyedItem[] | null = null;

  constructor(plan: MediaPlan, sources: readonly SourceFacts[], videoSeconds: number | null) {
    this.plan = plan;
    this.sources = sources;
    this.videoSeconds = videoSeconds;
    this.sizeBytes = plan.tiles.flat().reduce((sum, { data }) => sum + data.byteLength, 0);
  }

  /** What the engine takes, keyed by content; hashed once. */
  async items(s2: S2Merge | null, pace: () => Promise<void> | void): Promise<readonly KeyedItem[]> {
    this.#items ??= await hashItems(this.plan, s2, pace);
    return this.#items;
  }
}
