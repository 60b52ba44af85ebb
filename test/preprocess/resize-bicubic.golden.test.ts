/** Holds the resize to Pillow's bytes. The other filters in the file are not built: preprocessor_config refuses them. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { decodeImage } from "../../src/io/image-file.ts";
import { resizeBicubic } from "../../src/preprocess/resize-bicubic.ts";
import { describeGolden, readGoldenJson } from "../golden/golden-dir.ts";
import { sha256 } from "./sha256.ts";

interface ResizeRow {
  readonly input: string;
  readonly in_size: readonly [number, number];
  readonly out_size: readonly [number, number];
  readonly filter: string;
  readonly sha256: string;
  readonly samples_yxc?: readonly (readonly [number, number, number, number])[];
}

describeGolden("resize: Pillow's bicubic", (dir) => {
  const { rows, count_bicubic } = readGoldenJson<{ rows: ResizeRow[]; count_bicubic: number }>(
    dir,
    "preprocess/resize.json",
  );
  const bicubic = rows.filter((row) => row.filter === "bicubic");

  it("has all rows", () => {
    expect(bicubic.length).toBe(count_bicubic);
    console.warn(`skipped ${rows.length - bicubic.length} rows of other filters: only bicubic is used`);
  });

  it.each(bicubic)("$input → $out_size", async (row) => {
    const image = await decodeImage(join(dir, row.input));
    expect([image.width, image.height]).toEqual(row.in_size);
    const [width, height] = row.out_size;
    const { data } = resizeBicubic(image, width, height);
    for (const [y, x, c, value] of row.samples_yxc ?? []) expect(data[(y * width + x) * 3 + c]).toBe(value);
    expect(sha256(data)).toBe(row.sha256);
  });
});
