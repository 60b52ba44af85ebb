/** Media items with keys that stand for their content, before their places in a prompt are known. */
import { createHash, type Hash } from "node:crypto";
import type { MediaItem } from "../engine/sequence.ts";
import type { TileSource } from "../models/nvila/nvila-model.ts";
import type { S2Merge } from "../models/nvila/s2-merge.ts";
import type { Tiles } from "../preprocess/tiles.ts";
import type { MediaPlan } from "./media-plan.ts";

export type KeyedItem = Omit<MediaItem, "rows">;

/**
 * The media of a plan, those of one call behind those of another. Keys are SHA-256 over the tiles' bytes and what else shapes the rows of an
 * item in this model; hashing a long video takes a while, so `pace` runs between tiles.
 */
export async function hashItems(
  plan: MediaPlan,
  s2: S2Merge | null,
  pace: () => Promise<void> | void,
): Promise<KeyedItem[]> {
  const items: KeyedItem[] = [];
  for (const [c, call] of plan.calls.entries()) {
    let first = 0;
    const counts =
      call.kind === "video"
        ? call.framesPerVideo
        : (call.blockSizes ?? new Array<null>(call.tiles.count).fill(null)).map((block) =>
            block ? (s2?.tileCount(block) ?? 1) : 1,
          );
    for (const [i, count] of counts.entries()) {
      const blockSize = call.kind === "image" ? (call.blockSizes?.[i] ?? null) : null;
      const hash = createHash("sha256").update(`${call.kind} ${count} ${blockSize?.rows}×${blockSize?.cols}\n`);
      for (let tile = first; tile < first + count; tile++) {
        addTile(hash, plan.tiles[c], tile);
        await pace();
      }
      const tiles = tilesFrom(call.tiles, first, count);
      items.push({ kind: call.kind, key: hash.digest("base64url"), tiles, blockSize });
      first += count;
    }
  }
  return items;
}

function addTile(hash: Hash, parts: readonly Tiles[], tile: number): void {
  let first = 0;
  for (const { count, size, data } of parts) {
    const bytes = size * size * 3;
    if (tile < first + count) {
      hash.update(data.subarray((tile - first) * bytes, (tile - first + 1) * bytes));
      return;
    }
    first += count;
  }
}

function tilesFrom(source: TileSource, first: number, count: number): TileSource {
  return { count, pixels: (start, end) => source.pixels(first + start, first + end) };
}
