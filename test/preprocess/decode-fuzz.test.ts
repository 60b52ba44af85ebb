/**
 * Damaged pictures must end in a picture or in an error of ours, soon. Files are made on the spot and damaged by a
 * seeded generator, so a failure can be repeated.
 */
import sharp from "sharp";
import { expect, it } from "vitest";
import { decodeAnimation, decodeImage } from "../../src/io/image-file.ts";
import { NvilaError } from "../../src/util/errors.ts";

/** Enough to hit every segment of such small files many times, few enough for a fast suite (about 2 s). */
const ROUNDS_PER_FILE = 60;
/** A hundred times what decoding these files takes. */
const MAX_MS = 5000;

/** mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function damage(bytes: Uint8Array, random: () => number): Uint8Array {
  const below = (limit: number): number => Math.floor(random() * limit);
  // Half of the hits go to the first bytes, where the headers are.
  const place = (): number => below(random() < 0.5 ? Math.min(64, bytes.length) : bytes.length);
  let out: Uint8Array = new Uint8Array(bytes); // a copy: Buffer.slice would share
  switch (below(5)) {
    case 0:
      for (let n = below(8) + 1; n > 0; n--) out[place()] = below(256);
      break;
    case 1:
      for (let n = below(4) + 1; n > 0; n--) out[place()] ^= 1 << below(8);
      break;
    case 2:
      out = out.subarray(0, below(out.length));
      break;
    case 3: {
      const at = place();
      out.fill(random() < 0.5 ? 0 : 255, at, at + below(16) + 1);
      break;
    }
    default: {
      const at = place();
      const piece = out.subarray(place()).subarray(0, below(64));
      out = Buffer.concat([out.subarray(0, at), piece, out.subarray(at)]);
    }
  }
  return out;
}

async function seedFiles(): Promise<[string, Buffer][]> {
  const noise = { mean: 128, sigma: 60, type: "gaussian" as const };
  const picture = () => sharp({ create: { width: 24, height: 18, channels: 3, background: "black", noise } });
  const frames = (): Promise<Buffer> =>
    sharp({ create: { width: 16, height: 36, channels: 3, background: "black", noise } })
      .raw()
      .toBuffer();
  const animation = async () => sharp(await frames(), { raw: { width: 16, height: 36, channels: 3, pageHeight: 12 } });
  return [
    ["png", await picture().png().toBuffer()],
    ["interlaced png", await picture().png({ progressive: true }).toBuffer()],
    ["palette png", await picture().png({ palette: true }).toBuffer()],
    ["16-bit gray png", await picture().toColourspace("grey16").png().toBuffer()],
    ["jpeg", await picture().jpeg().toBuffer()],
    ["progressive jpeg", await picture().jpeg({ progressive: true }).toBuffer()],
    ["cmyk jpeg", await picture().toColourspace("cmyk").jpeg().toBuffer()],
    ["webp", await picture().webp().toBuffer()],
    ["lossless webp", await picture().webp({ lossless: true }).toBuffer()],
    ["animated webp", await (await animation()).webp().toBuffer()],
    ["animated gif", await (await animation()).gif().toBuffer()],
  ];
}

it("ends every damaged file in a picture or in an error of ours", async () => {
  const random = seededRandom(20251128);
  let pictures = 0;
  let refusals = 0;
  for (const [name, bytes] of await seedFiles()) {
    for (let round = 0; round < ROUNDS_PER_FILE; round++) {
      const damaged = damage(bytes, random);
      const start = performance.now();
      try {
        const options = { maxPixels: 1e6, label: "damaged" };
        const isAnimated = name.startsWith("animated");
        const images = isAnimated
          ? (await decodeAnimation(damaged, options)).frames
          : [await decodeImage(damaged, options)];
        for (const { width, height, data } of images) expect(data.length).toBe(width * height * 3);
        pictures++;
      } catch (error) {
        if (!(error instanceof NvilaError)) throw new Error(`${name}, round ${round}`, { cause: error });
        expect(error.message).toMatch(/damaged/);
        refusals++;
      }
      expect(performance.now() - start, `${name}, round ${round}`).toBeLessThan(MAX_MS);
    }
  }
  // Both must happen, or the damage is too strong or too weak to test anything.
  expect(pictures).toBeGreaterThan(50);
  expect(refusals).toBeGreaterThan(50);
});
