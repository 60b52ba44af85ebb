/** Tiles of several media as one sequence whose pixel values are made a few at a time: bytes stay bytes until a batch needs them. */
import type { TileSource } from "../models/nvila/nvila-model.ts";
import { type Normalization, pixelTable, pixelValues } from "../preprocess/pixels.ts";
import { concatTiles, type Tiles } from "../preprocess/tiles.ts";
import { joinInto } from "../util/join-into.ts";

/** All tiles of `parts`, which have one size, in order. */
export function tileSource(parts: readonly Tiles[], normalization: Normalization): TileSource {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  return {
    count,
    pixels(start, end) {
      const pieces: Float32Array[] = [];
      let first = 0;
      for (const part of parts) {
        const from = Math.max(start - first, 0);
        const to = Math.min(end - first, part.count);
        if (from < to) pieces.push(pixelValues(part, from, to, normalization));
        first += part.count;
      }
      return pieces.length === 1 ? pieces[0] : joined(pieces);
    },
    lookUp(start, end) {
      const { data, size } = concatTiles(parts, parts[0].size);
      const bytes = size * size * 3;
      return { bytes: data.subarray(start * bytes, end * bytes), table: pixelTable(normalization) };
    },
  };
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  return joinInto(new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0)), pieces);
}
