/** What a model tells about each picture and video of a prompt: scales, tokens before compression, times of frames, pooling. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { loadModel } from "../../src/api/load-model.ts";
import { image, video } from "../../src/api/parts.ts";
import { noise, tinyCheckpoint } from "./tiny-models.ts";

/** An animation of `frames` frames of 200 ms. */
async function animation(frames: number): Promise<Uint8Array> {
  const pixels = Buffer.concat(Array.from({ length: frames }, (_, i) => Buffer.alloc(16 * 16 * 3, 20 * i)));
  const raw = { width: 16, height: 16 * frames, channels: 3 as const, pageHeight: 16 };
  return sharp(pixels, { raw })
    .gif({ delay: new Array<number>(frames).fill(200) })
    .toBuffer();
}

async function withModel<T>(
  kind: "lite" | "s2" | "video",
  work: (model: Awaited<ReturnType<typeof loadModel>>) => Promise<T>,
) {
  const model = await loadModel(await tinyCheckpoint(kind), { onWarning: () => {} });
  try {
    return await work(model);
  } finally {
    model.close();
  }
}

describe("media report", () => {
  it("gives every scale of dynamic S2, coarse to fine, and counts patches before compression", () =>
    withModel("s2", async (model) => {
      const { media } = await model.plan([image(noise(400, 130, 1)), "What?"]);
      const [{ scales, grid, tiles, patchTokens, tokens, frameSeconds, pooling }] = media;
      expect(scales.at(-1)).toEqual(grid);
      expect(scales.length).toBeGreaterThan(1);
      expect(scales[0]).toEqual([1, 1]);
      expect(scales.reduce((sum, [cols, rows]) => sum + cols * rows, 0)).toBe(tiles);
      const { tileSize, patch } = model.describe().vision;
      expect(patchTokens).toBe(tiles * Math.floor(tileSize / patch) ** 2);
      expect(tokens).toBeLessThan(patchTokens);
      expect([frameSeconds, pooling]).toEqual([null, null]);
    }));

  it("gives one scale where there is one", () =>
    withModel("lite", async (model) => {
      const { media } = await model.plan([image(noise(400, 130, 1)), "What?"]);
      expect(media[0].scales).toEqual([media[0].grid]);
      const two = await model.plan([image(noise(40, 40, 1)), image(noise(40, 40, 2)), "What?"]);
      expect(two.media.map(({ scales }) => scales)).toEqual([[[1, 1]], [[1, 1]]]);
    }));

  it("gives the seconds of sampled frames and their pooling", () =>
    withModel("video", async (model) => {
      const { media } = await model.plan([video(await animation(8), { frames: 8 }), "What?"]);
      const [{ frameSeconds, pooling, tiles }] = media;
      expect(tiles).toBe(8);
      expect(frameSeconds).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((i) => expect.closeTo(0.2 * i, 9)));
      expect(pooling).toHaveLength(3);
      const list = await model.plan([video([noise(8, 8, 1), noise(8, 8, 2)], { frames: 8 }), "What?"]);
      expect(list.media[0].frameSeconds).toBeNull();
    }));

  it("refuses pictures above a bound of their own, under the name that they were given", () =>
    withModel("lite", async (model) => {
      const bytes = await sharp({ create: { width: 50, height: 50, channels: 3, background: "red" } })
        .png()
        .toBuffer();
      const asked = model.plan([image(bytes, { maxPixels: 2000, label: "the poster" }), "What?"]);
      await expect(asked).rejects.toThrow(/megapixels in the poster, got 50×50/);
    }));
});
