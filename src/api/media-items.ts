/** A prepared prompt as what the engine takes: text ids, and media items with their content keys and tiles. */
import { createHash, type Hash } from "node:crypto";
import type { MediaItem } from "../engine/sequence.ts";
import type { TileSource } from "../models/nvila/nvila-model.ts";
import type { Tiles } from "../preprocess/tiles.ts";
import { assert } from "../util/assert.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { PreparedRequest } from "./prepare-request.ts";

/**
 * Text and media in order. Keys are SHA-256 over the tiles' bytes and what else shapes the rows of an item in this model; hashing a long
 * video takes a while, so `pace` runs between tiles.
 */
export async function promptItems(
  { s2, tokenizer }: LoadedModel,
  { plan, prompt, spans }: PreparedRequest,
  pace: () => Promise<void> | void,
): Promise<(Int32Array | MediaItem)[]> {
  const queues = { image: [] as Omit<MediaItem, "rows">[], video: [] as Omit<MediaItem, "rows">[] };
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
      queues[call.kind].push({ kind: call.kind, key: hash.digest("base64url"), tiles, blockSize });
      first += count;
    }
  }
  const items: (Int32Array | MediaItem)[] = [];
  let textStart = 0;
  let media = 0;
  for (let i = 0; i <= prompt.ids.length; i++) {
    const id = prompt.ids[i];
    const isMedia = id === tokenizer.imageId || id === tokenizer.videoId;
    if (i < prompt.ids.length && !isMedia) continue;
    if (i > textStart) items.push(Int32Array.from(prompt.ids.slice(textStart, i)));
    textStart = i + 1;
    if (!isMedia) continue;
    const { kind, start, end } = spans[media++];
    const item = queues[kind].shift();
    assert(item !== undefined, "there are fewer media than media tokens");
    items.push({ ...item, rows: end - start });
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
