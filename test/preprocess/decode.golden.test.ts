/** Holds decoding to Pillow's `Image.open(file).convert("RGB")`: every byte, lossy formats included. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { decodeImage } from "../../src/io/image-file.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { sha256 } from "./sha256.ts";

interface DecodeRow {
  readonly file: string;
  readonly size_wh: readonly [number, number];
  readonly sha256_rgb: string;
}

describeGolden("decoding: Pillow's bytes", (dir) => {
  const { rows } = readGoldenJson<{ rows: DecodeRow[] }>(dir, "preprocess/decode.json");

  it("has all rows", () => {
    expect(rows.length).toBe(43);
  });

  it.each(rows)("$file", async (row) => {
    const { width, height, data } = await decodeImage(join(dir, row.file));
    expect([width, height]).toEqual(row.size_wh);
    expect(sha256(data)).toBe(row.sha256_rgb);
  });
});
