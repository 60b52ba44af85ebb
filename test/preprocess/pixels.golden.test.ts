/** Holds whole tile batches, at real tile sizes, and the normalisation tables to the original's image processor. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../../src/io/image-file.ts";
import { type ImageOptions, planImages } from "../../src/preprocess/image-plan.ts";
import { normalizationTable, pixelValues } from "../../src/preprocess/pixels.ts";
import { parsePreprocessorConfig } from "../../src/preprocess/preprocessor-config.ts";
import { f32ToF16 } from "../../src/util/half.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { f16Bytes, sha256 } from "./sha256.ts";

interface TilesRow {
  readonly file: string;
  readonly mode: string;
  readonly S: number;
  readonly options: { readonly max_tiles?: number };
  readonly tiles: number;
  readonly block_size_rows_cols: readonly [number, number] | null;
  readonly tile_sha256_u8_hwc: readonly string[];
  readonly samples_tyxc: readonly (readonly [number, number, number, number, number])[];
  readonly pixel_values_fp16_sha256: string;
}

describeGolden("tiles and pixel values", (dir) => {
  const { rows } = readGoldenJson<{ rows: TilesRow[] }>(dir, "preprocess/tiles.json");

  it("has all rows", () => {
    expect(rows.length).toBe(77);
  });

  it.each(rows)("$file $mode $S $options", async (row) => {
    const image = await decodeImage(join(dir, row.file));
    const isSingle = row.mode.endsWith(" (single-tile path)");
    const options: ImageOptions = {
      aspectRatio: row.mode.split(" ")[0],
      tileSize: row.S,
      minTiles: 1,
      maxTiles: row.options.max_tiles ?? 12,
      s2Scales: [row.S, 2 * row.S, 3 * row.S],
      imageMean: [0.5, 0.5, 0.5],
    };
    // The single-tile path is taken by prompts with several pictures; the second one is not looked at.
    const plan = planImages(isSingle ? [image, image] : [image], options);
    expect(plan.perImage[0].tiles).toBe(row.tiles);
    const tileBytes = row.S * row.S * 3;
    for (const [t, y, x, c, value] of row.samples_tyxc) {
      expect(plan.tiles.data[((t * row.S + y) * row.S + x) * 3 + c]).toBe(value);
    }
    const hashes = Array.from({ length: row.tiles }, (_, t) =>
      sha256(plan.tiles.data.subarray(t * tileBytes, (t + 1) * tileBytes)),
    );
    expect(hashes).toEqual(row.tile_sha256_u8_hwc);
    const block = plan.blockSizes?.[0];
    expect(block ? [block.rows, block.cols] : null).toEqual(row.block_size_rows_cols);
    const pixels = pixelValues(plan.tiles, 0, row.tiles, parsePreprocessorConfig({ size: row.S }));
    expect(sha256(f16Bytes(pixels))).toBe(row.pixel_values_fp16_sha256);
  });
});

describeGolden("normalisation tables", (dir) => {
  const { rows } = readGoldenJson<{
    rows: { options: Record<string, unknown>; fp16_bits: number[][]; fp32_bits: number[][] }[];
  }>(dir, "preprocess/normalize_lut.json");

  it("has all rows", () => {
    expect(rows.length).toBe(3);
  });

  it.each(rows)("$options", ({ options, fp16_bits, fp32_bits }) => {
    const table = normalizationTable(
      parsePreprocessorConfig({ size: 14, rescale_factor: 0.00392156862745098, ...options }),
    );
    const bits = new Uint32Array(table.buffer);
    for (let channel = 0; channel < 3; channel++) {
      expect([...bits.subarray(channel * 256, channel * 256 + 256)]).toEqual(fp32_bits[channel]);
      const half = Array.from(table.subarray(channel * 256, channel * 256 + 256), f32ToF16);
      expect(half).toEqual(fp16_bits[channel]);
    }
  });
});

describe("normalisation", () => {
  it("equals fp16(v / 127.5 − 1) for the SigLIP values", () => {
    const table = normalizationTable(parsePreprocessorConfig({ size: 14 }));
    for (let v = 0; v < 256; v++) expect(f32ToF16(table[v])).toBe(f32ToF16(Math.fround(v / 127.5 - 1)));
  });
});
